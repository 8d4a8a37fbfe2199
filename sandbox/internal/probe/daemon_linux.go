package probe

import (
	"os"
	"os/signal"
	"strconv"

	"golang.org/x/sys/unix"
)

// daemon starts a process that has left everything that ties it to its parent: session,
// group, parent and PDEATHSIG. Its pid is the detail. The program that ran the sandbox
// looks for the process afterwards.
func daemon() Result {
	self, err := os.Executable()
	if err != nil {
		return refused(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return refused(err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return refused(err)
	}
	defer w.Close()
	cmd := again(self, verbDaemon)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = null, null, null
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		return refused(err)
	}
	w.Close()
	defer r.Close()
	buf := make([]byte, 32)
	n, err := r.Read(buf)
	return outcome(err, string(buf[:n]))
}

// startLinger is the middle of the double fork: it starts the process that stays, and
// exits, which orphans that process.
func startLinger() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := again(self, verbLinger)
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = os.NewFile(3, "pid").WriteString(strconv.Itoa(cmd.Process.Pid))
	return err
}

// linger ignores every signal it can and never ends.
func linger() {
	signal.Ignore()
	unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0)
	for {
		unix.Poll(nil, -1)
	}
}

// startOrphan starts a process that exits at once, and does not reap it. It prints the
// process's id.
func startOrphan() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := again(self, verbWait)
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(strconv.Itoa(cmd.Process.Pid))
	return err
}
