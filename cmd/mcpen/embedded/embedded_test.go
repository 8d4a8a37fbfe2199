//go:build mcpen_launcher

package embedded

import (
	"bytes"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// The running launcher is that of this very build, and a server that gets at it cannot
// change it.
func TestLauncherIsTheOneThatWasBuiltAndSealed(t *testing.T) {
	want, err := os.ReadFile("mcpen-launcher")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Launcher()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(io.NewSectionReader(f, 0, int64(len(want))+1))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes are carried, not the %d beside: %v", len(got), len(want), err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("it can be written to")
	}
	if err := f.Truncate(0); err == nil {
		t.Error("it can be cut")
	}
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("other programs inherit it: %#x, %v", flags, err)
	}
}

// A client may have closed stdin. Otherwise output of the runtime or of mcpen would go
// into the launcher.
func TestLauncherIsNoStandardStream(t *testing.T) {
	stdin, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 10)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(0)
	f, err := Launcher()
	_, open := unix.FcntlInt(0, unix.F_GETFD, 0)
	if again := unix.Dup3(stdin, 0, 0); again != nil {
		t.Fatal(again)
	}
	unix.Close(stdin)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Fd() < 3 || open == nil {
		t.Errorf("it is descriptor %d, and descriptor 0 is open: %t", f.Fd(), open == nil)
	}
}
