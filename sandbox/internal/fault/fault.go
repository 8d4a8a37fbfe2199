// Package fault makes chosen system calls fail, for tests. A test sees how a program
// behaves when the kernel refuses a call, one call at a time and without a seam in the
// program. It uses seccomp_unotify(2): the calls wait, and get an error or are let
// through.
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

// Call is one system call that Watch saw.
type Call struct {
	Number uintptr
	Args   [6]uint64
	Stage  string // the comm of the thread that made it (proc_pid_comm(5))
	Thread int    // that thread's id
	Own    bool   // the thread is the one that runs f, not a later child
}

// String names the call and, if it is not f's own, its thread.
func (c Call) String() string {
	where := ""
	if !c.Own {
		where = " of " + c.Stage
	}
	return fmt.Sprintf("system call %d(%#x, %#x, %#x, %#x, %#x)%s", c.Number, c.Args[0], c.Args[1], c.Args[2], c.Args[3], c.Args[4], where)
}

// Answer is the result of a call. The zero Answer lets the kernel make it.
type Answer struct {
	instead bool
	value   int64
	errno   unix.Errno
}

// Pass lets the kernel make the call.
var Pass Answer

// Fail returns an error instead of making the call.
func Fail(errno unix.Errno) Answer { return Answer{instead: true, errno: errno} }

// Return returns a value instead of making the call.
func Return(value int64) Answer { return Answer{instead: true, value: value} }

// Watch runs f on its own thread, which ends with f. It asks decide about every call
// with one of these numbers that the thread or its children make; the call waits for
// decide. It does not see the calls of f's other goroutines, and leaves the thread of
// the calling goroutine as it is. Watch cannot be nested: a process tree has one
// listener only (seccomp(2), EBUSY).
func Watch(numbers []uintptr, decide func(Call) Answer, f func()) error {
	// A garbage collection would wait for a thread that waits here in a call that Go
	// takes for a short one, and the goroutine that answers the call would wait for the
	// collection.
	was := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(was)
	if was >= 0 {
		runtime.GC() // also ends a collection that is under way
	}
	if r, w, err := os.Pipe(); err == nil { // start the runtime's poller now, not under the filter
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

// answered is a call and its answer.
type answered struct {
	call   Call
	answer Answer
}

// decided returns the answer to a call. If a signal interrupts a call before its answer
// arrives, the call is made again (signal(7)). It then gets the same answer, and decide
// is not asked twice.
func (w watched) decided(c Call, decide func(Call) Answer) Answer {
	if was, ok := w.undelivered[c.Thread]; ok && was.call.Number == c.Number && was.call.Args == c.Args {
		return was.answer
	}
	a := decide(c)
	w.undelivered[c.Thread] = answered{c, a}
	return a
}

// answer answers calls until f has returned.
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
		if fds[0].Revents == unix.POLLERR { // a signal interrupted the kernel (kernel/seccomp.c, seccomp_notify_poll)
			continue
		}
		if fds[0].Revents&unix.POLLIN == 0 { // no thread has the filter any more
			<-ended
			return nil
		}
		if err := w.one(decide); err != nil && err != unix.ENOENT && err != unix.EINTR {
			return os.NewSyscallError("ioctl", err)
		}
	}
}

// comm returns the name of a thread, or "". It does without package os, which reports
// each file to package testing under a lock that the waiting thread may hold.
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

// noted reports whether a call is package testing's own. Package testing writes its
// notes on the files that a test opens in blocks of 4 KiB, on the thread that fills a
// block.
func noted(c Call) bool { return c.Number == unix.SYS_WRITE && c.Args[2] == 4<<10 }

// Each runs f repeatedly. In each run another of the calls that chosen picks fails with
// errno; nil picks them all. It returns the calls whose failure f did not report. f
// must set up its own needs and leave nothing behind. A write of exactly 4 KiB never
// fails, as it may be package testing's.
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
