package relay

import (
	"context"
	"time"
)

// deadline is one time limit for several waits; it shrinks once ctx is done.
type deadline struct {
	over chan struct{}
	quit chan struct{}
}

func newDeadline(ctx context.Context, usual, rush time.Duration) deadline {
	d := deadline{make(chan struct{}), make(chan struct{})}
	go func() {
		defer close(d.over)
		if over, hurried := wait(d.quit, ctx.Done(), usual); !over && hurried {
			wait(d.quit, nil, rush)
		}
	}()
	return d
}

// wait returns when c is closed or the time is up.
func (d deadline) wait(c <-chan struct{}) {
	select {
	case <-c:
	case <-d.over:
	}
}

// until returns when f does or the time is up. f must return later, once the thing it
// waits for is closed.
func (d deadline) until(f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	d.wait(done)
}

func (d deadline) stop() {
	close(d.quit)
	<-d.over
}
