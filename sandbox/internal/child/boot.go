// Package child contains the processes that run inside the sandbox before the server:
// pid 1 of the sandbox and the stage that becomes the server. pid 1 is this same
// binary, executed again. It gets its instructions as one Boot over one descriptor.
//
//	launcher ──libcontainer──► pid 1 ──new user namespace──► exec stage ──execve──► server
//	    ▲                        │ execve                         │
//	    │                      keeper                             │
//	    └──── control socket ────┴────────────────────────────────┘
//
// pid 1 does the set-up that needs the sandbox's own namespaces, prepares and forks the
// exec stage, drops everything, and becomes the keeper, which reaps and dies with the
// launcher. The exec stage has the user's own id again, puts Landlock and seccomp on
// its one thread and becomes the server.
//
// The code between fork and execve, and the keeper, are C (exec.c, keeper.c): the first
// because no other code may run there, the second because it lives as long as the
// server.
package child

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// The descriptors with which pid 1 starts.
const (
	bootFD = 3
	ctlFD  = 4
)

// reportFD replaces the boot's descriptor in the keeper: the report of the exec stage.
const reportFD = bootFD

// Boot is the whole input of pid 1: the plan, the values that must not be in a plan,
// and those that only the launcher knows.
type Boot struct {
	Plan    plan.Plan         `json:"plan"`
	Secrets map[string]string `json:"secrets,omitempty"` // by variable
	Pins    []Pin             `json:"pins,omitempty"`
}

// Pin is the inode that a host path meant at planning. pid 1 refuses to continue if a
// different inode was mounted: somebody replaced the path meanwhile (CVE-2021-30465 is
// of this kind).
type Pin struct {
	Target string `json:"target"`
	Dev    uint64 `json:"dev"`
	Ino    uint64 `json:"ino"`
}

// Pack writes the boot into a sealed memory file. The caller must close it.
func (b Boot) Pack() (*os.File, error) { return pack(b) }

// pack writes a value as JSON into a sealed memory file.
func pack(v any) (*os.File, error) {
	data, err := plan.Encode(v)
	if err != nil {
		return nil, fmt.Errorf("internal error: cannot encode the boot: %w", err)
	}
	fd, err := unix.MemfdCreate("mcpen-boot", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "boot")
	if _, err := f.Write(data); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot write the boot: %w", err)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		f.Close()
		return nil, os.NewSyscallError("fcntl(F_ADD_SEALS)", err)
	}
	return f, nil
}

// unpack reads the boot from the inherited descriptor, whose os.File belongs to the
// caller.
func unpack() (Boot, error) {
	var b Boot
	if err := read(bootFD, &b); err != nil {
		return Boot{}, err
	}
	if b.Plan.Version != plan.Version {
		return Boot{}, fmt.Errorf("internal error: plan version %d, want %d", b.Plan.Version, plan.Version)
	}
	return b, nil
}

// read decodes the output of pack from a memory file.
func read(fd int, v any) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	data := make([]byte, st.Size)
	for n := 0; n < len(data); {
		m, err := unix.Pread(fd, data[n:], int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil || m == 0 {
			return fmt.Errorf("cannot read the boot: %w", os.NewSyscallError("pread", err))
		}
		n += m
	}
	if err := plan.Decode(data, v); err != nil {
		return fmt.Errorf("internal error: cannot decode the boot: %w", err)
	}
	return nil
}
