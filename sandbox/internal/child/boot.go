// Package child is what runs inside the sandbox before the server does: pid 1
// of the sandbox and the stage that turns into the server. pid 1 is this very
// binary, executed again, and is told what to do by one Boot over one descriptor.
//
//	launcher ──libcontainer──► pid 1 ──new user namespace──► exec stage ──execve──► server
//	    ▲                        │ execve                         │
//	    │                      keeper                             │
//	    └──── control socket ────┴────────────────────────────────┘
//
// pid 1 sets up what needs the sandbox's own namespaces, lays the exec stage out
// and forks it, drops everything, and turns into the keeper, which reaps and dies
// with the launcher. The exec stage has the user's own id again, puts Landlock and
// seccomp on its one thread and becomes the server.
//
// What runs between fork and execve, and the keeper, are C (exec.c, keeper.c):
// the first because nothing else may run there, the second because it is there
// for as long as the server is.
package child

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// The descriptors that pid 1 starts with.
const (
	bootFD = 3
	ctlFD  = 4
)

// reportFD is what the keeper has in the place of the boot: what the exec stage
// says.
const reportFD = bootFD

// Boot is all that pid 1 is told. It is the plan, what must not be
// in a plan, and what only the launcher can know.
type Boot struct {
	Plan    plan.Plan         `json:"plan"`
	Secrets map[string]string `json:"secrets,omitempty"` // by variable
	Pins    []Pin             `json:"pins,omitempty"`
}

// Pin is the inode that was meant when a path of the host was planned. pid 1
// refuses to go on when something else was mounted: between the two somebody
// swapped the path (CVE-2021-30465 is of this kind).
type Pin struct {
	Target string `json:"target"`
	Dev    uint64 `json:"dev"`
	Ino    uint64 `json:"ino"`
}

// Pack puts the boot into a sealed memory file. The caller closes it.
func (b Boot) Pack() (*os.File, error) { return pack(b) }

// pack puts a value into a sealed memory file, as JSON.
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

// unpack reads the boot from the inherited descriptor, of which another owns
// the os.File.
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

// read decodes what pack put into a memory file.
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
