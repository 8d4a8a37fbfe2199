package egress

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// How long, and for how many addresses, the egress remembers experience.
const (
	experienceLife = 10 * time.Minute
	maxExperience  = 1024
)

// experience remembers the addresses that kept a connection waiting until another
// answered, and those that answered. If IPv6 leads nowhere, only the first connection
// pays for that. Any goroutine may call its methods.
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
		clear(x.of) // learned anew
	}
	x.of[a] = outcome{slow, now}
}

// best orders the addresses to try: the first one stays first, then those that
// answered, then unknown ones. Slow addresses come last, the first one included.
func (x *experience) best(list []netip.AddrPort, now time.Time) []netip.AddrPort {
	x.mu.Lock()
	defer x.mu.Unlock()
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
