package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/child"
	"mcpen/sandbox/internal/egress"
	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
)

// serve starts the egress on the sockets that pid 1 made.
func (b *Box) serve(m child.Message) error {
	var handles []egress.Handle
	if err := json.Unmarshal(m.Data, &handles); err != nil {
		return fmt.Errorf("internal error: cannot decode the listeners: %w", err)
	}
	if len(handles) != len(m.Files) {
		return fmt.Errorf("internal error: %d listeners with %d descriptors", len(handles), len(m.Files))
	}
	for i := range handles {
		handles[i].File = m.Files[i]
	}
	if len(b.egress) > 0 {
		// What one listener learns of names is for all of them.
		if err := b.egress[0].Add(handles); err != nil {
			return &Lack{Step: "serve the server's connections", Err: err}
		}
		return nil
	}
	var world egress.World
	if b.trial != nil && b.plan.Network.Every {
		world = b.trial.World
	}
	e, err := egress.Serve(context.Background(), handles, egress.Config{
		World:    world,
		Network:  b.plan.Network,
		Sink:     func(e audit.Event) error { return b.recorded(e) },
		Tell:     func(line string) { b.say(b.plan.Name + ": " + line) },
		InFlight: b.inFlight,
		Allow:    b.allow,
		Limits:   egressLimits(b.plan.Limits),
		Secure:   b.secure,
	})
	if err != nil {
		return &Lack{Step: "serve the server's connections", Err: err}
	}
	b.egress = append(b.egress, e)
	return nil
}

// egressLimits are the plan's limits that the egress holds.
// One that is not there was switched off in words; what the machine gives holds.
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

// dialled tells of a connection that failed so.
func (b *Box) dialled(c seccomp.Call) {
	if len(b.egress) > 0 {
		b.egress[0].Barred(c.Addr, unix.ErrnoName(c.Errno), c.PID, c.Program)
		return
	}
	b.record(audit.Event{Kind: audit.KindConnect, Verdict: audit.Refused, Subject: c.Addr.String(), Errno: unix.ErrnoName(c.Errno),
		PID: c.PID, Program: c.Program, Request: b.inFlight()})
}

// closeEgress ends what is still connected.
func (b *Box) closeEgress() {
	for _, e := range b.egress {
		if err := e.Close(); err != nil && b.err == nil {
			b.err = fmt.Errorf("cannot end the server's connections: %w", err)
		}
	}
}
