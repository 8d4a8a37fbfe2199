package seccomp

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/bpf"
)

// data is struct seccomp_data without the instruction pointer.
type data struct {
	nr   uint32
	arch uint32
	args [6]uint64
}

// machine runs a filter without a kernel. It may be used by several goroutines.
type machine struct{ vm *bpf.VM }

func newMachine(f Filter) (machine, error) {
	prog, ok := bpf.Disassemble(f.prog)
	if !ok {
		return machine{}, fmt.Errorf("internal error: a seccomp filter with an unknown instruction")
	}
	vm, err := bpf.NewVM(prog)
	if err != nil {
		return machine{}, fmt.Errorf("internal error: cannot read the seccomp filter: %v", err)
	}
	return machine{vm}, nil
}

// run lays the data out as the machine reads words, big-endian, with each
// argument's low half first as on both architectures.
func (m machine) run(d data) (uint32, error) {
	var b [64]byte
	binary.BigEndian.PutUint32(b[offNumber:], d.nr)
	binary.BigEndian.PutUint32(b[offArch:], d.arch)
	for i, a := range d.args {
		binary.BigEndian.PutUint32(b[offArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(b[offArgs+8*i+4:], uint32(a>>32))
	}
	got, err := m.vm.Run(b[:])
	return uint32(got), err
}
