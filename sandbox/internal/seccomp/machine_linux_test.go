package seccomp

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/bpf"
)

// Offsets in struct seccomp_data. Both architectures are little-endian: an
// argument's low half comes first.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// data is struct seccomp_data without the instruction pointer.
type data struct {
	nr   uint32
	arch uint32
	args [6]uint64
}

// machine runs a filter without a kernel.
type machine struct{ vm *bpf.VM }

func newMachine(f Filter) (machine, error) {
	var raw []bpf.RawInstruction
	for b := f.prog; len(b) > 0; b = b[size:] {
		raw = append(raw, bpf.RawInstruction{
			Op: binary.LittleEndian.Uint16(b), Jt: b[2], Jf: b[3],
			K: binary.LittleEndian.Uint32(b[4:]),
		})
	}
	prog, ok := bpf.Disassemble(raw)
	if !ok {
		return machine{}, fmt.Errorf("internal error: a seccomp filter with an unknown instruction")
	}
	vm, err := bpf.NewVM(prog)
	if err != nil {
		return machine{}, fmt.Errorf("internal error: cannot read the seccomp filter: %v", err)
	}
	return machine{vm}, nil
}

// run lays the data out as the machine reads words, big-endian, with each argument's
// low half first as on both architectures.
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
