package notify

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/await"
	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
)

// Listener is the listener of a filter whose plan mediates writes. Several goroutines
// may call Next at once; each Request belongs to one of them.
type Listener struct {
	l listener
}

// NewListener makes a Listener that answers the calls on the descriptor fd; the caller
// must close fd. report is called from one goroutine at a time, and its calls are
// limited in rate for each name, as those of [Serve].
func NewListener(fd int, p plan.Seccomp, judge Judge, report func(Call)) *Listener {
	syncWakeUp(fd)
	return &Listener{listener{fd: fd, plan: p, judge: judge, limit: newLimiter(report)}}
}

// ErrOver reports that no thread is left under the filter.
var ErrOver = errors.New("nobody is left under the filter")

// Next waits for a call that the mediator must make for the server, and stores it in r.
// Meanwhile it answers the calls that are only refused or observed. It returns ErrOver
// once the last thread under the filter is gone.
//
// If several goroutines wait, a call wakes all of them since Linux 6.6, and one gets
// it. For speed, let only one goroutine wait.
func (l *Listener) Next(r *Request) error {
	if r.fds == nil {
		r.fds = readable(l.l.fd)
	}
	for {
		if more, err := wait(&r.wait, r.fds); err != nil {
			return err
		} else if !more {
			return ErrOver
		}
		n, then, err := l.l.next()
		switch {
		case err != nil:
			return err
		case n.id == 0: // another goroutine took it
		case then.Kind == seccomp.Written, then.Kind == seccomp.Dialled:
			r.TID, r.Name, r.Args, r.id, r.of = int(n.tid), then.Name, n.args, n.id, &l.l
			return nil
		default:
			if err := l.l.answer(n, then); err != nil {
				return err
			}
		}
	}
}

// Flush reports the calls that were only counted so far.
func (l *Listener) Flush() { l.l.limit.flush() }

// Request is one call for which a thread of the server waits. Answer it once, by
// Return, Fail, Hand or Continue. Data read for it from memory and from /proc belongs
// to the thread only if Waits is still true afterwards. The zero Request is none; Next
// may reuse it any number of times.
type Request struct {
	TID  int
	Name string
	Args [6]uint64

	id   uint64
	of   *listener
	text []byte // buffer of Path
	wait await.Waiter
	fds  []unix.PollFd // what wait waits for
}

// Keep returns a copy of the request that survives the next call of Next.
func (r *Request) Keep() *Request {
	return &Request{TID: r.TID, Name: r.Name, Args: r.Args, id: r.id, of: r.of}
}

// Waits reports whether the thread still waits for the answer.
func (r *Request) Waits() bool { return valid(r.of.fd, r.id) }

// Return answers the call with a value.
func (r *Request) Return(value int64) error { return r.send(response{id: r.id, val: value}) }

// Fail answers the call with an errno.
func (r *Request) Fail(errno syscall.Errno) error {
	return r.send(response{id: r.id, errno: -int32(errno)})
}

// Continue lets the kernel make the call. It is no decision: the caller may have
// changed the memory behind its arguments (seccomp_unotify(2)).
func (r *Request) Continue() error {
	return r.send(response{id: r.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

// errGone reports that the thread no longer waits.
var errGone = errors.New("nobody waits for the answer any more")

func (r *Request) send(a response) error { return answered(respond(r.of.fd, a)) }

func answered(err error) error {
	switch err {
	case nil:
		return nil
	case unix.ENOENT, unix.EINPROGRESS:
		return errGone
	}
	return os.NewSyscallError("ioctl SECCOMP_IOCTL_NOTIF_SEND", err)
}

// Hand answers the call with a copy of the descriptor and closes the original before
// the thread continues: a second open descriptor here would keep the file busy
// (execve(2), ETXTBSY), locked (flock(2)) or a FIFO open for longer than the thread
// expects. The thread's own limit of descriptors applies: the call then fails with
// EMFILE.
func (r *Request) Hand(file int, cloexec bool) error {
	flags := uint32(0)
	if cloexec {
		flags = unix.O_CLOEXEC
	}
	n, err := hand(r.of.fd, r.id, file, flags)
	unix.Close(file)
	if err == nil {
		return r.Return(int64(n))
	}
	if errno, ok := err.(syscall.Errno); ok && errno != unix.ENOENT && errno != unix.EINPROGRESS {
		return r.Fail(errno)
	}
	return answered(err)
}

// Path returns the string behind an argument, copied once. The error is the errno with
// which the call must fail.
func (r *Request) Path(arg int) (string, syscall.Errno) {
	if r.text == nil {
		r.text = make([]byte, unix.PathMax)
	}
	path, err := readText(r.TID, r.Args[arg], r.text)
	switch {
	case errors.Is(err, errEndless):
		return "", unix.ENAMETOOLONG
	case err != nil:
		return "", unix.EFAULT
	}
	return path, 0
}

// Bytes fills buf from the memory behind an argument.
func (r *Request) Bytes(arg int, buf []byte) syscall.Errno {
	if len(buf) == 0 {
		return 0
	}
	if readMemory(r.TID, r.Args[arg], buf) != nil {
		return unix.EFAULT
	}
	return 0
}

// Process returns the process of the thread and the name that it gave itself; 0 if the
// thread is gone.
func (r *Request) Process() (pid int, program string) { return whois(r.TID) }

// Report reports the call as refused with the given errno.
func (r *Request) Report(c Call) {
	c.Name, c.Args = r.Name, r.Args
	c.PID, c.Program = r.Process()
	quota := r.Name
	if c.Path != "" {
		quota = "write"
	}
	r.of.limit.add(quota, c)
}
