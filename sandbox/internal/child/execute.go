package child

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sort"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// reportFD is the exec stage's own descriptor besides the boot and the control
// socket: where it says why it did not become the server.
const reportFD = 6

// execute becomes the server, or reports why not.
func execute() int {
	ctl := &Control{os.NewFile(ctlFD, "control")}
	defer runtime.KeepAlive(ctl)
	err := become(ctl)
	data, _ := json.Marshal(failure(err))
	unix.Write(reportFD, data)
	return 1
}

// become runs the last steps in the only order that holds: what needs rights
// first, then Landlock, whose paths are those of the new root, then seccomp,
// then execve. All of it is on one locked thread: Landlock and seccomp are of
// the thread that executes (a goroutine that moves in between runs unconfined).
func become(ctl *Control) error {
	boot, err := unpack()
	if err != nil {
		return err
	}
	p := boot.Plan
	if err := prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL)); err != nil {
		return step("die with pid 1", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return step("set no_new_privs", err)
	}
	if err := dropCapabilities(p.Holds(policy.LayerNamespaces)); err != nil {
		return step("drop capabilities", err)
	}
	if err := setLimits(p); err != nil {
		return step("set limits", err)
	}
	unix.Umask(p.Process.Umask)
	if err := unix.Chdir(p.Process.Dir); err != nil {
		return step("enter the working directory", &os.PathError{Op: "chdir", Path: p.Process.Dir, Err: err})
	}
	if err := unix.Access(p.Process.Path, unix.X_OK); err != nil {
		return step("execute the server", &os.PathError{Op: "access", Path: p.Process.Path, Err: err})
	}
	if p.Holds(policy.LayerLandlock) {
		if err := restrict(p.Landlock); err != nil {
			return step("put Landlock on", err)
		}
	}
	argv, envv, err := vectors(boot)
	if err != nil {
		return err
	}
	// No descriptor but stdin, stdout and stderr survives execve. The ones this
	// stage still needs close there by themselves.
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return step("close descriptors", os.NewSyscallError("close_range", err))
	}
	if p.Holds(policy.LayerSeccomp) {
		if err := load(boot, ctl); err != nil {
			return err
		}
	}
	return step("execute the server", execve(p.Process.Path, argv, envv))
}

// load installs the filter, last of all, and hands its listener out.
func load(boot Boot, ctl *Control) error {
	f, err := readFilter()
	if err != nil {
		return step("get the system call filter", err)
	}
	if !boot.Plan.Seccomp.Notify {
		return step("load the system call filter", seccomp.Load(f))
	}
	fd, err := seccomp.LoadListener(f)
	if err != nil {
		return step("load the system call filter", err)
	}
	listener := os.NewFile(uintptr(fd), "listener")
	return step("hand out the filter's listener", ctl.Send(Message{Kind: Notify, Files: []*os.File{listener}}))
}

// vectors are the server's arguments and environment.
func vectors(boot Boot) (argv, envv []string, err error) {
	p := boot.Plan.Process
	for _, e := range p.Env {
		envv = append(envv, e.Name+"="+e.Value)
	}
	for _, s := range p.Secrets {
		v, ok := boot.Secrets[s.Name]
		if !ok {
			return nil, nil, fmt.Errorf("internal error: the secret %q was not fetched", s.Name)
		}
		envv = append(envv, s.Name+"="+v)
	}
	sort.Strings(envv)
	return p.Args, envv, nil
}

// dropCapabilities empties every set of this thread, the bounding set first:
// a root user's execve would otherwise fill the permitted set from it. Without
// namespaces an ordinary user has no capability, may not empty the bounding set
// either, and cannot gain from it behind no_new_privs.
func dropCapabilities(namespaces bool) error {
	for c := uintptr(0); c <= 63; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			break // past the last capability of this kernel
		}
		if errors.Is(err, unix.EPERM) && !namespaces && os.Getuid() != 0 {
			break
		}
		if err != nil {
			return os.NewSyscallError("prctl(PR_CAPBSET_DROP)", err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl(PR_CAP_AMBIENT)", err)
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return os.NewSyscallError("capset", unix.Capset(&hdr, &none[0]))
}

// setLimits sets the resource limits that the plan holds by rlimit, and the
// ones that are always set: no core dump leaves the sandbox for the host's
// core handler, which runs as root.
func setLimits(p plan.Plan) error {
	set := func(resource int, value uint64) error {
		r := unix.Rlimit{Cur: value, Max: value}
		return os.NewSyscallError("setrlimit", unix.Setrlimit(resource, &r))
	}
	if err := set(unix.RLIMIT_CORE, 0); err != nil {
		return err
	}
	for _, l := range p.Limits {
		if l.How != plan.HowRlimit {
			continue
		}
		var err error
		switch l.Name {
		case plan.LimitProcesses:
			err = set(unix.RLIMIT_NPROC, uint64(l.Value))
		case plan.LimitOpenFiles:
			err = set(unix.RLIMIT_NOFILE, uint64(l.Value))
		case plan.LimitFileSize:
			err = set(unix.RLIMIT_FSIZE, uint64(l.Value))
		case plan.LimitCPUTime:
			err = set(unix.RLIMIT_CPU, uint64(l.Value+999)/1000)
		default:
			err = fmt.Errorf("internal error: no rlimit holds %s", l.Name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", l.Name, err)
		}
	}
	return nil
}
