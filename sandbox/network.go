package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/egress"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/internal/notify"
	"mcpen/sandbox/plan"
)

// network is the server's way out, once pid 1 has made the sockets for it.
type network struct {
	cfg      egress.Config
	report   func(audit.Event) error
	inFlight func() *audit.Request

	egress atomic.Pointer[egress.Egress] // nil: nothing is served yet
}

// networkOf prepares the network of a plan. world stands in for the internet; nil:
// nothing does.
func networkOf(p plan.Plan, o Options, world World, say *reporter, inFlight func() *audit.Request) *network {
	return &network{report: say.report, inFlight: inFlight, cfg: egress.Config{
		World:    world,
		Network:  p.Network,
		Sink:     say.report,
		Warn:     say.warn,
		InFlight: inFlight,
		Allow:    o.Allow,
		Limits:   egressLimits(p.Limits),
		Secure:   o.Secure,
	}}
}

// serve serves the listeners that a message of pid 1's brings. It is called by one
// goroutine. The files are closed with the egress, or at an error.
func (n *network) serve(data []byte, files []*os.File) error {
	var handles []listeners.Handle
	if err := json.Unmarshal(data, &handles); err != nil {
		return fmt.Errorf("internal error: cannot decode the listeners: %w", err)
	}
	if len(handles) != len(files) {
		return fmt.Errorf("internal error: %d listeners with %d descriptors", len(handles), len(files))
	}
	for i := range handles {
		handles[i].File = files[i]
	}
	e := n.egress.Load()
	var err error
	if e != nil {
		err = e.Add(handles) // all listeners share the names that one learns
	} else if e, err = egress.Serve(context.Background(), handles, n.cfg); err == nil {
		n.egress.Store(e)
		// The egress and the seccomp listener each wait in a system call of their own.
		// Where they hold all of Go's processors, Go looks every 20 µs whether to take
		// them away.
		runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 4))
	}
	if err != nil {
		return &Lack{Step: "serve the server's connections", Err: err}
	}
	return nil
}

// egressLimits are the plan's limits that the egress holds.
// A limit that is not there was switched off in words: then the machine's own holds.
func egressLimits(all []plan.Limit) egress.Limits {
	l := egress.Limits{Connections: math.MaxInt32, PerSecond: math.MaxInt32}
	for _, one := range all {
		switch one.Name {
		case plan.LimitConnections:
			l.Connections = int(one.Value)
		case plan.LimitPerSecond:
			l.PerSecond = int(one.Value)
		}
	}
	return l
}

// barred reports a connection that the filter refused.
func (n *network) barred(c notify.Call) {
	if e := n.egress.Load(); e != nil {
		e.Barred(c.Addr, unix.ErrnoName(c.Errno), c.PID, c.Program)
		return
	}
	n.report(audit.Event{Kind: audit.KindConnect, Verdict: audit.Refused, Subject: c.Addr.String(), Errno: unix.ErrnoName(c.Errno),
		PID: c.PID, Program: c.Program, Request: n.inFlight()})
}

// open has a trial's world answer on a port that a program is about to connect to.
func (n *network) open(to netip.AddrPort) {
	e := n.egress.Load()
	if e == nil || !to.IsValid() || to.Addr().IsLoopback() || to.Addr().IsUnspecified() {
		return
	}
	if err := e.Open(to.Port()); err != nil {
		n.report(audit.Event{Kind: audit.KindConnect, Verdict: audit.Observed, Subject: to.String(), Detail: err.Error(), Errno: errnoName(err)})
	}
}

func errnoName(err error) string {
	if errno, ok := err.(syscall.Errno); ok {
		return unix.ErrnoName(errno)
	}
	return ""
}

// close ends the connections that are left.
func (n *network) close() error {
	if e := n.egress.Load(); e != nil {
		if err := e.Close(); err != nil {
			return fmt.Errorf("cannot end the server's connections: %w", err)
		}
	}
	return nil
}
