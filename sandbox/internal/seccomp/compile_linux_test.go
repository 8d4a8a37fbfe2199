package seccomp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// compile has libseccomp build the plan's filter for the architecture ("amd64" or
// "arm64", as in GOARCH). A plan whose seccomp layer is off is an error, since there is
// nothing to load.
//
// libseccomp accepts a number without a name only for the architecture on which it
// runs. A filter for the other one treats calls younger than the library as if they
// were not in the table.
func compile(p plan.Seccomp, arch string) (Filter, error) {
	if !p.On {
		return Filter{}, fmt.Errorf("internal error: a filter for a plan whose seccomp layer is off")
	}
	index, ok := indexOf(arch)
	if !ok {
		return Filter{}, fmt.Errorf("no system call table for architecture %q", arch)
	}
	b, err := newBuilder(p, index)
	if err != nil {
		return Filter{}, fmt.Errorf("cannot make a seccomp filter: %v", err)
	}
	defer b.filter.Release()
	for _, r := range table() {
		if err := b.row(r); err != nil {
			return Filter{}, fmt.Errorf("internal error: the rules of %s: %v", r.name, err)
		}
	}
	prog, err := b.export()
	if err != nil {
		return Filter{}, fmt.Errorf("cannot export the seccomp filter: %v", err)
	}
	f := Filter{arch: arch, listens: p.Listens(), prog: prog}
	return f, f.check()
}

// builder adds the table's rules to a libseccomp filter.
type builder struct {
	plan     plan.Seccomp
	index    int // of the architecture in arches
	foreign  bool
	filter   *libseccomp.ScmpFilter
	fallback libseccomp.ScmpAction // for calls that no rule decides; libseccomp refuses a rule with this action
}

func newBuilder(p plan.Seccomp, index int) (*builder, error) {
	b := &builder{plan: p, index: index, foreign: arches[index].name != runtime.GOARCH, fallback: absent.scmp(p)}
	var err error
	if b.filter, err = libseccomp.NewFilter(b.fallback); err != nil {
		return nil, err
	}
	if err := b.shape(); err != nil {
		b.filter.Release()
		return nil, err
	}
	return b, nil
}

// shape sets the attributes: one architecture, death to the others (and to x32, which
// shares amd64's), a search tree over the numbers.
func (b *builder) shape() error {
	if err := b.filter.SetBadArchAction(libseccomp.ActKillProcess); err != nil {
		return err
	}
	if b.foreign {
		if err := b.filter.RemoveArch(libseccomp.ArchNative); err != nil {
			return err
		}
		if err := b.filter.AddArch(arches[b.index].scmp()); err != nil {
			return err
		}
	}
	return b.filter.SetOptimize(2)
}

func (a arch) scmp() libseccomp.ScmpArch {
	if a.name == "arm64" {
		return libseccomp.ArchARM64
	}
	return libseccomp.ArchAMD64
}

// row adds a rule for each case of the row.
func (b *builder) row(r row) error {
	call, ok, err := b.call(r.name)
	if !ok || err != nil {
		return err
	}
	return r.cases(b.plan, func(terms []term, then action) error {
		action := then.scmp(b.plan)
		if action == b.fallback {
			return nil
		}
		if len(terms) == 0 {
			return b.filter.AddRuleExact(call, action)
		}
		conditions := make([]libseccomp.ScmpCondition, len(terms))
		for i, t := range terms {
			// Masked, so that the upper half of the register does not count.
			conditions[i] = libseccomp.ScmpCondition{
				Argument: uint(t.arg), Op: libseccomp.CompareMaskedEqual,
				Operand1: uint64(t.mask), Operand2: uint64(t.value),
			}
		}
		return b.filter.AddRuleConditionalExact(call, action, conditions)
	})
}

// call returns libseccomp's number for the system call: the number on this machine,
// from which libseccomp finds the other architecture's by name. ok is false if the
// architecture does not have the call, or if libseccomp needs a name and has none.
func (b *builder) call(name string) (libseccomp.ScmpSyscall, bool, error) {
	n, ok := number(name, b.index)
	if !ok || !b.foreign {
		return libseccomp.ScmpSyscall(n), ok, nil
	}
	there, err := libseccomp.GetSyscallFromNameByArch(name, arches[b.index].scmp())
	if errors.Is(err, libseccomp.ErrSyscallDoesNotExist) {
		return 0, false, nil
	}
	if err == nil && int(there) != n {
		err = fmt.Errorf("number %d on %s, and %d to libseccomp", n, arches[b.index].name, there)
	}
	if err != nil {
		return 0, false, err
	}
	here, err := libseccomp.GetSyscallFromName(name)
	return here, err == nil, err
}

// scmp is libseccomp's action for the result of ret.
func (a action) scmp(p plan.Seccomp) libseccomp.ScmpAction {
	switch a.ret(p) {
	case retAllow:
		return libseccomp.ActAllow
	case retNotify:
		return libseccomp.ActNotify
	}
	return libseccomp.ActErrno.SetReturnCode(int16(a.errno))
}

// export reads the program back from a memory file, since libseccomp 2.5 writes it only
// to a descriptor.
func (b *builder) export() ([]byte, error) {
	fd, err := unix.MemfdCreate("seccomp", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "seccomp")
	defer file.Close()
	if err := b.filter.ExportBPF(file); err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}
