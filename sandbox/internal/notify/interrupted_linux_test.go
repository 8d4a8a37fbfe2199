package notify

import (
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/await"
	"mcpen/sandbox/internal/fault"
)

// A signal that comes while the kernel waits for the filter's lock interrupts the
// answer. If it were lost, the server's thread would wait for ever, or take a lost
// descriptor for a file that cannot be opened.
func TestASignalLosesNoAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		request uintptr
		f       func() error
	}{
		"an answer": {unix.SECCOMP_IOCTL_NOTIF_SEND, func() error { return respond(0, response{id: 1}) }},
		"a descriptor": {unix.SECCOMP_IOCTL_NOTIF_ADDFD, func() error {
			_, err := hand(0, 1, 0, 0)
			return err
		}},
		"the question whether somebody waits": {unix.SECCOMP_IOCTL_NOTIF_ID_VALID, func() error {
			if !valid(0, 1) {
				return unix.ENOENT
			}
			return nil
		}},
	} {
		for _, end := range []fault.Answer{fault.Return(0), fault.Fail(unix.ENOENT)} {
			asked := 0
			var got error
			err := fault.Watch([]uintptr{unix.SYS_IOCTL}, func(c fault.Call) fault.Answer {
				if uintptr(c.Args[1]) != tc.request {
					return fault.Pass
				}
				if asked++; asked < 3 {
					return fault.Fail(unix.EINTR)
				}
				return end
			}, func() { got = tc.f() })
			if err != nil {
				t.Fatal(err)
			}
			if asked != 3 || (got == nil) != (end == fault.Return(0)) {
				t.Errorf("%s: asked %d times, and then %v", name, asked, got)
			}
		}
	}
}

// The same signal makes poll(2) report an error of the listener. It is none: a server
// under load would end by it.
func TestAnInterruptedPollIsNoError(t *testing.T) {
	var broken, stop [2]int
	for _, p := range []*[2]int{&broken, &stop} {
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	unix.Close(broken[0]) // poll reports an error of the other end
	defer unix.Close(broken[1])
	defer unix.Close(stop[0])
	type result struct {
		more bool
		err  error
	}
	done := make(chan result, 1)
	go func() {
		var w await.Waiter
		more, err := wait(&w, readable(broken[1], stop[0]))
		done <- result{more, err}
	}()
	if _, err := unix.Write(stop[1], []byte("x")); err != nil {
		t.Fatal(err)
	}
	unix.Close(stop[1])
	if r := <-done; r.err != nil || !r.more {
		t.Errorf("%v, %v: the listener was given up", r.more, r.err)
	}
	// What is no descriptor is told.
	var w await.Waiter
	if _, err := wait(&w, readable(1<<20, stop[0])); err == nil {
		t.Error("what is no descriptor is waited for")
	}
}
