package sandbox

import (
	"sync"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/guard"
)

// behind does, one after the other, what is left to do behind lines that were
// passed on.
type behind struct {
	mu     sync.Mutex // guards what follows, and is held while something is told
	closed bool       // nothing more is taken
	left   bool       // nothing more is told
	untold int        // pieces that were taken
	size   int        // bytes of the lines that those in work belong to
	work   chan job
	done   chan struct{} // closed when all that was taken is told
}

// piece finds something out, and returns how that is told.
type piece func() (tell func())

// job is a piece that waits, with the bytes of its line.
type job struct {
	piece
	size int
}

// Bounds of what waits. A server that makes more waits itself.
const (
	waiting     = 4
	waitingSize = 4 << 20 // bytes of the lines that all together belong to
)

func newBehind() *behind {
	b := &behind{work: make(chan job, waiting), done: make(chan struct{})}
	go func() {
		defer close(b.done)
		for j := range b.work {
			b.finish(j.piece)
			b.mu.Lock()
			b.size -= j.size
			b.mu.Unlock()
		}
	}()
	return b
}

// do has a piece done that belongs to a line of so many bytes: now, where that is
// long or too many wait. After close it does nothing.
func (b *behind) do(size int, p piece) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.untold++
	taken := false
	if b.size+size <= waitingSize {
		select {
		case b.work <- job{p, size}:
			taken = true
			b.size += size
		default:
		}
	}
	b.mu.Unlock()
	if !taken {
		b.finish(p)
	}
}

func (b *behind) finish(p piece) {
	tell := p()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.left {
		b.untold--
		tell()
	}
}

// close waits until all that waits was told. It may be called again.
func (b *behind) close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.work)
	}
	b.mu.Unlock()
	<-b.done
}

// leave ends the telling, for a run that has no more time, and returns how many
// pieces were not told.
func (b *behind) leave() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = true
	return b.untold
}

// later tells what the guard finds out behind a line.
func (b *Box) later(line []byte, find func() guard.Verdict) {
	b.carrier.behind.do(len(line), func() func() {
		v := find()
		return func() {
			for _, e := range v.Events {
				b.record(e)
			}
			b.tellAll(v.Tell)
		}
	})
}

// unread records that the run ended before everything was looked through. The
// relay waited for that as long as an end may last.
func (b *Box) unread() {
	if b.carrier.behind.leave() > 0 {
		b.record(audit.Event{Kind: audit.KindFinding, Verdict: audit.Observed, Subject: b.plan.Name,
			Detail: "the run ended before what the server listed last was looked through"})
	}
}
