package writes

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/notify"
)

// crew are the workers of a mediator. One of them waits for the next call, makes it,
// and waits again: a call wakes all waiting workers, which costs more than the call
// itself. Others join while calls take long, as on a slow disk, and leave again.
type crew struct {
	next  func(*notify.Request) error // waits for a call
	serve func(*call)
	errs  chan error

	waiting atomic.Int32 // workers that wait for a call
	wanted  atomic.Int32 // the largest number that should wait
	watched atomic.Bool  // whether the watch is awake
	poke    chan struct{}

	mu    sync.Mutex
	all   []*worker
	spare []*worker // those that do not wait for calls
}

// maxWorkers is the largest number of calls made at once. A call that waits for another
// process, such as the opening of a FIFO, moves off its worker; one connection does not.
const maxWorkers = 9

// worker makes calls, one after another.
type worker struct {
	crew  *crew
	turns atomic.Uint64 // odd while it makes a call
	again chan struct{} // of capacity one: wakes a spare worker
}

func newCrew(next func(*notify.Request) error, serve func(*call)) *crew {
	c := &crew{next: next, serve: serve, errs: make(chan error, maxWorkers), poke: make(chan struct{}, 1)}
	c.wanted.Store(1)
	return c
}

// run makes calls until the listener fails. It returns nil if no thread is left under
// the filter.
func (c *crew) run() error {
	go c.watch()
	c.join()
	err := <-c.errs
	if errors.Is(err, notify.ErrOver) {
		return nil
	}
	return err
}

// join makes one more worker wait for calls, up to maxWorkers.
func (c *crew) join() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch n := len(c.spare); {
	case n > 0:
		w := c.spare[n-1]
		c.spare = c.spare[:n-1]
		w.again <- struct{}{}
	case len(c.all) < maxWorkers:
		w := &worker{crew: c, again: make(chan struct{}, 1)}
		c.all = append(c.all, w)
		go func() { c.errs <- w.run() }()
	}
}

// run is the loop of one worker. It has a thread of its own with an umask of its own
// (CLONE_FS, unshare(2)).
func (w *worker) run() error {
	runtime.LockOSThread() // never unlocked: the thread now differs from the others
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("cannot have an umask of its own: %w", os.NewSyscallError("unshare", err))
	}
	c := w.crew
	job := call{r: &notify.Request{}}
	for c.waiting.Add(1); ; w.rejoin() {
		err := c.next(job.r)
		c.waiting.Add(-1)
		if err != nil {
			return err
		}
		w.turns.Add(1)
		c.wake()
		c.serve(&job)
		w.turns.Add(1)
	}
}

// rejoin makes the worker wait for calls again, at once or when it is needed.
func (w *worker) rejoin() {
	c := w.crew
	if c.waiting.Add(1) <= c.wanted.Load() {
		return
	}
	c.waiting.Add(-1)
	c.mu.Lock()
	c.spare = append(c.spare, w)
	c.mu.Unlock()
	<-w.again
	c.waiting.Add(1)
}

// The watch looks every tick while calls are made, and for some ticks after the last.
const (
	tick      = time.Millisecond
	idleTicks = 50
	calmTicks = 200 // ticks without a slow call after which one worker leaves
)

// wake wakes the watch.
func (c *crew) wake() {
	if !c.watched.Load() && c.watched.CompareAndSwap(false, true) {
		c.poke <- struct{}{}
	}
}

// watch adds a waiting worker if none waits and no call made progress for a tick. It
// sleeps while there are no calls.
func (c *crew) watch() {
	for range c.poke {
		before, idle, calm := uint64(0), 0, 0
		for idle < idleTicks {
			time.Sleep(tick)
			turns, busy := c.progress()
			stuck := busy && turns == before && c.waiting.Load() == 0
			switch {
			case stuck:
				calm = -1
				c.wanted.Store(min(c.wanted.Load()+1, maxWorkers))
				c.join()
			case calm%calmTicks == calmTicks-1:
				c.wanted.Store(max(c.wanted.Load()-1, 1))
			}
			calm++
			if idle++; busy || turns != before {
				idle = 0
			}
			before = turns
		}
		c.wanted.Store(1)
		c.watched.Store(false)
		if _, busy := c.progress(); busy {
			c.wake()
		}
	}
}

// progress counts the begun and ended calls of all workers, and reports whether a
// worker makes a call.
func (c *crew) progress() (turns uint64, busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.all {
		n := w.turns.Load()
		turns += n
		busy = busy || n%2 == 1
	}
	return turns, busy
}
