package descriptor

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A call on an open file has its result, and leaves the file's mode alone: a descriptor
// that blocks would keep a connection of the server's from ending.
func TestACallOnADescriptor(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	refused := errors.New("refused")
	if err := Of(r, func(int) error { return refused }); err != refused {
		t.Errorf("%v, want the call's own error", err)
	}
	if err := Of(r, func(fd int) error {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if flags&unix.O_NONBLOCK == 0 {
			t.Error("the descriptor blocks")
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	r.Close()
	if err := Of(r, func(int) error { return nil }); err == nil {
		t.Error("a closed file has a descriptor")
	}
}
