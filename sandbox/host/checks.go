package host

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mcpen/sandbox/plan"
)

// State is the result of a check.
type State string

// The states.
const (
	OK      State = "ok"
	Missing State = "missing"
	Limited State = "limited" // it works in part
	Untold  State = "unknown"
)

// Check is one line for a person.
type Check struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	State       State    `json:"state"`
	Detail      string   `json:"detail,omitempty"`
	Consequence string   `json:"consequence,omitempty"` // for servers
	Fix         []string `json:"fix,omitempty"`         // lines to paste, comments included
	Blocks      bool     `json:"blocks,omitempty"`      // nothing starts with the default layers
	// AppArmor is the profile that AppArmorFile needs to mend it, "" where a profile
	// would not help.
	AppArmor string `json:"apparmor,omitempty"`
}

// Facts is the input of Checks.
type Facts struct {
	Host   plan.Host
	Depths Depths // empty where nothing was tried
	Around Survey
	Binary string // absolute path of mcpen, for an AppArmor profile

	Tried  bool  // a tiny program was started in the whole sandbox
	Recipe error // its error, nil where it worked
	// Ungrouped says why the program ran outside the control group of Host, "" where it
	// ran inside.
	Ungrouped string
	Installs  []Installs // in the order of their lines
}

// Checks turns facts into lines, those that everything depends on first. It is pure.
func Checks(f Facts) []Check {
	checks := []Check{
		whole(f), namespaceCheck(f), landlockCheck(f), seccompCheck(f), notifyCheck(f), mediationCheck(f), routesCheck(f),
		memfdCheck(f), cgroupCheck(f), kernelCheck(f), runtimeCheck(f), around(f), lsmCheck(f), yamaCheck(f),
	}
	for _, i := range f.Installs {
		checks = append(checks, installsCheck(i))
	}
	return slices.DeleteFunc(checks, func(c Check) bool { return c.ID == "" })
}

// Blocking are the names of the checks that keep everything from starting.
func Blocking(checks []Check) []string {
	var names []string
	for _, c := range checks {
		if c.Blocks {
			names = append(names, c.Name)
		}
	}
	return names
}

// fromFact is a check's state for a fact.
func fromFact(is plan.Tri) State {
	switch is {
	case plan.Yes:
		return OK
	case plan.No:
		return Missing
	}
	return Untold
}

func whole(f Facts) Check {
	if !f.Tried {
		return Check{}
	}
	c := Check{ID: "sandbox", Name: "the whole sandbox", State: OK, Detail: "a program was started in it and came back"}
	if f.Recipe != nil {
		c.State, c.Detail, c.Blocks = Missing, f.Recipe.Error(), true
		c.Consequence = "nothing starts; the lines below say what is missing"
	}
	return c
}

func namespaceCheck(f Facts) Check {
	c := Check{ID: "namespaces", Name: "namespaces", State: fromFact(f.Host.Namespaces.Is), Detail: f.Host.Namespaces.Why}
	switch c.State {
	case OK:
		c.Detail = "user, mount, pid, net, ipc, uts and cgroup, with /proc and a root of its own"
	case Missing:
		c.Blocks = true
		c.Consequence = `nothing starts; require.without = ["namespaces"] does without, and then no server has a network`
		cause := causeOf(f)
		c.Detail += ": " + cause.why
		c.Fix = cause.fix(f)
		if cause.appArmor {
			c.AppArmor = AppArmorProfile(f.Binary)
		}
	default:
		c.Consequence = "a start tries it and refuses where it fails"
	}
	return c
}

func landlockCheck(f Facts) Check {
	c := Check{ID: "landlock", Name: "Landlock", State: OK}
	abi := f.Host.Landlock
	if abi < 1 {
		c.State, c.Blocks = Missing, true
		c.Detail = f.Around.LandlockErr
		c.Consequence = "nothing starts; files would be held by the namespaces alone"
		c.Fix = landlockFix(f)
		return c
	}
	c.Detail = fmt.Sprintf("ABI %d", abi)
	if abi > plan.LandlockFull {
		c.Detail += fmt.Sprintf(", of which ABI %d is used", plan.LandlockFull)
	}
	var without []string
	for _, right := range []struct {
		abi  int
		what string
	}{{2, "moving files between folders"}, {3, "truncate"}, {4, "TCP ports"}, {5, "device ioctls"}, {6, "abstract sockets and signals"}} {
		if abi < right.abi {
			without = append(without, right.what)
		}
	}
	if len(without) > 0 {
		c.Detail += "; held by the namespaces alone: " + strings.Join(without, ", ")
	}
	var open []string
	for _, erratum := range []struct {
		bit, abi int
		what     string
	}{{1, 4, "TCP sockets are told from other streams"}, {2, 6, "signals between threads of one process"}, {3, 1, "folders that are moved away while they are open"}} {
		if f.Host.Errata != 0 && abi >= erratum.abi && f.Host.Errata&(1<<(erratum.bit-1)) == 0 {
			open = append(open, fmt.Sprintf("%d (%s)", erratum.bit, erratum.what))
		}
	}
	switch {
	case f.Host.Errata == 0:
		c.Detail += "; the kernel does not say which errata are fixed"
	case len(open) > 0:
		c.State = Limited
		c.Detail += "; errata that are not fixed: " + strings.Join(open, ", ")
		c.Consequence = "the namespaces hold what these miss"
		c.Fix = []string{"# install your distribution's kernel updates, then reboot"}
	}
	return c
}

func seccompCheck(f Facts) Check {
	c := Check{ID: "seccomp", Name: "seccomp", State: fromFact(f.Host.Seccomp.Is), Detail: f.Host.Seccomp.Why}
	switch c.State {
	case OK:
		c.Detail = "a filter can refuse calls and end a process"
	case Missing:
		c.Blocks = true
		c.Consequence = "nothing starts; every system call would be open"
		c.Fix = []string{"# a kernel with CONFIG_SECCOMP_FILTER is needed; every distribution's kernel has it"}
		if f.Around.Container != "" {
			c.Fix = containerFix(f.Around.Container)
		}
	}
	return c
}

func notifyCheck(f Facts) Check {
	c := Check{ID: "notify", Name: "seccomp notification", State: fromFact(f.Host.Notify.Is), Detail: f.Host.Notify.Why}
	if c.State == OK {
		c.Detail = "refused calls are seen by the launcher"
	}
	if c.State != Missing {
		return c
	}
	c.State = Limited
	c.Consequence = "refused system calls are refused all the same and are not in the log"
	if strings.Contains(c.Detail, "EBUSY") {
		c.Detail += "; another listener is in force for this process tree"
		if f.Around.WSL {
			c.Fix = []string{"# WSL's own init holds the listener; it is optional, nothing needs to be done"}
		}
	}
	return c
}

func mediationCheck(f Facts) Check {
	c := Check{ID: "mediation", Name: "mediated writes", State: fromFact(f.Host.Mediation.Is), Detail: f.Host.Mediation.Why}
	if c.State == OK {
		c.Detail = "changes in writable folders are made for the server, protected places at any depth stay as they are"
	}
	if c.State != Missing {
		return c
	}
	c.State = Limited
	c.Consequence = "a profile with a writable folder starts only with --without mediation: deeper protected places are not held then"
	if strings.Contains(c.Detail, "ptrace_scope") {
		c.Fix = []string{"# until the next boot nobody can lower it; then: kernel.yama.ptrace_scope = 2 in /etc/sysctl.d"}
	}
	return c
}

func routesCheck(f Facts) Check {
	c := Check{ID: "routes", Name: "egress routes", State: fromFact(f.Host.Routes.Is), Detail: f.Host.Routes.Why}
	v6 := f.Depths.step(stepRoutes6)
	switch {
	case c.State == Missing:
		c.Consequence = "a server with network.allow cannot start; one without network can"
		c.Fix = []string{"# a kernel with CONFIG_INET and advanced routing is needed; every distribution's kernel has it"}
	case c.State == OK && !v6.Done:
		c.State = Limited
		c.Detail = "IPv4 only: " + v6.Text
		c.Consequence = "servers reach allowed names by IPv4"
	case c.State == OK:
		c.Detail = "every address ends at the launcher, IPv4 and IPv6"
	}
	return c
}

func memfdCheck(f Facts) Check {
	c := Check{ID: "memfd", Name: "sealed memfd", State: fromFact(f.Host.Memfd.Is), Detail: f.Host.Memfd.Why}
	switch c.State {
	case OK:
		c.Detail = "a copy of mcpen that nobody can change was executed"
	case Missing:
		c.Consequence = "mcpen cannot start itself from a sealed copy, which keeps a server from changing it"
		if f.Tried && f.Recipe == nil { // libcontainer has other ways to make a copy that nobody can change
			c.State = Limited
			c.Consequence = "mcpen is copied by another way, in which a server cannot change it either"
		}
		if n := f.Around.MemfdNoexec; n != "" && n != "0" {
			c.Detail += "; vm.memfd_noexec is " + n
			c.Fix = sysctlFix("vm.memfd_noexec", "1")
		}
	}
	return c
}

func cgroupCheck(f Facts) Check {
	c := Check{ID: "cgroup", Name: "control groups", State: OK}
	have := f.Host.Cgroup.Controllers
	words := map[plan.LimitHow]string{
		plan.HowCgroup2: "cgroup v2, delegated to this user",
		plan.HowSystemd: "a scope of the systemd user manager",
		plan.HowCgroup1: "cgroup v1, as root",
	}
	c.Detail = words[f.Host.Cgroup.How] + ": " + strings.Join(have, ", ")
	var lacks []string
	for _, want := range controllers {
		if !slices.Contains(have, want) {
			lacks = append(lacks, want)
		}
	}
	if f.Ungrouped != "" { // the trial counts, not the forecast
		c.State, c.Detail = Limited, f.Ungrouped
		c.Consequence = "a start that finds no control group goes without its limits, or is refused where they are required"
		return c
	}
	if len(lacks) == 0 {
		return c
	}
	c.State = Limited
	c.Consequence = "limits on " + strings.Join(lacks, ", ") + " hold for one process, not for a server with its children, or not at all"
	if f.Host.Cgroup.How == "" {
		c.Detail = f.Host.Cgroup.Why
	}
	switch {
	case f.Around.Container != "":
		runtime := "docker"
		if f.Around.Container == "podman" {
			runtime = "podman"
		}
		c.Fix = []string{"# limit the container itself:", runtime + " run --memory 2g --pids-limit 512 --cpus 2 …"}
	case f.Around.WSL:
		c.Fix = []string{"# in /etc/wsl.conf, then run: wsl --shutdown", "[boot]", "systemd=true"}
	case f.Host.UID != 0:
		c.Fix = []string{
			"sudo mkdir -p /etc/systemd/system/user@.service.d",
			`printf '[Service]\nDelegate=cpu memory pids\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf`,
			"sudo systemctl daemon-reload",
			"# then log out and in again",
		}
	}
	return c
}

// floor is the oldest kernel for which the design was worked out.
var floor = [2]int{5, 13}

func kernelCheck(f Facts) Check {
	c := Check{ID: "kernel", Name: "kernel", State: OK, Detail: f.Host.Kernel}
	old, known := belowFloor(f.Host.Kernel)
	switch {
	case !known:
		c.State = Untold
	case old && f.Tried && f.Recipe != nil:
		c.State, c.Blocks = Missing, true
		c.Consequence = fmt.Sprintf("nothing starts: mcpen needs Linux %d.%d or newer", floor[0], floor[1])
		c.Fix = []string{"# Debian 12, Ubuntu 22.04, Fedora 35 and later have one"}
	case old: // with a distribution's own patches
		c.State = Limited
		c.Consequence = fmt.Sprintf("older than %d.%d: what the lines above found is what counts, and it was never tried there", floor[0], floor[1])
	}
	return c
}

// belowFloor reports whether a release from uname(2) is older than the floor. known is
// false if the release has another form.
func belowFloor(release string) (old, known bool) {
	major, rest, _ := strings.Cut(release, ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, errX := strconv.Atoi(major)
	y, errY := strconv.Atoi(strings.TrimRightFunc(minor, func(r rune) bool { return r < '0' || r > '9' }))
	return x < floor[0] || x == floor[0] && y < floor[1], errX == nil && errY == nil
}

func runtimeCheck(f Facts) Check {
	c := Check{ID: "runtime", Name: "runtime directory", State: OK, Detail: "XDG_RUNTIME_DIR"}
	if f.Around.Runtime == "" {
		return c
	}
	c.State, c.Detail = Limited, f.Around.Runtime
	c.Consequence = "a directory of this user's own in TMPDIR, /dev/shm or /tmp is used, and no systemd scope"
	if f.Around.Container == "" && f.Host.UID != 0 {
		c.Fix = []string{`sudo loginctl enable-linger "$(id -un)"`, `export XDG_RUNTIME_DIR="/run/user/$(id -u)"`}
	}
	return c
}

func around(f Facts) Check {
	var in []string
	for _, place := range []struct {
		is   bool
		what string
	}{{f.Around.Container != "", "a container (" + f.Around.Container + ")"}, {f.Around.Flatpak, "a flatpak"}, {f.Around.Snap, "a snap"}, {f.Around.WSL, "WSL2"}} {
		if place.is {
			in = append(in, place.what)
		}
	}
	c := Check{ID: "around", Name: "surroundings", State: OK, Detail: "no container, flatpak, snap or WSL2"}
	if len(in) == 0 {
		return c
	}
	c.Detail = "inside " + strings.Join(in, ", ")
	if (f.Around.Flatpak || f.Around.Snap) && f.Host.Namespaces.Is != plan.Yes {
		c.State = Limited
		c.Consequence = "what confines the client confines mcpen too"
		c.Fix = []string{"# install the client from your distribution's packages, or from its maker's .deb or .rpm"}
	}
	return c
}

func lsmCheck(f Facts) Check {
	var have []string
	if f.Around.AppArmor != "" {
		have = append(have, "AppArmor: "+f.Around.AppArmor)
	}
	if f.Around.SELinux != "" {
		have = append(have, "SELinux: "+f.Around.SELinux)
	}
	if len(have) == 0 {
		have = []string{"neither AppArmor nor SELinux"}
	}
	return Check{ID: "lsm", Name: "other confinement", State: OK, Detail: strings.Join(have, "; ")}
}

func yamaCheck(f Facts) Check {
	c := Check{ID: "yama", Name: "ptrace", State: OK, Detail: "kernel.yama.ptrace_scope is " + f.Around.Yama}
	switch f.Around.Yama {
	case "":
		c.Detail = "no Yama"
	case "0":
	default:
		return c
	}
	c.State = Limited
	c.Consequence = "programs of yours outside the sandbox can read mcpen's memory, secrets included; servers inside cannot"
	if f.Around.Yama == "0" {
		c.Fix = sysctlFix("kernel.yama.ptrace_scope", "1")
	}
	return c
}
