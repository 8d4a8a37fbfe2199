package writes

import (
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/notify"
	"mcpen/sandbox/plan"
)

// Mediator makes calls for the threads of one server.
type Mediator struct {
	judge    *plan.Judge
	barred   func(netip.AddrPort) syscall.Errno
	listener *notify.Listener

	// tree is held for reading while a call is decided and made, and for writing while
	// a name is moved. So the plan's view of a path stays valid in between.
	tree sync.RWMutex
	// repository is held while a name is made that could complete a repository.
	repository sync.Mutex
	// known returns the scan's findings; it waits for the scan.
	known func() plan.Known
	// aliases returns the inodes of protected files that also have other names.
	aliases func() aliases
	// sockets are the file systems in which the server may connect to unix sockets.
	sockets map[uint64]bool
	// waiting bounds the calls that wait for another process, such as a FIFO's reader.
	waiting chan struct{}
	// connecting reports whether a worker makes a connection.
	connecting atomic.Bool
}

// maxWaiting is the largest number of a server's calls that may wait for another
// process at once.
const maxWaiting = 64

// New prepares a mediator for the plan, whose listener is fd. report is called from one
// goroutine at a time, and its calls are limited in rate. The scan of the folders
// begins at once; the first change waits for it.
func New(p plan.Plan, fd int, report func(notify.Call)) (*Mediator, error) {
	m := &Mediator{judge: plan.NewJudge(p.Writes), barred: notify.Barred(p), waiting: make(chan struct{}, maxWaiting), sockets: map[uint64]bool{}}
	for _, dir := range p.Writes.Sockets {
		var st unix.Stat_t
		if err := unix.Stat(dir, &st); err != nil {
			return nil, &os.PathError{Op: "stat", Path: dir, Err: err}
		}
		m.sockets[uint64(st.Dev)] = true
	}
	s := newScan(m.judge, p.Writes)
	go s.run()
	m.known = func() plan.Known { return s.result().known }
	m.aliases = sync.OnceValue(func() aliases { return findAliases(s.result().protected) })
	outside := func(string) bool { return true } // the launcher knows the files outside
	m.listener = notify.NewListener(fd, p.Seccomp, notify.Judge{Path: outside}, report)
	return m, nil
}

// Run makes calls until the listener fails. It returns nil if no thread is left under
// the filter. Call it once.
func (m *Mediator) Run() error { return newCrew(m.listener.Next, m.serve).run() }

// Flush reports the calls that were only counted so far.
func (m *Mediator) Flush() { m.listener.Flush() }

// serve answers one call and closes the descriptors that it used.
func (m *Mediator) serve(c *call) {
	c.m = m
	h, ok := handlers[c.r.Name]
	if !ok {
		answer(c.r, outcome{errno: unix.ENOSYS})
		return
	}
	out := h(c)
	c.close()
	answer(c.r, out)
}

// outcome is the result of a call. The zero outcome succeeds with 0.
type outcome struct {
	errno  syscall.Errno
	hands  bool // file is passed to the thread, and closed here
	file   int
	flags  uint64 // of the open that it answers
	native bool   // the kernel makes the call, with the server's rights
	later  bool   // another goroutine answers
}

var native = outcome{native: true}

func failed(err error) outcome {
	if err == nil {
		return outcome{}
	}
	if errno, ok := err.(syscall.Errno); ok {
		return outcome{errno: errno}
	}
	return outcome{errno: unix.EIO}
}

// answer answers the waiting thread. An error means that the thread is gone, or the
// listener; the next call then sees that.
func answer(r *notify.Request, o outcome) {
	switch {
	case o.later:
	case o.native:
		_ = r.Continue()
	case o.hands:
		_ = r.Hand(o.file, o.flags&unix.O_CLOEXEC != 0)
	case o.errno != 0:
		_ = r.Fail(o.errno)
	default:
		_ = r.Return(0)
	}
}

// call is one call in progress.
type call struct {
	m    *Mediator
	r    *notify.Request
	open []int // descriptors to close
}

// keep registers a descriptor to close at the end of the call.
func (c *call) keep(fd int) int {
	c.open = append(c.open, fd)
	return fd
}

func (c *call) close() {
	for _, fd := range c.open {
		unix.Close(fd)
	}
	c.open = c.open[:0]
}

// arg is an argument that the kernel reads as an int.
func (c *call) arg(i int) int { return int(int32(c.r.Args[i])) }

// path is the path behind an argument.
func (c *call) path(i int) (string, syscall.Errno) { return c.r.Path(i) }

// wait makes a call that may wait for another process on a goroutine of its own, as a
// call of its own; the worker continues with the next.
func (c *call) wait(f func(c *call) outcome) outcome {
	select {
	case c.m.waiting <- struct{}{}:
	default:
		return outcome{errno: unix.EAGAIN}
	}
	left := &call{m: c.m, r: c.r.Keep(), open: c.open}
	c.open = nil
	go func() {
		out := f(left)
		left.close()
		answer(left.r, out)
		<-left.m.waiting
	}()
	return outcome{later: true}
}
