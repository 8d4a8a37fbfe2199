package relay

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// queueMax bounds, in bytes, the lines waiting for insertion between forwarded ones. A
// caller that adds to a full queue waits: that is back-pressure on the side whose lines
// cause the answers.
const queueMax = 256 << 10

var errOutletClosed = errors.New("nobody reads there any more")

// outlet writes lines to one side. The goroutine that reads a line also forwards it.
// mcpen's own lines are queued, so that a side that does not read cannot stop the relay
// from reading the other side. Lines are never mixed.
type outlet struct {
	w io.WriteCloser

	write   sync.Mutex // held while a line is written
	midline bool       // the last write did not end a line

	going atomic.Int64 // bytes being written

	mu     sync.Mutex // guards the rest; never held during a write
	change sync.Cond
	queue  []byte
	busy   bool // the goroutine writes data from the queue
	err    error
	done   chan struct{}
}

func newOutlet(w io.WriteCloser) *outlet {
	o := &outlet{w: w, done: make(chan struct{})}
	o.change.L = &o.mu
	go o.serve()
	return o
}

// forward writes parts, which together are one line with its end, after the lines
// queued before.
func (o *outlet) forward(parts ...[]byte) error {
	o.write.Lock()
	defer o.write.Unlock()
	if err := o.flush(); err != nil {
		return err
	}
	return o.put(parts...)
}

// slip queues lines without their ends. It waits while the queue is full.
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

// offer queues a line without its end, and drops it if it would have to wait.
func (o *outlet) offer(line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil || len(o.queue) > 0 && len(o.queue)+len(line) > queueMax {
		return
	}
	o.queue = append(append(o.queue, line...), '\n')
	o.change.Broadcast()
}

// serve writes the queue if no forwarded line has done so.
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

// flush writes the queue. The caller must hold o.write.
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

// put writes. The caller must hold o.write.
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

// fail makes every later write fail with err and wakes waiting callers.
func (o *outlet) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	o.queue = nil
	o.change.Broadcast()
}

// empty waits until everything queued is written, or can no longer be written.
func (o *outlet) empty() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for (len(o.queue) > 0 || o.busy) && o.err == nil {
		o.change.Wait()
	}
}

// open reports whether the last write did not end a line. It returns false during a
// write.
func (o *outlet) open() bool {
	if !o.write.TryLock() {
		return false
	}
	defer o.write.Unlock()
	return o.midline
}

// unwritten is the number of bytes that are queued or being written.
func (o *outlet) unwritten() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return int64(len(o.queue)) + o.going.Load()
}

// close closes the side at once: the queue is lost, pending writes return.
func (o *outlet) close() error {
	o.fail(errOutletClosed)
	return o.w.Close()
}
