package sandbox

import (
	"sync/atomic"
	"testing"
)

// A server whose list takes long to look through does not keep mcpen from ending,
// and what was not told by then is not told to a log that is closed.
func TestBehindIsLeft(t *testing.T) {
	b := newBehind()
	var told atomic.Int32
	slow, began := make(chan struct{}), make(chan struct{})
	b.do(1, func() func() { return func() { told.Add(1) } })
	b.do(1, func() func() { close(began); <-slow; return func() { told.Add(1) } })
	b.do(1, func() func() { return func() { told.Add(1) } })
	<-began
	if n := b.leave(); n != 2 {
		t.Errorf("%d pieces are said not to be told, want 2", n)
	}
	close(slow)
	b.close()
	if told.Load() != 1 {
		t.Errorf("%d pieces were told", told.Load())
	}
	b.do(1, func() func() { t.Error("a piece was taken after the end"); return func() {} })
}

// What waits is bounded, in number and in size: the rest is done by who brings it.
func TestBehindIsBounded(t *testing.T) {
	b := newBehind()
	slow, began := make(chan struct{}), make(chan struct{})
	var told atomic.Int32
	count := func() func() { return func() { told.Add(1) } }
	b.do(1, func() func() { close(began); <-slow; return count() })
	<-began
	b.do(waitingSize+1, count)
	if told.Load() != 1 {
		t.Error("a piece of a long line waits")
	}
	for range waiting {
		b.do(1, count)
	}
	if told.Load() != 1 {
		t.Error("a piece that may wait does not")
	}
	b.do(1, count)
	if told.Load() != 2 {
		t.Error("more wait than may")
	}
	close(slow)
	b.close()
	if told.Load() != waiting+3 || b.leave() != 0 {
		t.Errorf("%d were told, %d were not", told.Load(), b.leave())
	}
}
