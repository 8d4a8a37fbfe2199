package seccomp

import (
	"maps"
	"slices"
	"sync"

	"golang.org/x/time/rate"
)

// A name is reported this often at once, and then this often a second.
const (
	reportBurst = 20
	reportRate  = 1
)

// limiter passes on some calls of each name and counts the others. It may be used
// from any goroutine; report is called from one at a time.
type limiter struct {
	report func(Call)
	mu     sync.Mutex
	names  map[string]*quota // bounded by the names there are
}

type quota struct {
	rate *rate.Limiter
	held int  // calls since the last report
	last Call // the newest of them
}

func newLimiter(report func(Call)) *limiter {
	return &limiter{report: report, names: map[string]*quota{}}
}

func (l *limiter) add(name string, c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.names[name]
	if q == nil {
		q = &quota{rate: rate.NewLimiter(reportRate, reportBurst)}
		l.names[name] = q
	}
	if !q.rate.Allow() {
		q.held++
		q.last = c
		return
	}
	c.More, q.held = q.held, 0
	l.report(c)
}

// flush reports the newest of each name's calls that were only counted.
func (l *limiter) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(l.names)) {
		if q := l.names[name]; q.held > 0 {
			c := q.last
			c.More, q.held = q.held-1, 0
			l.report(c)
		}
	}
}
