package sandbox

import (
	"sync"

	"mcpen/sandbox/guard"
)

// behind does, one after the other, what is left to do behind lines that were
// passed on.
type behind struct {
	mu     sync.Mutex
	closed bool
	work   chan func()
	done   chan struct{}
}

// waiting bounds the pieces that wait. A server that makes more of them waits
// itself.
const waiting = 4

func newBehind() *behind {
	b := &behind{work: make(chan func(), waiting), done: make(chan struct{})}
	go func() {
		defer close(b.done)
		for f := range b.work {
			f()
		}
	}()
	return b
}

// do has f done, and after close does nothing.
func (b *behind) do(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	select {
	case b.work <- f:
	default:
		f()
	}
}

// close waits until everything was done. It may be called again.
func (b *behind) close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.work)
	}
	b.mu.Unlock()
	<-b.done
}

// later tells what the guard finds out behind a line.
func (b *Box) later(find func() guard.Verdict) {
	b.carrier.behind.do(func() {
		v := find()
		for _, e := range v.Events {
			b.record(e)
		}
		b.tellAll(v.Tell)
	})
}
