package sandbox

import "sync"

// deferred searches, one after the other, lines that were passed on already.
type deferred struct {
	mu         sync.Mutex // guards the rest, and is held during a report
	closed     bool       // no search is taken
	abandoned  bool       // nothing is reported
	unreported int        // searches that were taken
	size       int        // bytes of the lines whose searches wait or run
	waiting    chan waitingSearch
	done       chan struct{} // closed when every search that was taken is over
}

// search finds something out, and returns a function that reports it.
type search func() (report func())

// waitingSearch is a search that waits, with the bytes of its line.
type waitingSearch struct {
	search search
	size   int
}

// Bounds of the searches that wait. A server that causes more waits itself.
const (
	maxWaiting      = 4
	maxWaitingBytes = 4 << 20 // of the lines that all together belong to
)

func newDeferred() *deferred {
	d := &deferred{waiting: make(chan waitingSearch, maxWaiting), done: make(chan struct{})}
	go func() {
		defer close(d.done)
		for w := range d.waiting {
			d.finish(w.search)
			d.mu.Lock()
			d.size -= w.size
			d.mu.Unlock()
		}
	}()
	return d
}

// do takes a search that belongs to a line of so many bytes. It searches at once
// where the line is long or too many wait. After close it does nothing.
func (d *deferred) do(size int, s search) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.unreported++
	taken := false
	if d.size+size <= maxWaitingBytes {
		select {
		case d.waiting <- waitingSearch{s, size}:
			taken = true
			d.size += size
		default:
		}
	}
	d.mu.Unlock()
	if !taken {
		d.finish(s)
	}
}

func (d *deferred) finish(s search) {
	report := s()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.abandoned {
		d.unreported--
		report()
	}
}

// close waits until every search was reported. It may be called again.
func (d *deferred) close() {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.waiting)
	}
	d.mu.Unlock()
	<-d.done
}

// abandon ends the reports, for a run that has no more time. It returns how many
// searches were not reported.
func (d *deferred) abandon() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.abandoned = true
	return d.unreported
}
