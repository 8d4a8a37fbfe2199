package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/plan"
)

// terminal is the pipe in place of the terminal multiplexer, in a sandbox without
// terminals. Programs that open it find that it is no terminal.
type terminal struct {
	pipe  *os.File
	raw   syscall.RawConn
	asked sync.Once
}

// newTerminal opens the pipe before anything runs that could open it; nil where the
// plan has none.
func newTerminal(rootfs string, p plan.Plan) (*terminal, error) {
	if !slices.ContainsFunc(p.Root, func(m plan.Mount) bool { return m.Kind == plan.MountPipe && m.Target == plan.Terminals }) {
		return nil, nil
	}
	pipe, err := os.OpenFile(filepath.Join(rootfs, plan.Terminals), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	raw, err := pipe.SyscallConn()
	if err != nil {
		pipe.Close()
		return nil, err
	}
	return &terminal{pipe: pipe, raw: raw}, nil
}

// await has report called once, by another goroutine, when the server asks for a
// terminal.
func (t *terminal) await(report func()) {
	if t == nil {
		return
	}
	go func() { // until it was opened, or is closed
		if t.raw.Read(wasOpened) == nil {
			t.asked.Do(report)
		}
	}()
}

// end closes the pipe and ends the wait. A server that has just asked is reported.
func (t *terminal) end(report func()) {
	if t == nil {
		return
	}
	_ = t.raw.Control(func(fd uintptr) {
		if wasOpened(fd) {
			t.asked.Do(report)
		}
	})
	t.pipe.Close()
}

// noTerminal is the event of a server that asked for one.
func noTerminal(during *audit.Request) audit.Event {
	return audit.Event{Kind: audit.KindFile, Verdict: audit.Refused, Subject: "/dev/ptmx", Errno: "EINVAL", Request: during,
		Detail: "the server asked for a terminal, and the profile gives it none", Hint: "process.pty = true"}
}

// wasOpened reports whether somebody has opened a FIFO for writing since fd was opened
// (fifo(7), poll(2)).
func wasOpened(fd uintptr) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return n > 0 && err == nil
}
