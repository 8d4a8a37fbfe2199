package seccomp

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// These tests ask the kernel. Each runs in a child of the test binary, since a filter
// cannot be removed. TestKernelAsUnprivilegedUser runs all of them again as an
// unprivileged user.

// job is the work of a child.
type job struct {
	Filter []byte   `json:"filter,omitempty"` // none: the twin
	Calls  []probe  `json:"calls,omitempty"`
	Exec   []string `json:"exec,omitempty"`
	Dir    string   `json:"dir,omitempty"`
	// Hide makes this directory empty, in the child's own namespaces.
	Hide string `json:"hide,omitempty"`
}

// probe is one system call and the errno that it must get; 0 is success.
type probe struct {
	Name string
	Nr   uintptr
	Args [6]uintptr
	With syscall.Errno `json:"-"` // under the filter
}

// file stands for the descriptor of a file that the child makes.
const file = 0xf11e

const jobVar = "MCPEN_TEST_JOB"

func TestMain(m *testing.M) {
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
	var j job
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
			if a == file {
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

func enter(filter []byte) error {
	var f Filter
	if err := f.UnmarshalBinary(filter); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if !f.Listens() {
		return Load(f)
	}
	fd, err := loadListener(f)
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(3, []byte{1}, unix.UnixRights(fd), nil, 0); err != nil {
		return err
	}
	return unix.Close(fd)
}

func marshal(t testing.TB, p plan.Seccomp) []byte {
	t.Helper()
	f, err := For(p, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func command(t testing.TB, j job) *exec.Cmd {
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
	return cmd
}

func errnos(t testing.TB, j job) []syscall.Errno {
	t.Helper()
	cmd := command(t, j)
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

// asUser runs the tests again as an unprivileged user.
func TestKernelAsUnprivilegedUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	dir, err := os.MkdirTemp("", "seccomp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, 20001, 20001); err != nil {
		t.Fatal(err)
	}
	src, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	binary := filepath.Join(dir, "test")
	dst, err := os.OpenFile(binary, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(dst, src); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run=^TestKernel", "-test.v")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 20001, Gid: 20001}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as user 20001: %v\n%s", err, out)
	}
	if ran := strings.Count(string(out), "--- PASS: TestKernel"); ran < 10 {
		t.Fatalf("as user 20001 only %d tests ran:\n%s", ran, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "--- SKIP") {
			t.Log("as user 20001:", strings.TrimSpace(line))
		}
	}
}

// refusals are calls that the kernel without the filter answers differently.
var refusals = []probe{
	{"io_uring_setup", unix.SYS_IO_URING_SETUP, [6]uintptr{}, syscall.ENOSYS},
	{"clone3", unix.SYS_CLONE3, [6]uintptr{}, syscall.ENOSYS},
	{"openat2", unix.SYS_OPENAT2, [6]uintptr{}, syscall.ENOSYS},
	{"unshare CLONE_FS", unix.SYS_UNSHARE, [6]uintptr{unix.CLONE_FS}, syscall.EPERM},
	{"clone CLONE_NEWUSER|CLONE_NEWNS|CLONE_FS", unix.SYS_CLONE, [6]uintptr{unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_FS}, syscall.EPERM},
	{"setns", unix.SYS_SETNS, [6]uintptr{file}, syscall.EPERM},
	{"ptrace PTRACE_CONT", unix.SYS_PTRACE, [6]uintptr{7, 1 << 30}, syscall.EPERM},
	{"process_vm_readv", unix.SYS_PROCESS_VM_READV, [6]uintptr{1 << 30}, syscall.EPERM},
	{"keyctl KEYCTL_GET_KEYRING_ID", unix.SYS_KEYCTL, [6]uintptr{99}, syscall.EPERM},
	{"name_to_handle_at", unix.SYS_NAME_TO_HANDLE_AT, [6]uintptr{}, syscall.EPERM},
	{"personality ADDR_NO_RANDOMIZE", unix.SYS_PERSONALITY, [6]uintptr{0x40000}, syscall.EPERM},
	{"personality, bit 32 set", unix.SYS_PERSONALITY, [6]uintptr{1<<32 | 0x40000}, syscall.EPERM},
	{"prctl PR_SET_PTRACER", unix.SYS_PRCTL, [6]uintptr{unix.PR_SET_PTRACER}, syscall.EPERM},
	{"prctl PR_SCHED_CORE, bit 32 set", unix.SYS_PRCTL, [6]uintptr{1<<32 | unix.PR_SCHED_CORE, 99}, syscall.EPERM},
	{"socket AF_VSOCK, bit 32 set", unix.SYS_SOCKET, [6]uintptr{1<<32 | unix.AF_VSOCK, unix.SOCK_STREAM}, syscall.EAFNOSUPPORT},
	{"socket AF_PACKET", unix.SYS_SOCKET, [6]uintptr{unix.AF_PACKET, unix.SOCK_RAW}, syscall.EAFNOSUPPORT},
	{"socket MPTCP", unix.SYS_SOCKET, [6]uintptr{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, syscall.EPROTONOSUPPORT},
	{"socket NETLINK_GENERIC", unix.SYS_SOCKET, [6]uintptr{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_GENERIC}, syscall.ENOSYS},
	{"socketpair AF_INET", unix.SYS_SOCKETPAIR, [6]uintptr{unix.AF_INET, unix.SOCK_STREAM}, syscall.ENOSYS},
	{"fchmod 04755", unix.SYS_FCHMOD, [6]uintptr{file, 0o4755}, syscall.EPERM},
	{"fchmod 02755, bit 32 set", unix.SYS_FCHMOD, [6]uintptr{file, 1<<32 | 0o2755}, syscall.EPERM},
	{"ioctl TIOCSTI", unix.SYS_IOCTL, [6]uintptr{file, unix.TIOCSTI}, syscall.EPERM},
	{"ioctl TIOCLINUX, bit 32 set", unix.SYS_IOCTL, [6]uintptr{file, 1<<32 | unix.TIOCLINUX}, syscall.EPERM},
	{"sendto MSG_FASTOPEN", unix.SYS_SENDTO, [6]uintptr{file, 0, 0, unix.MSG_FASTOPEN}, syscall.EOPNOTSUPP},
	{"sendmsg MSG_FASTOPEN, bit 32 set", unix.SYS_SENDMSG, [6]uintptr{file, 0, 1<<32 | unix.MSG_FASTOPEN}, syscall.EOPNOTSUPP},
	{"setsockopt TCP_ULP", unix.SYS_SETSOCKOPT, [6]uintptr{file, unix.IPPROTO_TCP, unix.TCP_ULP}, syscall.ENOPROTOOPT},
	{"mknodat, a device", unix.SYS_MKNODAT, [6]uintptr{^uintptr(0), 0, unix.S_IFCHR | 0o600}, syscall.EPERM},
	{"openat O_CREAT 04755", unix.SYS_OPENAT, [6]uintptr{^uintptr(0), 0, unix.O_CREAT | unix.O_WRONLY, 0o4755}, syscall.EPERM},
	{"fsopen", unix.SYS_FSOPEN, [6]uintptr{0, 99}, syscall.EPERM},
}

func TestKernelRefusesWhatTheTableRefuses(t *testing.T) {
	plain := errnos(t, job{Calls: refusals})
	got := errnos(t, job{Filter: marshal(t, plan.Seccomp{On: true}), Calls: refusals})
	for i, c := range refusals {
		if got[i] != c.With {
			t.Errorf("%s: %v under the filter, want %v", c.Name, got[i], c.With)
		}
		if plain[i] == c.With && slices.Contains(alike(), c.Name) {
			t.Logf("%s: %v without the filter too, on this kernel", c.Name, plain[i])
		} else if plain[i] == c.With {
			t.Errorf("%s: %v without the filter too, so that the probe proves nothing", c.Name, plain[i])
		}
	}
}

// alike are the probes for which this user's kernel may answer as the filter does,
// because a right or a build option is missing.
func alike() []string {
	optional := []string{"socket AF_VSOCK, bit 32 set", "socket AF_PACKET", "socket MPTCP"}
	if os.Getuid() == 0 {
		return optional
	}
	return append(optional, "fsopen")
}

func TestKernelLetsOrdinaryCallsThrough(t *testing.T) {
	ordinary := []probe{
		{Name: "getpid", Nr: unix.SYS_GETPID},
		{Name: "socket unix", Nr: unix.SYS_SOCKET, Args: [6]uintptr{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK}},
		{Name: "socket tcp", Nr: unix.SYS_SOCKET, Args: [6]uintptr{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC, unix.IPPROTO_TCP}},
		{Name: "socket udp6", Nr: unix.SYS_SOCKET, Args: [6]uintptr{unix.AF_INET6, unix.SOCK_DGRAM}},
		{Name: "socket rtnetlink", Nr: unix.SYS_SOCKET, Args: [6]uintptr{unix.AF_NETLINK, unix.SOCK_RAW | unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE}},
		{Name: "fchmod 0755", Nr: unix.SYS_FCHMOD, Args: [6]uintptr{file, 0o755}},
		{Name: "personality query", Nr: unix.SYS_PERSONALITY, Args: [6]uintptr{0xffffffff}},
		{Name: "prctl PR_GET_DUMPABLE", Nr: unix.SYS_PRCTL, Args: [6]uintptr{unix.PR_GET_DUMPABLE}},
	}
	for i, errno := range errnos(t, job{Filter: marshal(t, plan.Seccomp{On: true}), Calls: ordinary}) {
		if errno != 0 {
			t.Errorf("%s: %v under the filter", ordinary[i].Name, errno)
		}
	}
	shared := []probe{{Name: "shmget", Nr: unix.SYS_SHMGET, Args: [6]uintptr{unix.IPC_PRIVATE, 0}}} // EINVAL of the size
	if got := errnos(t, job{Filter: marshal(t, plan.Seccomp{On: true}), Calls: shared}); got[0] != syscall.EINVAL {
		t.Errorf("shmget: %v", got[0])
	}
	if got := errnos(t, job{Filter: marshal(t, plan.Seccomp{On: true, Alone: true}), Calls: shared}); got[0] != syscall.ENOSYS {
		t.Errorf("shmget without System V IPC: %v", got[0])
	}
	sockets := ordinary[1:5]
	for i, errno := range errnos(t, job{Filter: marshal(t, plan.Seccomp{On: true, Alone: true}), Calls: sockets}) {
		if errno != syscall.EAFNOSUPPORT {
			t.Errorf("%s without namespaces: %v", sockets[i].Name, errno)
		}
	}
}

// x32 numbers mean other calls: a filter that treats them as native protects nothing.
func TestKernelKillsForeignABI(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("x32 is an ABI of amd64")
	}
	x32 := []probe{{Name: "getpid of x32", Nr: 0x40000000 + unix.SYS_GETPID}}
	errnos(t, job{Calls: x32}) // the twin survives, whether or not the kernel has x32
	err := command(t, job{Filter: marshal(t, plan.Seccomp{On: true}), Calls: x32}).Run()
	exit, ok := err.(*exec.ExitError)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGSYS {
		t.Fatalf("an x32 call ended in %v, want a death by SIGSYS", err)
	}
}

func TestKernelFilterIsNotLoadedWithoutWhatItNeeds(t *testing.T) {
	f, err := For(plan.Seccomp{On: true, Notify: true}, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	if err := Load(f); err == nil {
		t.Error("a filter that listens was loaded without a listener")
	}
	if _, err := loadListener(Filter{}); err == nil {
		t.Error("the zero filter was loaded")
	}
	if err := Load(Filter{}); err == nil {
		t.Error("the zero filter was loaded")
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	f, err = For(plan.Seccomp{On: true}, other)
	if err != nil {
		t.Fatal(err)
	}
	if err := Load(f); err == nil {
		t.Error("another architecture's filter was loaded")
	}
	f, err = For(plan.Seccomp{On: true}, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	if err := Load(f); err == nil || !strings.Contains(err.Error(), "no-new-privileges") {
		t.Errorf("loaded without no-new-privileges: %v", err)
	}
}

// BenchmarkLoad loads the filter in a new thread each time: only the first load in a
// thread costs as much as a start pays.
func BenchmarkLoad(b *testing.B) {
	f, err := For(plan.Seccomp{On: true}, runtime.GOARCH)
	if err != nil {
		b.Fatal(err)
	}
	var spent time.Duration
	for b.Loop() {
		failed := make(chan error)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				failed <- err
				return
			}
			start := time.Now()
			err := Load(f)
			spent += time.Since(start)
			failed <- err
		}()
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "load-ns/op")
	b.ReportMetric(float64(f.Len()), "instructions")
}
