package egress

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// How long it counts how an address was, and of how many that is known.
const (
	experienceLife = 10 * time.Minute
	maxExperience  = 1024
)

// experience remembers which addresses let a connection wait until another
// answered, and which those were: where IPv6 leads into a hole, that is found out
// once and not at each connection. Its methods may be called from any goroutine.
type experience struct {
	mu sync.Mutex
	of map[netip.AddrPort]outcome
}

type outcome struct {
	slow bool
	at   time.Time
}

func newExperience() *experience { return &experience{of: map[netip.AddrPort]outcome{}} }

func (x *experience) note(a netip.AddrPort, slow bool, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.of) >= maxExperience {
		clear(x.of) // found out anew
	}
	x.of[a] = outcome{slow, now}
}

// best orders the addresses to try: the first as it is meant, then those that
// answered, then those that nothing is known of. What was slow comes last, the
// first address too.
func (x *experience) best(list []netip.AddrPort, now time.Time) []netip.AddrPort {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.of) == 0 || len(list) < 2 {
		return list
	}
	rank := func(a netip.AddrPort) int {
		o, known := x.of[a]
		switch {
		case !known || now.Sub(o.at) >= experienceLife:
			return 1
		case o.slow:
			return 2
		}
		return 0
	}
	out := list
	if rank(list[0]) < 2 {
		out = list[1:]
	}
	slices.SortStableFunc(out, func(a, b netip.AddrPort) int { return rank(a) - rank(b) })
	return list
}
