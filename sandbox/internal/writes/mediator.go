package writes

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
)

// workers is how many calls are made at once. A call that may block, such as the
// opening of a FIFO, leaves its worker to the others.
const workers = 4

// Mediator makes calls for the threads of one server.
type Mediator struct {
	judge    *plan.Judge
	barred   func(netip.AddrPort) syscall.Errno
	listener *seccomp.Listener

	// tree is held for reading while a call is decided and made, and for writing
	// while a name is moved: what a path means to the plan stays so in between.
	tree sync.RWMutex
	// repository is held while a name is made that completes a repository.
	repository sync.Mutex
	// known is what the scan found; it waits for it.
	known func() plan.Known
	// aliases are the inodes of protected files that have other names, too.
	aliases func() aliases
	// sockets are the file systems whose unix sockets may be connected to.
	sockets map[uint64]bool
	// waiting bounds the calls that wait for somebody, such as a FIFO's reader.
	waiting chan struct{}
}

// maxWaiting is how many calls of one server may wait for somebody at once.
const maxWaiting = 64

// New prepares a mediator for the plan, whose listener is fd. report is called
// from one goroutine at a time, and limited in rate. The scan of the folders
// begins at once; the first change waits for it.
func New(p plan.Plan, fd int, report func(seccomp.Call)) (*Mediator, error) {
	m := &Mediator{judge: plan.NewJudge(p.Writes), barred: seccomp.Barred(p), waiting: make(chan struct{}, maxWaiting), sockets: map[uint64]bool{}}
	for _, dir := range p.Writes.Sockets {
		var st unix.Stat_t
		if err := unix.Stat(dir, &st); err != nil {
			return nil, &os.PathError{Op: "stat", Path: dir, Err: err}
		}
		m.sockets[uint64(st.Dev)] = true
	}
	s := newScan(m.judge, p.Writes.Folders)
	go s.run()
	m.known = func() plan.Known { return s.result().known }
	m.aliases = sync.OnceValue(func() aliases { return findAliases(s.result().protected) })
	outside := func(string) bool { return true } // the launcher knows what is outside
	m.listener = seccomp.NewListener(fd, p.Seccomp, seccomp.Judge{Path: outside}, report)
	return m, nil
}

// Run makes calls until the listener fails, which it does when nobody is left to
// ask it.
func (m *Mediator) Run() error {
	errs := make(chan error, workers)
	for range workers {
		go func() { errs <- m.work() }()
	}
	return <-errs
}

// Flush reports the calls that were only counted so far.
func (m *Mediator) Flush() { m.listener.Flush() }

// work is one worker. It has a thread of its own with an umask of its own
// (CLONE_FS, unshare(2)).
func (m *Mediator) work() error {
	runtime.LockOSThread() // for good: the thread is not like the others any more
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("cannot have an umask of its own: %w", os.NewSyscallError("unshare", err))
	}
	for {
		r, err := m.listener.Next()
		if err != nil {
			return err
		}
		m.serve(r)
	}
}

// serve answers one call.
func (m *Mediator) serve(r *seccomp.Request) {
	h, ok := handlers[r.Name]
	if !ok {
		answer(r, outcome{errno: unix.ENOSYS})
		return
	}
	c := &call{m: m, r: r}
	out := h(c)
	c.close()
	answer(r, out)
}

// outcome is what becomes of a call. The zero outcome succeeds with 0.
type outcome struct {
	errno  syscall.Errno
	hands  bool // file is handed over, and closed here
	file   int
	flags  uint64 // of the open that it is for
	native bool   // the kernel makes the call, with the server's rights
	later  bool   // somebody else answers
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

// answer tells the waiting thread. An error says that it is gone, or that the
// listener is, of which the next call hears.
func answer(r *seccomp.Request, o outcome) {
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

// call is one call while it is made.
type call struct {
	m    *Mediator
	r    *seccomp.Request
	open []int // descriptors to close
}

// keep has a descriptor closed when the call is done.
func (c *call) keep(fd int) int {
	c.open = append(c.open, fd)
	return fd
}

func (c *call) close() {
	for _, fd := range c.open {
		unix.Close(fd)
	}
}

// arg is an argument that the kernel reads as an int.
func (c *call) arg(i int) int { return int(int32(c.r.Args[i])) }

// path is a path that an argument points to.
func (c *call) path(i int) (string, syscall.Errno) { return c.r.Path(i) }

// wait makes a call that may wait for somebody on a goroutine of its own.
func (c *call) wait(f func() outcome) outcome {
	select {
	case c.m.waiting <- struct{}{}:
	default:
		return outcome{errno: unix.EAGAIN}
	}
	open := c.open
	c.open = nil
	go func() {
		out := f()
		(&call{open: open}).close()
		answer(c.r, out)
		<-c.m.waiting
	}()
	return outcome{later: true}
}
