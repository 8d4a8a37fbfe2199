package notify

import (
	"maps"
	"slices"
	"sync"

	"golang.org/x/time/rate"
)

// Bounds on the reports of one name: a burst, and then a rate a second.
const (
	reportBurst = 20
	reportRate  = 1
)

// limiter passes on some calls of each name and counts the others. Any goroutine may
// use it; it calls report from one goroutine at a time.
type limiter struct {
	report func(Call)
	mu     sync.Mutex
	names  map[string]*quota // bounded by the number of names
}

type quota struct {
	rate *rate.Limiter
	held int  // calls since the last report
	last Call // the newest call
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

// flush reports the newest call of each name with counted calls.
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
