package sandbox

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/child"
)

// A part inside that fails while the server runs ends it. The person is told which: a
// bare SIGKILL sends them to look in the server.
func TestAPartThatFailsLaterIsReported(t *testing.T) {
	for _, fails := range []bool{true, false} {
		control, inside, err := child.NewControl()
		if err != nil {
			t.Fatal(err)
		}
		send := func(m child.Message) {
			text, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := unix.Write(int(inside.Fd()), text); err != nil {
				t.Fatal(err)
			}
		}
		lock, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		b := &Box{session: &session{dir: t.TempDir(), lock: lock}, network: &network{}, started: make(chan error, 1), attended: make(chan error, 1), attend: make(chan bool, 1),
			done: make(chan struct{}), released: make(chan struct{}), reporter: &reporter{}}
		b.process.control, b.process.body = control, &fakeBody{}
		b.attend <- true
		go b.listen()
		send(child.Message{Kind: child.Started, PID: os.Getpid()})
		if err := <-b.started; err != nil {
			t.Fatal(err)
		}
		last := child.Message{Kind: child.Exited, Signal: int(unix.SIGKILL)}
		if fails {
			last = child.Message{Kind: child.Failed, Step: "mediate", Error: "the listener is gone"}
		}
		send(last)
		inside.Close()
		<-b.done
		if b.exit.Signal != syscall.SIGKILL {
			t.Errorf("ended by %v", b.exit)
		}
		if told := b.err != nil && strings.Contains(b.err.Error(), "cannot mediate: the listener is gone"); told != fails {
			t.Errorf("fails %t: %v", fails, b.err)
		}
	}
}
