package seccomp

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Serve answers the notifications that come to the listener of the plan's filter
// until nobody is left who could send one, and then
// returns nil; or until the context ends, and then returns its cause. It does
// not close fd. Calls that nobody answers any more, because Serve returned and
// fd was closed, fail with ENOSYS: never with success.
//
// A refused call gets the errno that the filter without notifications gives it.
// Opens go on as if nobody had looked: what is read of them can change under
// the reader's eyes, so that they are observed here and decided by mounts and
// Landlock. An open is reported when it is about to fail because its path is
// absent inside and present outside, as the judge says, or because the file or its
// mount refuses the access. Connections go on in the same way, and are reported
// when the judge says that they are about to fail.
//
// report runs on Serve's goroutine, after the answer; it must not block for long.
// Reports are limited for each name, answers never: after the first calls of a
// name some are only counted, in the next report's More.
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
		if !cancel() { // it runs: not behind the close of its descriptor
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

// await waits for a call that there is something to do or to tell about. The eye
// does: it reads where a connection leads and lets it go on, which is what most calls
// are, without another thread. more is false when the last process under the filter
// is gone.
func (l *listener) await(ctx context.Context, stop int) (n notification, then decision, more bool, err error) {
	looking(func() {
		for {
			if more, err = wait(l.fd, stop); err != nil || !more || ctx.Err() != nil {
				return
			}
			if n, then, err = l.next(); err != nil || n.id != 0 && !l.passes(n, then) {
				return
			}
		}
	})
	return n, then, more, err
}

// passes lets a connection go on that will not fail for want of a rule. It runs on
// the eye. What it cannot tell it leaves as it is: another look says why.
func (l *listener) passes(n notification, then decision) bool {
	if then.kind != dialled || l.judge.Each != nil {
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

// wait blocks until a notification is there or stop is set; false means that
// the last process under the filter is gone.
func wait(fd, stop int) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(stop), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false, os.NewSyscallError("poll", err)
		}
		if fds[0].Revents&(unix.POLLNVAL|unix.POLLERR) != 0 {
			return false, fmt.Errorf("internal error: the seccomp listener's descriptor is not one")
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

// next takes one notification. It returns the zero one where the call is gone:
// its thread died, or a signal took it back.
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

// answer answers a call that is refused, or that goes to the kernel and was only
// looked at.
func (l *listener) answer(n notification, then decision) error {
	call := Call{Name: then.name, Args: n.args}
	answer := response{id: n.id}
	told := true
	switch then.kind {
	case traced, observed, dialled:
		if l.judge.Each != nil || then.kind == traced {
			l.see(n, then)
			told = false
			answer.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
			break
		}
		told = l.watch(n, then, &call)
		answer.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	case refused:
		call.Errno = syscall.Errno(then.errno)
		answer.errno = -int32(call.Errno)
	default: // the filter that was loaded is not the plan's
		call.Errno = syscall.EPERM
		answer.errno = -int32(call.Errno)
	}
	if told {
		call.PID, call.Program = whois(int(n.tid))
		if !valid(l.fd, n.id) { // the id may be another's by now, and so what was read
			call.PID, call.Program, call.Path = 0, "", ""
			told = then.kind == refused
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

// watch looks whether an open or a connection is about to fail for want of a rule.
func (l *listener) watch(n notification, then decision, call *Call) (told bool) {
	if then.kind == observed {
		call.Path, call.Errno = look(n, then.name, l.judge.Path)
	} else {
		call.Addr, call.Errno = dialling(n, l.judge.Addr)
	}
	return call.Errno != 0
}

// decision is what the plan says of one call.
type decision struct {
	action
	name string // of the call
	// quota is what the call is reported under. Numbers without a name share one,
	// so that nobody fills memory by making them up.
	quota string
}

func (l *listener) verdict(n notification) decision {
	r, ok := native()[n.nr]
	if !ok {
		return decision{absent, fmt.Sprintf("system call %d", n.nr), ""}
	}
	then := r.decide(l.plan, n.args)
	if then.ret(l.plan) == retAllow {
		then = allow
	}
	return decision{then, r.name, r.name}
}

// native is the table by the numbers of this machine.
var native = sync.OnceValue(func() map[int32]row {
	index, _ := indexOf(runtime.GOARCH)
	rows := make(map[int32]row, len(numbers))
	for _, r := range table() {
		if n, ok := number(r.name, index); ok {
			rows[int32(n)] = r
		}
	}
	return rows
})
