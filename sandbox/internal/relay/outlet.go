package relay

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// queueMax bounds, in bytes, the lines that wait to be slipped in between
// forwarded ones. Whoever adds to a full queue waits: that is back-pressure on
// the side whose lines cause the answers.
const queueMax = 256 << 10

var errOutletClosed = errors.New("nobody reads there any more")

// outlet writes lines to one side. Forwarded lines are written by the
// goroutine that read them; lines of mcpen's own are queued, so that a side
// that does not read cannot stop the side that it talks to from being read. No
// line is ever written into another.
type outlet struct {
	w io.WriteCloser

	write   sync.Mutex // held while something is written
	midline bool       // what was written last did not end a line

	going atomic.Int64 // bytes that are being written

	mu     sync.Mutex // guards the rest, and is never held while writing
	change sync.Cond
	queue  []byte
	busy   bool // the goroutine writes what it took from the queue
	err    error
	done   chan struct{}
}

func newOutlet(w io.WriteCloser) *outlet {
	o := &outlet{w: w, done: make(chan struct{})}
	o.change.L = &o.mu
	go o.serve()
	return o
}

// forward writes parts, which together are one line with its end, behind
// everything that was queued before.
func (o *outlet) forward(parts ...[]byte) error {
	o.write.Lock()
	defer o.write.Unlock()
	if err := o.flush(); err != nil {
		return err
	}
	return o.put(parts...)
}

// slip queues lines without their ends.
func (o *outlet) slip(lines ...[]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, line := range lines {
		for len(o.queue) > 0 && len(o.queue)+len(line) > queueMax && o.err == nil {
			o.change.Wait()
		}
		if o.err != nil {
			return
		}
		o.queue = append(append(o.queue, line...), '\n')
		o.change.Broadcast()
	}
}

// offer queues a line without its end, and leaves it out where it would have to
// wait.
func (o *outlet) offer(line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil || len(o.queue) > 0 && len(o.queue)+len(line) > queueMax {
		return
	}
	o.queue = append(append(o.queue, line...), '\n')
	o.change.Broadcast()
}

// serve writes the queue whenever no forwarded line takes it along.
func (o *outlet) serve() {
	defer close(o.done)
	for {
		o.mu.Lock()
		for len(o.queue) == 0 && o.err == nil {
			o.change.Wait()
		}
		failed := o.err != nil
		o.mu.Unlock()
		if failed {
			return
		}
		o.write.Lock()
		_ = o.flush() // kept in o.err
		o.write.Unlock()
	}
}

// flush writes the queue; o.write is held.
func (o *outlet) flush() error {
	o.mu.Lock()
	batch, err := o.queue, o.err
	o.queue, o.busy = nil, len(batch) > 0
	o.mu.Unlock()
	if err != nil || len(batch) == 0 {
		return err
	}
	if o.midline {
		batch = append([]byte{'\n'}, batch...)
	}
	err = o.put(batch)
	o.mu.Lock()
	o.busy = false
	o.change.Broadcast()
	o.mu.Unlock()
	return err
}

// put writes; o.write is held.
func (o *outlet) put(parts ...[]byte) error {
	for _, p := range parts {
		if len(p) == 0 {
			continue
		}
		o.going.Store(int64(len(p)))
		if _, err := o.w.Write(p); err != nil {
			o.fail(err)
			return err
		}
		o.going.Store(0)
		o.midline = p[len(p)-1] != '\n'
	}
	return nil
}

// fail makes every later write fail with err and wakes who waits.
func (o *outlet) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	o.queue = nil
	o.change.Broadcast()
}

// empty waits until everything queued was written or cannot be any more.
func (o *outlet) empty() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for (len(o.queue) > 0 || o.busy) && o.err == nil {
		o.change.Wait()
	}
}

// open reports whether what was written last, if nothing is being written, did not
// end a line.
func (o *outlet) open() bool {
	if !o.write.TryLock() {
		return false
	}
	defer o.write.Unlock()
	return o.midline
}

// unwritten is how many bytes are queued or, some of them, not written yet.
func (o *outlet) unwritten() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return int64(len(o.queue)) + o.going.Load()
}

// close ends the side at once: what is queued is lost, pending writes return.
func (o *outlet) close() error {
	o.fail(errOutletClosed)
	return o.w.Close()
}
