package guard

import (
	"fmt"
	"sync"
	"time"

	"mcpen/sandbox/audit"
)

// lane is a sort of events that is bounded apart from the others, so that one
// sort, which a server causes at will, cannot push another out of the log.
type lane int

const (
	laneCalls       lane = iota // calls that were passed on
	laneRefusals                // requests of the client that were refused
	laneClientLines             // other lines of the client's that were refused
	laneServerLines             // lines of the server's that were refused
	laneStdout                  // lines that are no message at all
	laneListings                // decisions about definitions
	laneFindings                // words in definitions and results
	laneSecrets                 // secrets that were masked
	laneAsked                   // requests of the server to the client
	laneCount
)

// lanes limit the events of each sort within a minute. A list of definitions has one
// event for each that waits, and calls and refusals are the client's doing.
var lanes = [laneCount]struct {
	most int
	what string
}{
	laneCalls:       {3000, "calls that were passed on"},
	laneRefusals:    {600, "refused requests"},
	laneClientLines: {200, "refused lines of the client's"},
	laneServerLines: {200, "refused lines of the server's"},
	laneStdout:      {200, "lines that are no messages"},
	laneListings:    {1000, "definitions"},
	laneFindings:    {500, "findings"},
	laneSecrets:     {200, "masked secrets"},
	laneAsked:       {200, "requests of the server's"},
}

// laneOf is the lane of an event about a line from a side.
func laneOf(fromClient bool, e audit.Event) lane {
	switch {
	case e.Kind == audit.KindStdout:
		return laneStdout
	case e.Kind == audit.KindLine && fromClient:
		return laneClientLines
	case e.Kind == audit.KindLine:
		return laneServerLines
	case e.Kind == audit.KindFinding && e.Verdict == audit.Refused:
		return laneSecrets
	case e.Kind == audit.KindFinding:
		return laneFindings
	case !fromClient:
		return laneListings
	case e.Verdict == audit.Allowed:
		return laneCalls
	}
	return laneRefusals
}

// limit bounds the events of a run. It may be used from any goroutine.
type limit struct {
	mu    sync.Mutex
	since [laneCount]time.Time // of the minute that began with an event of the lane
	told  [laneCount]int       // within that minute
	lost  [laneCount]int       // beyond lanes.most in it
}

const minute = time.Minute

// pass appends an event to out, or counts it. It reports the first event that it leaves
// out at once, and their number when the minute is over.
func (l *limit) pass(out []audit.Event, now time.Time, on lane, e audit.Event) []audit.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	out = l.over(out, now, false)
	if l.told[on] == 0 || now.Sub(l.since[on]) >= minute {
		l.since[on], l.told[on] = now, 0
	}
	if l.told[on] < lanes[on].most {
		l.told[on]++
		return append(out, e)
	}
	if l.lost[on]++; l.lost[on] == 1 {
		out = append(out, limited(on, fmt.Sprintf("more than %d events about %s within a minute: the others are counted", lanes[on].most, lanes[on].what)))
	}
	return out
}

// over reports the events left out in minutes that are over, or in all.
func (l *limit) over(out []audit.Event, now time.Time, all bool) []audit.Event {
	for on := range laneCount {
		if l.lost[on] > 0 && (all || now.Sub(l.since[on]) >= minute) {
			out = append(out, limited(on, fmt.Sprintf("%d events about %s were left out", l.lost[on], lanes[on].what)))
			l.lost[on] = 0
		}
	}
	return out
}

func limited(on lane, detail string) audit.Event {
	return audit.Event{Kind: audit.KindLimit, Verdict: audit.Observed, Subject: lanes[on].what, Detail: detail}
}

// bounded returns a Ruling with no more events than the lanes allow.
func (g *Guard) bounded(v Ruling, fromClient bool) Ruling {
	if len(v.Events)+len(v.asked) == 0 {
		return v
	}
	now := g.cfg.Now()
	out := make([]audit.Event, 0, len(v.Events)+len(v.asked))
	for _, e := range v.Events {
		out = g.limit.pass(out, now, laneOf(fromClient, e), e)
	}
	for _, e := range v.asked {
		out = g.limit.pass(out, now, laneAsked, e)
	}
	v.Events, v.asked = out, nil
	return v
}

// LeftOut reports the number of events that the limits left out and that no event has
// counted yet. Call it at the end of a run; before, each number comes when its minute
// ends.
func (g *Guard) LeftOut() []audit.Event {
	g.limit.mu.Lock()
	defer g.limit.mu.Unlock()
	return g.limit.over(nil, time.Time{}, true)
}
