package sandbox

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/relay"
	"mcpen/sandbox/policy"
)

// begun records the start, with what holds, and each layer that does not. An
// error is the sink's, which may stop the run.
func (b *Box) begun() error {
	b.since = time.Now()
	held := make([]string, len(b.plan.Layers))
	for i, l := range b.plan.Layers {
		held[i] = string(l)
		if l == policy.LayerLandlock {
			held[i] = fmt.Sprintf("landlock (ABI %d)", b.plan.Landlock.ABI)
		}
	}
	err := b.sink(audit.Event{Kind: audit.KindStart, Verdict: audit.Observed, Subject: b.plan.Process.Path, Detail: "held by " + strings.Join(held, ", ")})
	for _, g := range b.plan.Gaps {
		if err != nil {
			break
		}
		err = b.sink(audit.Event{Kind: audit.KindGap, Verdict: audit.Observed, Subject: string(g.Layer),
			Detail: fmt.Sprintf("not held: %s, have %s: %s", g.Want, g.Have, g.Why)})
	}
	return err
}

// ended records how the server ended, and what that took.
func (b *Box) ended(step relay.Step) error {
	e := audit.Event{Kind: audit.KindExit, Verdict: audit.Observed, Subject: b.plan.Process.Path, Duration: time.Since(b.since)}
	if step != relay.Ground {
		e.Detail = step.String()
	}
	for _, over := range b.over {
		e.Detail = strings.TrimPrefix(e.Detail+", "+over, ", ")
	}
	if b.exit.Signal != 0 {
		e.Signal = unix.SignalName(b.exit.Signal)
	} else {
		code := b.exit.Code
		e.Code = &code
	}
	return b.sink(e)
}
