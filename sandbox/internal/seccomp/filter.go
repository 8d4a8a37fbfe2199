package seccomp

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
)

// Filter is a compiled filter. The zero Filter cannot be loaded.
type Filter struct {
	arch    string
	listens bool
	prog    []byte // struct sock_filter, as libseccomp exports it and the kernel expects it
}

// size is the length of struct sock_filter.
const size = 8

// Listens reports whether the filter needs a listener.
func (f Filter) Listens() bool { return f.listens }

// Len is the number of instructions.
func (f Filter) Len() int { return len(f.prog) / size }

// Program returns the filter as an array of struct sock_filter, for a process of this
// architecture to load.
func (f Filter) Program() ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if f.arch != runtime.GOARCH {
		return nil, fmt.Errorf("internal error: a seccomp filter for %s on %s", f.arch, runtime.GOARCH)
	}
	return f.prog, nil
}

// maxLen is the kernel's BPF_MAXINSNS.
const maxLen = 4096

// check refuses bytes that cannot be a compiled filter. The kernel does its own checks.
func (f Filter) check() error {
	if _, ok := indexOf(f.arch); !ok {
		return fmt.Errorf("internal error: a seccomp filter for architecture %q", f.arch)
	}
	if len(f.prog) == 0 || len(f.prog)%size != 0 || f.Len() > maxLen {
		return fmt.Errorf("internal error: a seccomp filter of %d bytes", len(f.prog))
	}
	return nil
}

// magic begins the encoding; its last byte is the version of the format.
const magic = "mcpenbpf\x01"

// headLen is the length of the header before the instructions.
const headLen = len(magic) + 4

// MarshalBinary encodes the filter: the magic, whether it listens, the index of
// its architecture, the count and the instructions.
func (f Filter) MarshalBinary() ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	index, _ := indexOf(f.arch)
	b := make([]byte, 0, headLen+len(f.prog))
	b = append(b, magic...)
	if f.listens {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = append(b, byte(index))
	b = binary.LittleEndian.AppendUint16(b, uint16(f.Len()))
	return append(b, f.prog...), nil
}

// UnmarshalBinary decodes the output of MarshalBinary, and nothing else.
func (f *Filter) UnmarshalBinary(b []byte) error {
	if len(b) < headLen || string(b[:len(magic)]) != magic {
		return fmt.Errorf("internal error: not a seccomp filter")
	}
	listens, index := b[len(magic)], int(b[len(magic)+1])
	count := int(binary.LittleEndian.Uint16(b[len(magic)+2:]))
	if listens > 1 || index >= len(arches) || len(b) != headLen+size*count {
		return fmt.Errorf("internal error: a damaged seccomp filter")
	}
	got := Filter{arch: arches[index].name, listens: listens == 1, prog: slices.Clone(b[headLen:])}
	if err := got.check(); err != nil {
		return err
	}
	*f = got
	return nil
}
