// Package fault makes system calls fail, for tests: what a program does when the
// kernel says no is seen by having it say no, call by call, with no seam in the
// program. It works by seccomp_unotify(2): the calls wait, and are answered with an
// error or let through.
package fault

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Call is one system call that was seen.
type Call struct {
	Number uintptr
	Args   [6]uint64
	Stage  string // the name of the thread that made it, as /proc/PID/comm has it
	Thread int    // its number
	Own    bool   // by the thread that f runs on, not by what it started
}

// String names the call for a message.
func (c Call) String() string {
	where := ""
	if !c.Own {
		where = " of " + c.Stage
	}
	return fmt.Sprintf("system call %d(%#x, %#x, %#x, %#x, %#x)%s", c.Number, c.Args[0], c.Args[1], c.Args[2], c.Args[3], c.Args[4], where)
}

// Answer is what becomes of a call. The zero Answer lets it through.
type Answer struct {
	instead bool
	value   int64
	errno   unix.Errno
}

// Pass lets a call through.
var Pass Answer

// Fail has a call fail, and do nothing.
func Fail(errno unix.Errno) Answer { return Answer{instead: true, errno: errno} }

// Return has a call return a value, and do nothing.
func Return(value int64) Answer { return Answer{instead: true, value: value} }

// Watch runs f on a thread of its own, which ends with f, and asks decide for every
// call with one of these numbers that the thread makes, or that what it started
// makes. A call waits for as long as decide does. Another listener cannot be made
// below this one (seccomp(2), EBUSY). Nothing of the calling goroutine's
// is changed, and calls of f's other goroutines are not seen.
func Watch(numbers []uintptr, decide func(Call) Answer, f func()) error {
	// A thread that waits here in a call that Go believes to be short would keep a
	// collection, and that the goroutine that answers, waiting for ever.
	was := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(was)
	if was >= 0 {
		runtime.GC() // to its end: one may have begun
	}
	if r, w, err := os.Pipe(); err == nil { // the runtime's poller begins now, and not under the filter
		r.Close()
		w.Close()
	}
	started := make(chan watched)
	ended := make(chan struct{})
	go onThread(numbers, started, ended, f)
	w := <-started
	if w.err != nil {
		return w.err
	}
	defer unix.Close(w.listener)
	return w.answer(ended, decide)
}

// watched is a thread under the filter.
type watched struct {
	listener, thread int
	undelivered      map[int]answered // by the thread that made the call
	err              error
}

// answered is a call with its answer.
type answered struct {
	call   Call
	answer Answer
}

// decided is the answer to a call. A call that a signal took back before it was
// answered is made again (signal(7)): it gets the same answer, and decide sees it once.
func (w watched) decided(c Call, decide func(Call) Answer) Answer {
	if was, ok := w.undelivered[c.Thread]; ok && was.call.Number == c.Number && was.call.Args == c.Args {
		return was.answer
	}
	a := decide(c)
	w.undelivered[c.Thread] = answered{c, a}
	return a
}

// answer answers calls until f has ended.
func (w watched) answer(ended <-chan struct{}, decide func(Call) Answer) error {
	for {
		select {
		case <-ended:
			return nil
		default:
		}
		fds := []unix.PollFd{{Fd: int32(w.listener), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 5); n == 0 || err == unix.EINTR {
			continue
		} else if err != nil {
			return os.NewSyscallError("poll", err)
		}
		if fds[0].Revents&unix.POLLIN == 0 { // nobody is under the filter any more
			<-ended
			return nil
		}
		if err := w.one(decide); err != nil && err != unix.ENOENT && err != unix.EINTR {
			return os.NewSyscallError("ioctl", err)
		}
	}
}

// comm is the name of a thread, or nothing. It is read without package os, which
// tells package testing of each file under a lock: the thread that waits for this
// answer may hold it.
func comm(thread int) string {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/comm", thread), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var name [64]byte
	n, _ := unix.Read(fd, name[:])
	return strings.TrimSpace(string(name[:max(n, 0)]))
}

// noted reports whether a call is package testing's own, which notes the files that a
// test opens and writes its notes 4 KiB at a time, on whichever thread fills them.
func noted(c Call) bool { return c.Number == unix.SYS_WRITE && c.Args[2] == 4<<10 }

// Each runs f again and again; in each run another of the calls that chosen picks
// fails with errno. It returns the calls of which f did not tell an error. f makes
// what it needs itself and leaves nothing behind. A write of just 4 KiB never fails:
// it is taken for package testing's.
func Each(numbers []uintptr, errno unix.Errno, chosen func(Call) bool, f func() error) (unheard []Call, err error) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	for n := 0; ; n++ {
		seen, failed := 0, []Call(nil)
		var told error
		err := Watch(numbers, func(c Call) Answer {
			if noted(c) || chosen != nil && !chosen(c) {
				return Pass
			}
			if seen++; seen == n+1 {
				failed = append(failed, c)
				return Fail(errno)
			}
			return Pass
		}, func() { told = f() })
		if err != nil {
			return nil, err
		}
		if len(failed) == 0 {
			if told != nil {
				return nil, fmt.Errorf("it fails by itself: %w", told)
			}
			if n == 0 {
				return nil, fmt.Errorf("none of these calls was made")
			}
			return unheard, nil
		}
		if told == nil {
			unheard = slices.Concat(unheard, failed)
		}
	}
}
