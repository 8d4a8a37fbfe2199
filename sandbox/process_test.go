package sandbox

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/child"
)

type fakeBody struct{ killed int }

func (b *fakeBody) wait() error    { return nil }
func (b *fakeBody) kill()          { b.killed++ }
func (b *fakeBody) destroy() error { return nil }

// A signal goes only to the live process, and nothing goes to a descriptor whose number
// now belongs to another file.
func TestNothingIsSentBehindTheEnd(t *testing.T) {
	control, inside, err := child.NewControl()
	if err != nil {
		t.Fatal(err)
	}
	body := &fakeBody{}
	p := &process{control: control}
	if p.kill(); body.killed != 0 {
		t.Error("what was not started is killed")
	}
	p.body = body
	if err := p.signal(unix.SIGTERM); err != nil {
		t.Error(err)
	}
	buf := make([]byte, 4096)
	if n, err := unix.Read(int(inside.Fd()), buf); err != nil || n == 0 {
		t.Errorf("the signal did not arrive: %d, %v", n, err)
	}
	if p.kill(); body.killed != 1 {
		t.Errorf("killed %d times", body.killed)
	}
	if n, err := unix.Read(int(inside.Fd()), buf); n != 0 || err != nil {
		t.Errorf("the socket is open behind kill: %d, %v", n, err)
	}
	inside.Close()
	p.hangUp()
	if err := p.signal(unix.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a signal behind the end: %v", err)
	}
	p.acknowledge()
	if p.kill(); body.killed != 1 {
		t.Error("killed behind the end")
	}
	(&process{}).hangUp()
}
