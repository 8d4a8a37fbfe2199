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

// terminal is the pipe that lies where terminals are made, in a sandbox that gives
// none. Programs that open it find that it is no terminal.
type terminal struct {
	pipe *os.File
	raw  syscall.RawConn
	told sync.Once
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

// awaitTerminal begins to wait for a server that asks for a terminal.
func (b *Box) awaitTerminal() {
	if t := b.terminal; t != nil {
		go func() { // until it was opened, or is closed
			if t.raw.Read(opened) == nil {
				b.noTerminal(t)
			}
		}()
	}
}

// endTerminal tells of a server that has just asked, and ends the wait.
func (b *Box) endTerminal() {
	t := b.terminal
	if t == nil {
		return
	}
	_ = t.raw.Control(func(fd uintptr) {
		if b.carrier != nil && opened(fd) {
			b.noTerminal(t)
		}
	})
	t.pipe.Close()
}

// noTerminal tells of it, once.
func (b *Box) noTerminal(t *terminal) {
	t.told.Do(func() {
		e := audit.Event{Kind: audit.KindFile, Verdict: audit.Refused, Subject: "/dev/ptmx", Errno: "EINVAL", Request: b.inFlight(),
			Detail: "the server asked for a terminal, and the profile gives it none", Hint: "process.pty = true"}
		b.record(e)
		b.tell(e)
	})
}

// opened reports whether somebody has opened a FIFO for writing since fd was opened
// (fifo(7), poll(2)).
func opened(fd uintptr) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return n > 0 && err == nil
}
