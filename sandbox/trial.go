package sandbox

import (
	"net/netip"
	"os"

	"mcpen/sandbox/internal/egress"
	"mcpen/sandbox/internal/notify"
	"mcpen/sandbox/plan"
)

// World stands in for the internet in a trial.
type World = egress.World

// Sight is one call of a program on trial.
type Sight = notify.Sight

// Trial serves a run under a plan with a desk, and receives the program's deeds. It
// gives the program no right.
type Trial struct {
	World World // the internet; required
	// Laid gets the desk's home and its place for temporary files, open, before the
	// program starts, and closes them. They can be read when the program is gone.
	Laid func(home, tmp *os.File)
	// Saw receives each open, program, bind, signal and connection. It runs before the
	// kernel gets the call, and the program waits for it. If the plan's filter traces
	// nothing, it is never called.
	Saw func(Sight)
}

// laid passes the desk's folders on. A nil Trial closes them.
func (t *Trial) laid(folders []*os.File) {
	if t != nil && t.Laid != nil && len(folders) == 2 {
		t.Laid(folders[0], folders[1])
		return
	}
	for _, f := range folders {
		f.Close()
	}
}

// world is the internet of a plan: nil for the real one.
func (t *Trial) world(p plan.Plan) World {
	if t == nil || !p.Network.Every {
		return nil
	}
	return t.World
}

// judge answers the filter's listener, and hears of the calls of a trial. open has the
// trial's world answer on the port of a connection.
func (t *Trial) judge(p plan.Plan, open func(to netip.AddrPort)) notify.Judge {
	j := notify.Judge{Path: exists, Addr: notify.Barred(p)}
	if t == nil || !p.Seccomp.Trace {
		return j
	}
	j.Each = func(s Sight) {
		if s.Name == "connect" && s.TCP {
			open(s.Addr)
		}
		if t.Saw != nil {
			t.Saw(s)
		}
	}
	return j
}
