package sandbox

import (
	"sync/atomic"
	"testing"
)

// A server whose list takes long to search does not keep mcpen from ending, and the
// search reports nothing to a closed log.
func TestDeferredSearchesAreAbandoned(t *testing.T) {
	d := newDeferred()
	var told atomic.Int32
	slow, began := make(chan struct{}), make(chan struct{})
	d.do(1, func() func() { return func() { told.Add(1) } })
	d.do(1, func() func() { close(began); <-slow; return func() { told.Add(1) } })
	d.do(1, func() func() { return func() { told.Add(1) } })
	<-began
	if n := d.abandon(); n != 2 {
		t.Errorf("%d pieces are said not to be told, want 2", n)
	}
	close(slow)
	d.close()
	if told.Load() != 1 {
		t.Errorf("%d pieces were told", told.Load())
	}
	d.do(1, func() func() { t.Error("a piece was taken after the end"); return func() {} })
}

// The queue of deferred work is bounded, in number and in size: beyond that the caller
// does the work itself.
func TestDeferredSearchesAreBounded(t *testing.T) {
	d := newDeferred()
	slow, began := make(chan struct{}), make(chan struct{})
	var told atomic.Int32
	count := func() func() { return func() { told.Add(1) } }
	d.do(1, func() func() { close(began); <-slow; return count() })
	<-began
	d.do(maxWaitingBytes+1, count)
	if told.Load() != 1 {
		t.Error("a piece of a long line waits")
	}
	for range maxWaiting {
		d.do(1, count)
	}
	if told.Load() != 1 {
		t.Error("a piece that may wait does not")
	}
	d.do(1, count)
	if told.Load() != 2 {
		t.Error("more wait than may")
	}
	close(slow)
	d.close()
	if told.Load() != maxWaiting+3 || d.abandon() != 0 {
		t.Errorf("%d were told, %d were not", told.Load(), d.abandon())
	}
}
