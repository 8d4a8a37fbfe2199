// Package seccomptest makes system calls and runs programs under a filter, each in a
// child of the test binary, since a filter cannot be removed.
package seccomptest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
)

// Job is the work of a child.
type Job struct {
	Filter []byte   `json:"filter,omitempty"` // none: the twin
	Calls  []Probe  `json:"calls,omitempty"`
	Exec   []string `json:"exec,omitempty"`
	Dir    string   `json:"dir,omitempty"`
	// Hide makes this directory empty, in the child's own namespaces.
	Hide string `json:"hide,omitempty"`
	// ReadOnly makes this directory read-only, in the child's own mounts.
	ReadOnly string `json:"read_only,omitempty"`
}

// Probe is one system call and the errno that it must get; 0 is success.
type Probe struct {
	Name string
	Nr   uintptr
	Args [6]uintptr
	With syscall.Errno `json:"-"` // under the filter
}

// File stands, as an argument, for the descriptor of a file that the child makes.
const File = 0xf11e

const jobVar = "MCPEN_TEST_JOB"

// Main is the TestMain of a package that starts jobs: it makes the test binary the
// child of a job.
func Main(m *testing.M) {
	if text := os.Getenv(jobVar); text != "" {
		if err := child(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child loads the job's filter and makes its calls or executes its program. It sends a
// listener's descriptor over descriptor 3.
func child(text string) error {
	runtime.LockOSThread()
	var j Job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	os.Unsetenv(jobVar)
	if j.Dir != "" {
		if err := os.Chdir(j.Dir); err != nil {
			return err
		}
	}
	if j.Hide != "" {
		if err := hide(j.Hide); err != nil {
			return err
		}
	}
	if j.ReadOnly != "" {
		if err := readOnly(j.ReadOnly); err != nil {
			return err
		}
	}
	fd, err := unix.MemfdCreate("file", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	if len(j.Exec) > 0 { // before the filter: its look-ups are not the program's
		if j.Exec[0], err = exec.LookPath(j.Exec[0]); err != nil {
			return err
		}
	}
	if j.Filter != nil {
		if err := enter(j.Filter); err != nil {
			return err
		}
	}
	if len(j.Exec) > 0 {
		return syscall.Exec(j.Exec[0], j.Exec, os.Environ())
	}
	errnos := []syscall.Errno{}
	for _, c := range j.Calls {
		for i, a := range c.Args {
			if a == File {
				c.Args[i] = uintptr(fd)
			}
		}
		_, _, errno := unix.RawSyscall6(c.Nr, c.Args[0], c.Args[1], c.Args[2], c.Args[3], c.Args[4], c.Args[5])
		errnos = append(errnos, errno)
	}
	return json.NewEncoder(os.Stdout).Encode(errnos)
}

// hide covers a directory with an empty one and mounts the /proc of the child's own pid
// namespace.
func hide(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount /", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		return os.NewSyscallError("mount tmpfs", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mine"), []byte("mine\n"), 0o600); err != nil {
		return err
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return os.NewSyscallError("remount", err)
	}
	return os.NewSyscallError("mount /proc", unix.Mount("proc", "/proc", "proc", 0, ""))
}

// readOnly mounts a directory over itself, read-only.
func readOnly(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount /", err)
	}
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	const locked = unix.MS_NOSUID | unix.MS_NODEV // a user namespace may not drop them (mount_namespaces(7))
	return os.NewSyscallError("remount", unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|locked, ""))
}

func enter(filter []byte) error {
	var f seccomp.Filter
	if err := f.UnmarshalBinary(filter); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if !f.Listens() {
		return seccomp.Load(f)
	}
	fd, err := loadListener(f)
	if err != nil {
		return err
	}
	// With other flags a filter that traces would ask the listener that is on its way.
	if err := unix.Sendmsg(3, []byte{1}, unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL|unix.MSG_PROXY); err != nil {
		return err
	}
	return unix.Close(fd)
}

// Marshal returns the plan's filter, encoded.
func Marshal(t testing.TB, p plan.Seccomp) []byte {
	t.Helper()
	f, err := seccomp.For(p, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Command returns the child of a job, not yet started.
func Command(t testing.TB, j Job) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), jobVar+"="+string(text))
	if j.Hide != "" {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
	}
	if j.ReadOnly != "" {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
	}
	return cmd
}

// Errnos runs a job and returns the errnos of its calls.
func Errnos(t testing.TB, j Job) []syscall.Errno {
	t.Helper()
	cmd := Command(t, j)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("child: %v", err)
	}
	var got []syscall.Errno
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("child: %v: %s", err, out)
	}
	return got
}
