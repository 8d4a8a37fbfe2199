package fault

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// A test whose calls never failed would prove nothing.
func TestEachFindsWhatIsSwallowed(t *testing.T) {
	dir := t.TempDir()
	careful := func() error {
		return errors.Join(unix.Mkdirat(unix.AT_FDCWD, filepath.Join(dir, "a"), 0o700), unix.Rmdir(filepath.Join(dir, "a")))
	}
	careless := func() error {
		_ = unix.Mkdirat(unix.AT_FDCWD, filepath.Join(dir, "b"), 0o700)
		return careful()
	}
	calls := []uintptr{unix.SYS_MKDIRAT}
	if unheard, err := Each(calls, unix.EIO, nil, careful); err != nil || len(unheard) != 0 {
		t.Errorf("%v, %v", unheard, err)
	}
	os.Remove(filepath.Join(dir, "b"))
	once := func() error { defer os.Remove(filepath.Join(dir, "b")); return careless() }
	if unheard, err := Each(calls, unix.EIO, nil, once); err != nil || len(unheard) != 1 || unheard[0].Number != unix.SYS_MKDIRAT || !unheard[0].Own {
		t.Errorf("%v, %v", unheard, err)
	}
	if _, err := Each([]uintptr{unix.SYS_MKNODAT}, unix.EIO, nil, careful); err == nil {
		t.Error("no call was made, and nothing is said of it")
	}
	if _, err := Each(calls, unix.EIO, nil, func() error { return errors.Join(careful(), errors.New("always")) }); err == nil {
		t.Error("it fails by itself, and nothing is said of it")
	}
}

// If the kernel cannot keep signals from interrupting a waiting call, the call is made
// again, and still counts as one.
func TestCallsThatAreMadeAgainGetTheirAnswer(t *testing.T) {
	w := watched{undelivered: map[int]answered{}}
	seen := 0
	decide := func(Call) Answer { seen++; return Return(int64(seen)) }
	first := Call{Number: 7, Thread: 1, Args: [6]uint64{3}}
	other, another := first, first
	other.Thread, another.Args[5] = 2, 9
	for _, c := range []struct {
		call Call
		want int64
	}{{first, 1}, {first, 1}, {other, 2}, {first, 1}, {another, 3}, {first, 4}} {
		if got := w.decided(c.call, decide); got.value != c.want {
			t.Errorf("%v is answered with %d, want %d", c.call, got.value, c.want)
		}
	}
	delete(w.undelivered, 1) // delivered: the next one is another call
	if got := w.decided(first, decide); got.value != 5 {
		t.Errorf("a call behind one that was answered: %d", got.value)
	}
}

// Watch sees the calls of children and leaves the test's own thread unchanged.
func TestWatchSeesWhatIsStarted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "made")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var seen []Call
	var told error
	err := Watch([]uintptr{unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2}, func(c Call) Answer { seen = append(seen, c); return Fail(unix.EACCES) },
		func() { told = exec.Command("chmod", "0644", file).Run() })
	if err != nil {
		t.Fatal(err)
	}
	if told == nil || !slices.ContainsFunc(seen, func(c Call) bool { return c.Stage == "chmod" && !c.Own }) {
		t.Errorf("chmod: %v, seen %v", told, seen)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Errorf("the test itself is still under the filter: %v", err)
	}
}

// A call can pretend a success, as on another kernel.
func TestReturnIsWhatTheCallReturns(t *testing.T) {
	var got int
	err := Watch([]uintptr{unix.SYS_GETPPID}, func(c Call) Answer { return Return(4711) }, func() { got = unix.Getppid() })
	if err != nil || got != 4711 {
		t.Errorf("%d, %v", got, err)
	}
}

// A signal must not repeat a call that was made to fail: the repetition would succeed,
// and the test would blame the tested code.
func TestASignalMakesNoCallAgain(t *testing.T) {
	seen, name := 0, filepath.Join(t.TempDir(), "a")
	var told error
	err := Watch([]uintptr{unix.SYS_MKDIRAT}, func(c Call) Answer {
		seen++
		for range 20 {
			_ = unix.Tgkill(os.Getpid(), c.Thread, unix.SIGURG)
		}
		return Fail(unix.EIO)
	}, func() { told = unix.Mkdirat(unix.AT_FDCWD, name, 0o700) })
	if err != nil || !errors.Is(told, unix.EIO) || seen != 1 {
		t.Errorf("%v, %v; it was made %d times", told, err, seen)
	}
}
