package notify

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/await"
	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
)

// Serve answers the notifications on the listener of the plan's filter. It returns nil
// once no process is left that could send one, or the context's cause once the context
// ends. It does not close fd. After Serve has returned and fd is closed, unanswered
// calls fail with ENOSYS: never with success.
//
// A refused call gets the same errno as from the filter without notifications. Opens
// continue unchanged: another thread can change the memory that Serve reads, so Serve
// only observes them, and mounts and Landlock decide. Serve reports an open that is
// about to fail, either because its path is absent inside and present outside, as the
// judge says, or because the file or its mount refuses the access. Connections continue
// likewise, and Serve reports those that are about to fail, as the judge says.
//
// report runs on Serve's goroutine, after the answer; it must not block for long.
// Reports are limited for each name, answers never: after the first calls of a name,
// the next report's More counts the others.
func Serve(ctx context.Context, fd int, p plan.Seccomp, judge Judge, report func(Call)) error {
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return os.NewSyscallError("eventfd2", err)
	}
	defer unix.Close(stop)
	woken := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(woken)
		_, _ = unix.Write(stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	defer func() {
		if !cancel() { // it runs: wait for it before its descriptor is closed
			<-woken
		}
	}()
	syncWakeUp(fd)
	l := listener{fd: fd, plan: p, judge: judge, limit: newLimiter(report)}
	defer l.limit.flush()
	for {
		n, then, more, err := l.await(ctx, stop)
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !more {
			return nil
		}
		if err := l.answer(n, then); err != nil {
			return err
		}
	}
}

// await waits for a call that needs an answer other than to continue, or a report. It
// runs on the eye, which reads the address of a connection and lets it continue: that
// handles most calls without another thread. more is false once the last process under
// the filter is gone.
func (l *listener) await(ctx context.Context, stop int) (n notification, then decision, more bool, err error) {
	looking(func() {
		var w await.Waiter
		fds := readable(l.fd, stop)
		for {
			if more, err = wait(&w, fds); err != nil || !more || ctx.Err() != nil {
				return
			}
			if n, then, err = l.next(); err != nil || n.id != 0 && !l.passes(n, then) {
				return
			}
		}
	})
	return n, then, more, err
}

// passes lets a connection continue unless it is about to fail for lack of a rule, and
// returns whether it did. It must run on the eye. Where it cannot tell, it returns
// false, and answer looks again and finds the reason.
func (l *listener) passes(n notification, then decision) bool {
	if then.Kind != seccomp.Dialled || l.judge.Each != nil {
		return false
	}
	var buf [unix.SizeofSockaddrInet6]byte
	addr := buf[:min(n.args[2], uint64(len(buf)))]
	if len(addr) > 0 {
		if k, err := glimpse(int(n.tid), n.args[1], addr); err != nil || k < len(addr) {
			return false
		}
	}
	if to, ok := sockaddr(addr); ok && l.judge.Addr != nil && l.judge.Addr(to) != 0 {
		return false
	}
	err := respond(l.fd, response{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
	return err == nil || err == unix.ENOENT || err == unix.EINPROGRESS
}

// readable are the descriptors for wait, the listener first.
func readable(fds ...int) (out []unix.PollFd) {
	for _, fd := range fds {
		out = append(out, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	return out
}

// wait blocks until a notification arrives or another of the descriptors is readable;
// false means that the last process under the filter is gone.
func wait(w *await.Waiter, fds []unix.PollFd) (bool, error) {
	for {
		n, err := w.Poll(fds)
		if err != nil {
			return false, err
		}
		if n == 0 {
			continue
		}
		if fds[0].Revents&unix.POLLNVAL != 0 {
			return false, fmt.Errorf("internal error: the seccomp listener's descriptor is not one")
		}
		// The kernel answers POLLERR if a signal comes while it waits for the filter's
		// lock (kernel/seccomp.c, seccomp_notify_poll).
		if fds[0].Revents == unix.POLLERR && n == 1 {
			continue
		}
		return fds[0].Revents&unix.POLLIN != 0 || fds[0].Revents&unix.POLLHUP == 0, nil
	}
}

// listener answers one notification at a time.
type listener struct {
	fd    int
	plan  plan.Seccomp
	judge Judge
	limit *limiter
}

// next takes one notification. It returns the zero one if the call is gone: its thread
// died, or a signal interrupted it.
func (l *listener) next() (notification, decision, error) {
	n, err := receive(l.fd)
	switch err {
	case nil:
		return n, l.verdict(n), nil
	case unix.EINTR, unix.ENOENT:
		return notification{}, decision{}, nil
	}
	return n, decision{}, os.NewSyscallError("ioctl SECCOMP_IOCTL_NOTIF_RECV", err)
}

// answer answers a call that is refused, or that continues to the kernel after a look.
func (l *listener) answer(n notification, then decision) error {
	call := Call{Name: then.Name, Args: n.args}
	answer := response{id: n.id}
	told := true
	switch then.Kind {
	case seccomp.Traced, seccomp.Observed, seccomp.Dialled:
		if l.judge.Each != nil || then.Kind == seccomp.Traced {
			l.see(n, then)
			told = false
			answer.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
			break
		}
		told = l.watch(n, then, &call)
		answer.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	case seccomp.Refused:
		call.Errno = then.Errno
		answer.errno = -int32(call.Errno)
	default: // the loaded filter is not the plan's
		call.Errno = syscall.EPERM
		answer.errno = -int32(call.Errno)
	}
	if told {
		call.PID, call.Program = whois(int(n.tid))
		if !valid(l.fd, n.id) { // the id may be reused by now, and the data may be another process's
			call.PID, call.Program, call.Path = 0, "", ""
			told = then.Kind == seccomp.Refused
		}
	}
	if err := respond(l.fd, answer); err != nil && err != unix.ENOENT && err != unix.EINPROGRESS {
		return os.NewSyscallError("ioctl SECCOMP_IOCTL_NOTIF_SEND", err)
	}
	if told {
		l.limit.add(then.quota, call)
	}
	return nil
}

// watch checks whether an open or a connection is about to fail for lack of a rule.
func (l *listener) watch(n notification, then decision, call *Call) (told bool) {
	if then.Kind == seccomp.Observed {
		call.Path, call.Errno = look(n, then.Name, l.judge.Path)
	} else {
		call.Addr, call.Errno = dialling(n, l.judge.Addr)
	}
	return call.Errno != 0
}

// decision is the plan's decision on one call.
type decision struct {
	seccomp.Decision
	// quota is the name under which reports of the call are limited. Numbers without a
	// name share one, so that nobody can fill memory with invented numbers.
	quota string
}

func (l *listener) verdict(n notification) decision {
	then := decision{Decision: seccomp.Decide(l.plan, n.nr, n.args)}
	if then.quota = then.Name; then.Name == "" {
		then.Name = fmt.Sprintf("system call %d", n.nr)
	}
	return then
}
