package child

import (
	"fmt"
	"os"
	"runtime"
	"sort"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// executeStep is the step whose failure is the program's fault, not the sandbox's.
const executeStep = "execute the server"

// prepare sets up the exec stage. It makes Landlock's rules here because their paths
// are those of the new root, in which this process runs.
func prepare(boot Boot, ctl *Control) (*stage, error) {
	p := boot.Plan
	s := &stage{user: p.Holds(policy.LayerNamespaces), umask: p.Process.Umask, dir: p.Process.Dir, path: p.Process.Path,
		ruleset: -1, control: ctl.f}
	if p.Desk != nil {
		s.init = p.Desk.Init
	}
	var err error
	if s.limits, err = limits(p); err == nil {
		err = within(s.limits)
	}
	if err != nil {
		return nil, step("set limits", err)
	}
	if s.argv, s.envv, err = vectors(boot); err != nil {
		return nil, err
	}
	if p.Holds(policy.LayerLandlock) {
		if s.ruleset, err = ruleset(p.Landlock); err != nil {
			return nil, step("put Landlock on", err)
		}
	}
	if !p.Holds(policy.LayerSeccomp) {
		return s, nil
	}
	f, err := seccomp.For(p.Seccomp, runtime.GOARCH)
	if err != nil {
		return nil, step("get the system call filter", err)
	}
	s.filter, s.trace = &f, p.Seccomp.Trace
	if !p.Seccomp.Mediate {
		return s, nil
	}
	s.readonly = p.Writes.Folders
	s.mediates = p.Mediator()
	if s.handoff, s.control, err = handoff(); err != nil {
		return nil, step("connect the server's calls to the mediator", err)
	}
	return s, nil
}

// vectors returns the server's arguments and environment.
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

// limits returns the resource limits that the plan holds by rlimit, and one that is
// always set: no core dump may leave the sandbox for the host's core handler, which
// runs as root.
func limits(p plan.Plan) ([]limit, error) {
	out := []limit{{resource: unix.RLIMIT_CORE}}
	for _, l := range p.Limits {
		if l.How != plan.HowRlimit {
			continue
		}
		set := limit{name: l.Name, value: uint64(l.Value)}
		switch l.Name {
		case plan.LimitProcesses:
			set.resource = unix.RLIMIT_NPROC
		case plan.LimitOpenFiles:
			set.resource = unix.RLIMIT_NOFILE
		case plan.LimitFileSize:
			set.resource = unix.RLIMIT_FSIZE
		case plan.LimitCPUTime:
			set.resource, set.value = unix.RLIMIT_CPU, uint64(l.Value+999)/1000
		default:
			return nil, fmt.Errorf("internal error: no rlimit holds %s", l.Name)
		}
		out = append(out, set)
	}
	return out, nil
}

// within lowers limits to this process's own: nobody inside may raise one, and whoever
// started mcpen under a lower limit meant it.
func within(all []limit) error {
	for i := range all {
		var have unix.Rlimit
		if err := unix.Getrlimit(all[i].resource, &have); err != nil {
			return fmt.Errorf("%s: %w", all[i].name, os.NewSyscallError("getrlimit", err))
		}
		all[i].value = min(all[i].value, have.Max)
		if all[i].resource == unix.RLIMIT_NOFILE {
			all[i].value = min(all[i].value, leaving(have.Max))
		}
	}
	return nil
}

// leaving is the most open files for a server if the user may have most. A server may
// have as many descriptors in flight as it may open, and the next start's messages need
// room beside them (SCM_MAX_FD and a margin).
func leaving(most uint64) uint64 {
	const room = 512
	if most > 2*room {
		return most - room
	}
	return most
}
