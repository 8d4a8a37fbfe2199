package child

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
)

// mediator is a mediator outside of a pid namespace, as this process's child.
type mediator struct {
	ctl    *Control
	stage  *Control // the exec stage's end of the handoff
	become *os.File // the exec stage's end of the report
	goOn   *os.File // the server waits until it is closed
	cmd    *exec.Cmd
}

// newMediator starts one with a shell's command for its server. An empty number stands
// for the server's pid.
func newMediator(t *testing.T, server, number string, told any) (m mediator) {
	t.Helper()
	var inside, report, here, wait *os.File
	var errs [6]error
	m.ctl, inside, errs[0] = NewControl()
	report, m.become, errs[1] = os.Pipe()
	from, to, err := handoff()
	errs[2] = err
	m.stage = &Control{to}
	here, errs[3] = pack(told)
	wait, m.goOn, errs[4] = os.Pipe()
	self, err := os.Executable()
	errs[5] = err
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	if number == "" {
		number = "$!"
	}
	m.cmd = exec.Command("bash", "-c", "(read line <&7; "+server+") 3<&- 4<&- 5<&- 6<&- & exec -a "+mediatorName+` "$0" `+number, self)
	m.cmd.ExtraFiles = []*os.File{report, inside, from, here, wait}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range m.cmd.ExtraFiles {
		f.Close()
	}
	late := time.AfterFunc(time.Minute, func() { m.cmd.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		m.ctl.Close()
		m.stage.Close()
		m.become.Close()
		m.goOn.Close()
		m.cmd.Process.Kill()
		m.cmd.Wait()
	})
	return m
}

// tells returns the messages up to one of this kind, or to the end.
func (m mediator) tells(t *testing.T, last Kind) (all []Message) {
	t.Helper()
	for {
		got, err := m.ctl.Receive()
		if err == io.EOF || errors.Is(err, unix.ECONNRESET) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, got); got.Kind == last {
			return all
		}
	}
}

// begin lets the server begin, once the mediator says that it did.
func (m mediator) begin(t *testing.T) []Message {
	t.Helper()
	m.become.Close()
	all := m.tells(t, Started)
	m.goOn.Close()
	return all
}

func kinds(all []Message) (out []Kind) {
	for _, m := range all {
		out = append(out, m.Kind)
	}
	return out
}

// The launcher learns how a server ended that has a mediator: its code, or the signal
// that it was sent.
func TestMediatorReportsTheServersEnd(t *testing.T) {
	for server, want := range map[string]Message{
		"exit 3":              {Kind: Exited, Code: 3},
		"exit 0":              {Kind: Exited},
		"kill -KILL $BASHPID": {Kind: Exited, Signal: int(unix.SIGKILL)},
	} {
		m := newMediator(t, server, "", plan.Plan{})
		all := append(m.begin(t), m.tells(t, Exited)...)
		if !slices.Equal(kinds(all), []Kind{Started, Exited}) || all[0].PID <= 1 || all[1].Code != want.Code || all[1].Signal != want.Signal {
			t.Errorf("%s: told %+v", server, all)
		}
		if err := m.ctl.Send(Message{Kind: Signal}); err != nil {
			t.Errorf("it did not wait until its end was heard: %v", err)
		}
		if err := m.cmd.Wait(); err != nil {
			t.Errorf("%s: the mediator ended with %v", server, err)
		}
	}
	m := newMediator(t, "exec sleep 60", "", plan.Plan{})
	m.begin(t)
	if err := m.ctl.Send(Message{Kind: Signal, Signal: int(unix.SIGTERM)}); err != nil {
		t.Fatal(err)
	}
	if all := m.tells(t, Exited); len(all) != 1 || all[0].Signal != int(unix.SIGTERM) {
		t.Errorf("sent SIGTERM, told %+v", all)
	}
}

// A mediator that was heard leaves at once: the next start, and the user's prompt, need
// not wait out the time that a launcher may take. One that was not heard stays longer.
func TestMediatorLeavesOnceItWasHeard(t *testing.T) {
	var both [2]mediator // the first is never told that it was heard
	left := make(chan int, 2)
	for i := range both {
		both[i] = newMediator(t, "exit 0", "", plan.Plan{})
		both[i].begin(t)
		both[i].tells(t, Exited)
	}
	for i := range both {
		go func() {
			_, _ = both[i].cmd.Process.Wait()
			left <- i
		}()
	}
	if err := both[1].ctl.Send(Message{Kind: Signal}); err != nil {
		t.Fatal(err)
	}
	if first := <-left; first != 1 {
		t.Error("the mediator that was heard stays as long as the one that was not")
	}
}

// A launcher that is gone takes the server along, with all that it started.
func TestServerEndsWithTheMediatorsLauncher(t *testing.T) {
	m := newMediator(t, "sleep 60 & exec sleep 60", "", plan.Plan{})
	started := m.begin(t)
	pidfd, err := unix.PidfdOpen(started[0].PID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	m.ctl.Close()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 30_000); n != 1 {
		t.Errorf("the server outlives its launcher (%v)", err)
	}
	if err := m.cmd.Wait(); err == nil {
		t.Error("and the mediator ended as if all were well")
	}
}

// A mediator that cannot do its work says which step failed and ends. The server ends
// with it, since nobody would answer its calls.
func TestMediatorThatCannotBegin(t *testing.T) {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	sockets := plan.Plan{Writes: plan.Writes{Sockets: []string{"/nowhere/at/all"}}}
	for name, c := range map[string]struct {
		number string
		told   any
		hands  bool
		want   string
	}{
		"no pid":                          {"x", plan.Plan{}, false, "internal error"},
		"no plan":                         {"", []int{1}, false, "internal error"},
		"a file system that is not there": {"", sockets, true, "/nowhere/at/all"},
		"a listener that is none":         {"", plan.Plan{}, true, "inappropriate ioctl"},
		"a plan, and the stage failed":    {"", plan.Plan{}, false, ""},
	} {
		m := newMediator(t, "exec sleep 60", c.number, c.told)
		if c.hands {
			if err := m.stage.Send(Message{Kind: Notify, Files: []*os.File{null}}); err != nil {
				t.Fatal(err)
			}
			m.become.Close()
		}
		if c.want == "" { // it reports the stage's failure as it is
			var report []byte
			for _, v := range []uint32{8, uint32(unix.ENOENT), 1} {
				report = binary.NativeEndian.AppendUint32(report, v)
			}
			if _, err := m.become.Write(report); err != nil {
				t.Fatal(err)
			}
		}
		all := m.tells(t, Failed)
		last := all[max(len(all)-1, 0):]
		switch {
		case len(last) == 0 || last[0].Kind != Failed:
			t.Errorf("%s: told %+v", name, all)
		case c.want == "":
			if !slices.Equal(last[0].Stage, []int{8, int(unix.ENOENT), 1}) || slices.Contains(kinds(all), Started) {
				t.Errorf("%s: told %+v", name, all)
			}
		case last[0].Step != "mediate" || !strings.Contains(last[0].Error, c.want):
			t.Errorf("%s: told %+v, want %q", name, all, c.want)
		}
		var status *exec.ExitError
		if err := m.cmd.Wait(); !errors.As(err, &status) || status.ExitCode() != 1 {
			t.Errorf("%s: it ended with %v", name, err)
		}
	}
}

// The memory of a mediator is the server's to read unless it hides: it does so first, or
// does not begin.
func TestMediatorHides(t *testing.T) {
	for _, fails := range []bool{false, true} {
		hid := 0
		var all []Message
		err := fault.Watch([]uintptr{unix.SYS_PRCTL}, func(c fault.Call) fault.Answer {
			if c.Own || c.Args[0] != unix.PR_SET_DUMPABLE || c.Args[1] != 0 {
				return fault.Pass
			}
			if hid++; fails {
				return fault.Fail(unix.EIO)
			}
			return fault.Pass
		}, func() {
			m := newMediator(t, "exit 0", "", plan.Plan{})
			all = append(m.begin(t), m.tells(t, Exited)...)
			_ = m.ctl.Send(Message{Kind: Signal}) // an error: it is gone
			_ = m.cmd.Wait()
		})
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case hid != 1:
			t.Errorf("it hid %d times", hid)
		case fails && (len(all) != 1 || all[0].Kind != Failed || all[0].Step != "hide the mediator"):
			t.Errorf("it cannot hide, and told %+v", all)
		case !fails && !slices.Equal(kinds(all), []Kind{Started, Exited}):
			t.Errorf("told %+v", all)
		}
	}
}

// A report that cannot be read is no success of the stage's.
func TestMediatorThatCannotHearOfItsStage(t *testing.T) {
	var all []Message
	if err := fault.Watch([]uintptr{unix.SYS_READ}, func(c fault.Call) fault.Answer {
		if !c.Own && c.Args[0] == reportFD && c.Args[2] == 12 {
			return fault.Fail(unix.EIO)
		}
		return fault.Pass
	}, func() {
		m := newMediator(t, "exit 0", "", plan.Plan{})
		m.become.Close()
		all = m.tells(t, Failed)
		_ = m.cmd.Wait()
	}); err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].Kind != Failed || len(all[0].Stage) != 3 {
		t.Errorf("told %+v", all)
	}
}

// After its end a server's number may be another process's: no signal goes there.
func TestNoSignalAfterTheServersEnd(t *testing.T) {
	start := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	start("true") // an orphan of it: its end is not the server's
	last := start("sh", "-c", "exit 3")
	s := &server{pid: last.Process.Pid}
	status, err := s.reap()
	if err != nil || status.ExitStatus() != 3 || !s.reaped {
		t.Errorf("%v, %v, reaped %v", status, err, s.reaped)
	}
}

// A list of processes that cannot be had once is had again: no descendant is left.
func TestEndAllLooksAgain(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(20*time.Second, func() {
		t.Error("a process that was missed once is never ended")
		cmd.Process.Kill()
	})
	defer late.Stop()
	first := true
	if err := fault.Watch([]uintptr{unix.SYS_OPENAT}, func(c fault.Call) fault.Answer {
		if first && c.Own {
			first = false
			return fault.Fail(unix.EMFILE)
		}
		return fault.Pass
	}, endAll); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(cmd.Process.Pid, 0); err == nil || first {
		t.Errorf("it is still there (%v), failed once: %v", err, !first)
	}
}

// What cannot be packed, or a filter for no machine, starts nothing and leaves no
// descriptor.
func TestStagesThatCannotBegin(t *testing.T) {
	if f, err := pack(func() {}); err == nil || f != nil || !strings.Contains(err.Error(), "internal error: cannot encode the boot") {
		t.Errorf("packed %v, %v", f, err)
	}
	before := links(t, "pipe:")
	s := stage{ruleset: -1, dir: "/", path: "/bin/true", argv: []string{"true"}, control: os.Stdin, filter: &seccomp.Filter{}}
	if err := s.start(); failure(err).Step != "start the exec stage" || s.pid != 0 {
		t.Errorf("process %d: %v", s.pid, err)
	}
	if after := links(t, "pipe:"); after != before {
		t.Errorf("%d pipes are open, %d were", after, before)
	}
	Shrink()
	if n := links(t, "/proc/"); n > 1 { // that of the listing
		t.Errorf("a process that shrank holds %d files of /proc", n)
	}
}

// links counts this process's descriptors whose files' names begin so.
func links(t *testing.T, with string) (n int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, with) {
			n++
		}
	}
	return n
}
