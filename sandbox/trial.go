package sandbox

import (
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/child"
	"mcpen/sandbox/internal/egress"
	"mcpen/sandbox/internal/seccomp"
)

// World stands in for the internet in a trial.
type World = egress.World

// Sight is one call of a program on trial.
type Sight = seccomp.Sight

// Trial is what a run under a plan with a desk is given, and who is told what the
// program does. It changes nothing about what the program may do.
type Trial struct {
	World World // the internet; required
	// Laid gets the desk's home and its place for temporary files, open, before the
	// program starts, and closes them. They can be read when the program is gone.
	Laid func(home, tmp *os.File)
	// Saw is told of each open, program, bind, signal and connection. It runs before
	// the kernel gets the call, and the program waits for it. Where the plan's filter
	// traces nothing, it is never called.
	Saw func(Sight)
}

// laid passes the desk's folders on.
func (b *Box) laid(m child.Message) {
	if b.trial == nil || b.trial.Laid == nil || len(m.Files) != 2 {
		for _, f := range m.Files {
			f.Close()
		}
		return
	}
	b.trial.Laid(m.Files[0], m.Files[1])
}

// judge is what the filter's listener asks, and tells.
func (b *Box) judge() seccomp.Judge {
	j := seccomp.Judge{Path: exists, Addr: seccomp.Barred(b.plan)}
	if b.trial == nil || !b.plan.Seccomp.Trace {
		return j
	}
	j.Each = func(s Sight) {
		if s.Name == "connect" && s.TCP {
			b.openPort(s.Addr)
		}
		if b.trial.Saw != nil {
			b.trial.Saw(s)
		}
	}
	return j
}

// openPort has the world answer on a port that a program is about to connect to.
func (b *Box) openPort(to netip.AddrPort) {
	if !to.IsValid() || to.Addr().IsLoopback() || to.Addr().IsUnspecified() || len(b.egress) == 0 {
		return
	}
	if err := b.egress[0].Open(to.Port()); err != nil {
		b.record(audit.Event{Kind: audit.KindConnect, Verdict: audit.Observed, Subject: to.String(), Detail: err.Error(), Errno: errnoName(err)})
	}
}

func errnoName(err error) string {
	if errno, ok := err.(syscall.Errno); ok {
		return unix.ErrnoName(errno)
	}
	return ""
}
