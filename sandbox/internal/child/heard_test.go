package child

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// What a limit has cost is counted in the server's control group, and a user manager
// takes that away with its last process. Were it the keeper that left first, a person
// would be told SIGKILL, and not which limit it was.
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
	become.Close() // the exec stage became the server
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
	// The end of a socket with something in it that nobody read is a reset (unix(7)).
	if n, _, _, _, err := unix.Recvmsg(int(ctl.f.Fd()), make([]byte, 8), nil, 0); n != 0 || err != nil {
		t.Errorf("it left before it was told to: %d bytes, %v", n, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
