package child

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/notify"
	"mcpen/sandbox/internal/writes"
	"mcpen/sandbox/plan"
)

// mediatorName is the argv of the mediator: pid 1 of a sandbox whose plan mediates
// writes. It is the keeper, in Go, and makes the server's changes (package writes).
// Like the keeper, it is executed anew, so that it keeps nothing from the stage before
// it.
const mediatorName = "mcpen-mediator"

// Descriptors of the mediator in addition to the keeper's.
const (
	handoffFD = ctlFD + 1 // a socket over which the filter's listener comes
	toldFD    = handoffFD + 1
)

// handoff returns a socket pair over which the exec stage sends its listener to this
// process.
func handoff() (here, there *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(pair[0]), "handoff"), os.NewFile(uintptr(pair[1]), "handoff"), nil
}

// inherit puts the mediator's descriptors in place.
func (s *stage) inherit() error {
	told, err := pack(s.mediates)
	if err != nil {
		return err
	}
	// First move them out of the way of their destinations.
	var high [2]int
	for i, f := range []*os.File{s.handoff, told} {
		if high[i], err = unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 64); err != nil {
			return os.NewSyscallError("fcntl(F_DUPFD_CLOEXEC)", err)
		}
	}
	for i, fd := range []int{handoffFD, toldFD} {
		if err := unix.Dup3(high[i], fd, 0); err != nil {
			return os.NewSyscallError("dup3", err)
		}
	}
	return nil
}

// mediate is the whole mediator. It returns the exit status of the process, which
// nobody reads.
func mediate(pid string) int {
	ctl := &Control{os.NewFile(ctlFD, "control")}
	err := begun(pid, ctl)
	if err != nil {
		ctl.Send(failure(err)) // if the launcher is gone, this process ends as well
	}
	return 1
}

// begun reports whether the exec stage became the server, makes the server's calls and
// reports its end. If the server started, begun does not return.
func begun(number string, ctl *Control) error {
	outlive()
	// The server must not read anything in this process.
	if err := prctl(unix.PR_SET_DUMPABLE, 0); err != nil {
		return step("hide the mediator", err)
	}
	// Its heap is small, and its threads mostly wait in the kernel.
	runtime.GOMAXPROCS(2)
	debug.SetGCPercent(25)
	pid, err := strconv.Atoi(number)
	if err != nil {
		return step("mediate", fmt.Errorf("internal error: %w", err))
	}
	var p plan.Plan
	if err := read(toldFD, &p); err != nil {
		return step("mediate", err)
	}
	unix.Close(toldFD)
	s := &server{pid: pid, heard: make(chan struct{})}
	exit := make(chan Message, 1)
	go func() { exit <- s.end() }()
	media := make(chan *writes.Mediator, 1)
	go func() { media <- listening(p, ctl) }()
	if failed := stageFailed(); failed != nil {
		ctl.Send(*failed)
		unix.Exit(1)
	}
	ctl.Send(Message{Kind: Started, PID: pid})
	go s.obey(ctl)
	time.AfterFunc(ShrinkAfter, Shrink)
	told := <-exit
	select {
	case m := <-media:
		m.Flush()
	default: // it never made a call
	}
	if os.Getpid() == 1 {
		_ = unix.Kill(-1, unix.SIGKILL) // an error means that nobody is left
	}
	ctl.Send(told)
	// The launcher reads the counters of the control groups. The user manager removes
	// its groups with their last process, which is this one.
	select {
	case <-s.heard:
	case <-time.After(heardWait):
	}
	unix.Exit(0)
	return nil
}

// heardWait is the same as in keeper.c: a stopped launcher keeps no process waiting.
const heardWait = 5 * time.Second

// end waits for the server and returns the message about its end.
func (s *server) end() Message {
	status, err := s.reap()
	if err != nil {
		return failure(err)
	}
	if status.Signaled() {
		return Message{Kind: Exited, Signal: int(status.Signal())}
	}
	return Message{Kind: Exited, Code: status.ExitStatus()}
}

// stageFailed waits until the exec stage has become the server, which closes its end of
// the pipe without writing, or until it reports a failure.
func stageFailed() *Message {
	report := os.NewFile(reportFD, "report")
	defer report.Close()
	var f [12]byte // struct mcpen_failure
	n, err := io.ReadFull(report, f[:])
	if n == 0 && err == io.EOF {
		return nil
	}
	number := func(i int) int { return int(int32(binary.NativeEndian.Uint32(f[4*i:]))) }
	return &Message{Kind: Failed, Stage: []int{number(0), number(1), number(2)}}
}

// listening receives the listener from the exec stage and serves it. If there is no
// mediator, the calls that wait for it fail, since nobody holds the listener.
func listening(p plan.Plan, ctl *Control) *writes.Mediator {
	from := &Control{os.NewFile(handoffFD, "handoff")}
	m, _ := from.Receive() // a message with an error has no file
	from.Close()
	if len(m.Files) != 1 {
		return nil // the exec stage failed, and reports why
	}
	listener := m.Files[0]
	tell := func(c notify.Call) {
		data, err := json.Marshal(c)
		if err == nil {
			_ = ctl.Send(Message{Kind: Seen, Data: data})
		}
	}
	media, err := writes.New(p, int(listener.Fd()), tell)
	if err != nil {
		ctl.Send(failure(step("mediate", err)))
		unix.Exit(1)
	}
	go func() {
		err := media.Run()
		runtime.KeepAlive(listener)
		if err == nil {
			return // the server is gone, and its end is reported
		}
		ctl.Send(failure(step("mediate", err)))
		unix.Exit(1)
	}()
	return media
}
