package child

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// The server's control group counts the effects of a limit, and a user manager removes
// it with its last process. If the keeper left first, a person would read SIGKILL
// instead of the limit's name.
func TestKeeperStaysUntilItWasHeard(t *testing.T) {
	ctl, inside, err := NewControl()
	if err != nil {
		t.Fatal(err)
	}
	defer ctl.Close()
	report, become, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	become.Close() // the exec stage has become the server
	cmd := exec.Command("bash", "-c", `sleep 60 & exec -a mcpen-keeper "$0" $!`, "/proc/self/exe")
	if cmd.Args[3], err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{report, inside}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if err := errors.Join(report.Close(), inside.Close()); err != nil {
		t.Fatal(err)
	}
	m, err := ctl.Receive()
	if err != nil || m.Kind != Started {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := unix.Kill(m.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if m, err = ctl.Receive(); err != nil || m.Kind != Exited || m.Signal != int(unix.SIGKILL) {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := ctl.Send(Message{Kind: Signal}); err != nil {
		t.Errorf("it did not wait: %v", err)
	}
	// Unread data at the end of a socket makes it a reset (unix(7)).
	if n, _, _, _, err := unix.Recvmsg(int(ctl.f.Fd()), make([]byte, 8), nil, 0); n != 0 || err != nil {
		t.Errorf("it left before it was told to: %d bytes, %v", n, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
