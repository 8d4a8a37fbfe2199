package host

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/host/hosttest"
	"mcpen/sandbox/plan"
)

// good is a machine on which nothing is amiss.
func good() Facts {
	var d Depths
	for _, s := range slices.Concat(namespaceSteps, routeSteps, []string{stepRoutes6, stepMemfd, stepFilter, stepListener, stepLandlock}) {
		d = append(d, Step{Name: s, Done: true})
	}
	f := Facts{
		Host: plan.Host{Kernel: "6.8.0-45-generic", UID: 1000, Landlock: 7, Errata: 7, Seccomp: plan.Fact{Is: plan.Yes},
			Cgroup: plan.Cgroup{How: plan.HowSystemd, Controllers: []string{"memory", "pids", "cpu"}}},
		Depths: d,
		Around: Survey{Distro: "ubuntu debian", Yama: "1", MaxUser: "15000", AppArmor: "unconfined"},
		Binary: "/usr/local/bin/mcpen",
		Tried:  true,
	}
	d.Into(&f.Host)
	return f
}

// breakAt fails one step and, for a namespace step, all that follow it.
func breakAt(f *Facts, step string, errno unix.Errno) {
	i := slices.IndexFunc(f.Depths, func(s Step) bool { return s.Name == step })
	f.Depths[i] = Step{Name: step, Errno: errno, Text: name(errno)}
	if at := slices.Index(namespaceSteps, step); at >= 0 {
		for _, s := range namespaceSteps[at+1:] {
			f.Depths[slices.IndexFunc(f.Depths, func(d Step) bool { return d.Name == s })] = Step{Name: s}
		}
	}
	f.Depths.Into(&f.Host)
}

func TestChecksOfAGoodMachine(t *testing.T) {
	checks := Checks(good())
	for _, c := range checks {
		if c.State != OK || c.Blocks || len(c.Fix) > 0 || c.Detail == "" || c.Consequence != "" {
			t.Errorf("%+v", c)
		}
	}
	if len(checks) != 14 {
		t.Errorf("%d checks", len(checks))
	}
}

// Each cause has its own fix: a person who pastes the wrong one weakens the machine and
// still cannot start a server.
func TestChecksNameTheCauseAndTheFix(t *testing.T) {
	for _, c := range []struct {
		name   string
		broken func(*Facts)
		id     string
		state  State
		blocks bool
		says   string // in the detail
		fix    string // in the lines to paste; "" none
	}{
		{"Ubuntu's AppArmor", func(f *Facts) { f.Around.RestrictUser = "1"; breakAt(f, stepPrivate, unix.EPERM) },
			"namespaces", Missing, true, "AppArmor", `profile mcpen "/usr/local/bin/mcpen" flags=(unconfined) {` + "\n  userns,"},
		{"AppArmor at the map", func(f *Facts) { f.Around.RestrictUser = "1"; breakAt(f, stepUIDs, unix.EPERM) },
			"namespaces", Missing, true, "write uid_map", "apparmor_parser -r"},
		{"AppArmor around the session", func(f *Facts) { f.Around.AppArmor = "session (enforce)"; breakAt(f, stepUser, unix.EACCES) },
			"namespaces", Missing, true, "AppArmor's profile \"session (enforce)\"", "apparmor_parser -r"},
		{"AppArmor of a container", func(f *Facts) {
			f.Around.Container, f.Around.AppArmor = "docker", "docker-default (enforce)"
			breakAt(f, stepUser, unix.EACCES)
		}, "namespaces", Missing, true, "filter", "apparmor=unconfined"},
		{"used up", func(f *Facts) { breakAt(f, stepUser, unix.ENOSPC) }, "namespaces", Missing, true, "no more", "user.max_user_namespaces = 15000"},
		{"switched off", func(f *Facts) { f.Around.CloneUser = "0"; breakAt(f, stepUser, unix.EPERM) }, "namespaces", Missing, true, "unprivileged_userns_clone", "kernel.unprivileged_userns_clone = 1"},
		{"Docker's filter", func(f *Facts) { f.Around.Container = "docker"; breakAt(f, stepUser, unix.EPERM) }, "namespaces", Missing, true, "filter", "seccomp=unconfined"},
		{"Docker's masked proc", func(f *Facts) { f.Around.Container = "docker"; breakAt(f, stepProc, unix.EPERM) }, "namespaces", Missing, true, "masked", "systempaths=unconfined"},
		{"Podman's masked proc", func(f *Facts) { f.Around.Container = "podman"; breakAt(f, stepProc, unix.EPERM) }, "namespaces", Missing, true, "masked", "unmask=ALL --security-opt seccomp=unconfined"},
		{"Podman's filter", func(f *Facts) { f.Around.Container = "podman"; breakAt(f, stepHostname, unix.EPERM) }, "namespaces", Missing, true, "filter", "seccomp=unconfined"},
		{"Podman's control groups", func(f *Facts) { f.Around.Container, f.Host.Cgroup = "podman", plan.Cgroup{Why: "none"} }, "cgroup", Limited, false, "none", "podman run --memory"},
		{"Kubernetes", func(f *Facts) { f.Around.Container = "kubernetes"; breakAt(f, stepProc, unix.EPERM) }, "namespaces", Missing, true, "masked", "procMount: Unmasked"},
		{"a Landlock domain", func(f *Facts) { breakAt(f, stepPrivate, unix.EPERM) }, "namespaces", Missing, true, "Landlock domain", "outside of that sandbox"},
		{"a flatpak", func(f *Facts) { f.Around.Flatpak = true; breakAt(f, stepUser, unix.EPERM) }, "around", Limited, false, "flatpak", "distribution's packages"},
		{"not tried", func(f *Facts) { f.Depths, f.Host.Namespaces = nil, plan.Fact{Why: "not tried"} }, "namespaces", Untold, false, "not tried", ""},
		{"the recipe alone", func(f *Facts) { f.Recipe = errors.New("cannot mount x") }, "sandbox", Missing, true, "cannot mount x", ""},

		{"Landlock not started, Ubuntu", func(f *Facts) { f.Host.Landlock = 0; f.Around.LandlockErr = name(unix.EOPNOTSUPP) }, "landlock", Missing, true, "EOPNOTSUPP", "update-grub"},
		{"Landlock not started, Fedora", func(f *Facts) {
			f.Host.Landlock, f.Around.Distro, f.Around.LandlockErr = 0, "fedora", name(unix.EOPNOTSUPP)
		}, "landlock", Missing, true, "EOPNOTSUPP", "grubby"},
		{"Landlock in WSL2", func(f *Facts) {
			f.Host.Landlock, f.Around.WSL, f.Around.LandlockErr = 0, true, name(unix.EOPNOTSUPP)
		}, "landlock", Missing, true, "EOPNOTSUPP", "kernelCommandLine"},
		{"no Landlock built", func(f *Facts) { f.Host.Landlock = 0; f.Around.LandlockErr = name(unix.ENOSYS) }, "landlock", Missing, true, "ENOSYS", "CONFIG_SECURITY_LANDLOCK"},
		{"an old Landlock is enough", func(f *Facts) { f.Host.Landlock, f.Host.Errata = 1, 0 }, "landlock", OK, false, "TCP ports", ""},
		{"an erratum", func(f *Facts) { f.Host.Errata = 3 }, "landlock", Limited, false, "3 (", "kernel updates"},

		{"no seccomp", func(f *Facts) { f.Host.Seccomp = plan.Fact{Is: plan.No, Why: "ENOSYS"} }, "seccomp", Missing, true, "ENOSYS", "CONFIG_SECCOMP_FILTER"},
		{"WSL2's listener", func(f *Facts) { f.Around.WSL = true; breakAt(f, stepListener, unix.EBUSY) }, "notify", Limited, false, "EBUSY", "optional"},
		{"no local routes", func(f *Facts) { breakAt(f, stepRoutes, unix.EOPNOTSUPP) }, "routes", Missing, false, "EOPNOTSUPP", "routing"},
		{"no IPv6", func(f *Facts) { breakAt(f, stepRoutes6, unix.EAFNOSUPPORT) }, "routes", Limited, false, "IPv4 only", ""},
		{"no memfd", func(f *Facts) { f.Around.MemfdNoexec = "2"; breakAt(f, stepMemfd, unix.EACCES) }, "memfd", Limited, false, "memfd_noexec is 2", "vm.memfd_noexec = 1"},
		{"no control group", func(f *Facts) { f.Host.Cgroup = plan.Cgroup{Why: "nothing is delegated"} }, "cgroup", Limited, false, "nothing is delegated", "delegate.conf"},
		{"a scope that could not be had", func(f *Facts) { f.Ungrouped = "no scope: timed out" }, "cgroup", Limited, false, "no scope: timed out", ""},
		{"no cpu controller", func(f *Facts) { f.Host.Cgroup.Controllers = []string{"memory", "pids"} }, "cgroup", Limited, false, "memory, pids", "Delegate=cpu"},
		{"WSL2 without systemd", func(f *Facts) { f.Around.WSL, f.Host.Cgroup = true, plan.Cgroup{Why: "none"} }, "cgroup", Limited, false, "none", "systemd=true"},
		{"an old kernel", func(f *Facts) { f.Host.Kernel = "5.4.0-100-generic" }, "kernel", Limited, false, "5.4", ""},
		{"an odd kernel", func(f *Facts) { f.Host.Kernel = "custom" }, "kernel", Untold, false, "custom", ""},
		{"a kernel below the floor", func(f *Facts) { f.Host.Kernel, f.Recipe = "5.10.0-32-amd64", errors.New("too old") }, "kernel", Missing, true, "5.10", "Debian 12"},
		{"a kernel without its calls", func(f *Facts) { f.Host.Kernel = "5.10.0-32-amd64"; breakAt(f, stepReadOnly, unix.ENOSYS) }, "namespaces", Missing, true, "kernel is too old", ""},
		{"a filter that knows no such calls", func(f *Facts) { breakAt(f, stepReadOnly, unix.ENOSYS) }, "namespaces", Missing, true, "refused here", "outside of"},
		{"no runtime directory", func(f *Facts) { f.Around.Runtime = "XDG_RUNTIME_DIR is not set" }, "runtime", Limited, false, "not set", "enable-linger"},
		{"ptrace for all", func(f *Facts) { f.Around.Yama = "0" }, "yama", Limited, false, "is 0", "ptrace_scope = 1"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			f := good()
			c.broken(&f)
			checks := Checks(f)
			i := slices.IndexFunc(checks, func(k Check) bool { return k.ID == c.id })
			got := checks[i]
			if got.State != c.state || got.Blocks != c.blocks || !strings.Contains(got.Detail, c.says) {
				t.Errorf("%+v", got)
			}
			if fix := strings.Join(got.Fix, "\n"); !strings.Contains(fix, c.fix) || c.fix == "" && fix != "" {
				t.Errorf("the fix is\n%s", fix)
			}
			if got.State == Missing && got.Consequence == "" {
				t.Error("nobody is told what it means")
			}
			if blocks := len(Blocking(checks)) > 0; blocks != c.blocks && c.id != "around" {
				t.Errorf("blocking: %v", Blocking(checks))
			}
			if _, err := json.Marshal(checks); err != nil {
				t.Error(err)
			}
		})
	}
}

// Root loads the profile, so a path must not be able to add rules to it.
func TestAppArmorProfileHoldsAnyPath(t *testing.T) {
	for path, want := range map[string]string{
		"/opt/my tools/mcpen":      `profile mcpen "/opt/my tools/mcpen" flags`,
		`/x"/mcpen`:                `profile mcpen "/x\"/mcpen" flags`,
		"/home/{a,b}/**/mcpen":     `profile mcpen "/home/\{a,b\}/\*\*/mcpen" flags`,
		"/x\n}\nprofile y /** {\n": "",
		"mcpen":                    "",
		"":                         "",
	} {
		got := AppArmorProfile(path)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q:\n%s", path, got)
		}
	}
}

func TestSurveyOfATree(t *testing.T) {
	tr := hosttest.New(t)
	tr.File("/etc/os-release", "NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=\"debian\"\n")
	tr.File("/.dockerenv", "")
	tr.File("/proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n")
	tr.File("/proc/sys/kernel/yama/ptrace_scope", "1\n")
	tr.File("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n")
	tr.File("/sys/module/apparmor/x", "")
	tr.File("/proc/thread-self/attr/current", "snap.code.code (enforce)\n")
	tr.File("/sys/fs/selinux/enforce", "1")
	got := Ask{Root: tr.Root, Bus: tr.At("/nothing")}.Survey()
	got.LandlockErr = ""
	if want := (Survey{Distro: "ubuntu debian", Container: "docker", Snap: true, WSL: true, AppArmor: "snap.code.code (enforce)",
		RestrictUser: "1", SELinux: "enforcing", Yama: "1", Runtime: got.Runtime}); got != want || !strings.Contains(got.Runtime, "ENOENT") {
		t.Errorf("%+v", got)
	}
	empty := Ask{Root: tr.At("/empty")}.Survey()
	empty.LandlockErr = ""
	if empty != (Survey{Runtime: "XDG_RUNTIME_DIR is not set"}) {
		t.Errorf("of nothing: %+v", empty)
	}
}

// Who lacks npm learns it from doctor, with a line to paste, and not from the first install
// that fails; it keeps no other server from starting.
func TestInstallsAreChecked(t *testing.T) {
	for _, c := range []struct {
		is          Installs
		state       State
		detail, fix string
	}{
		{Installs{Kind: "npm", With: []string{"/usr/bin/node", "npm"}, Manager: "apt-get"}, OK, "/usr/bin/node, npm", ""},
		{Installs{Kind: "npm", With: []string{"/usr/bin/node"}, Lacks: []string{"npm"}, Manager: "apt-get"}, Limited, "/usr/bin/node; not found: npm", "sudo apt-get install -y npm"},
		{Installs{Kind: "npm", Lacks: []string{"node", "npm"}, Manager: "dnf"}, Limited, "not found: node, npm", "sudo dnf install -y nodejs npm"},
		{Installs{Kind: "PyPI", Lacks: []string{"python3"}, Manager: "pacman"}, Limited, "not found: python3", "sudo pacman -S python"},
		{Installs{Kind: "PyPI", With: []string{"/usr/bin/python3"}, Lacks: []string{"pip"}}, Limited, "/usr/bin/python3; not found: pip", ""},
		{Installs{Kind: "PyPI", With: []string{"/usr/bin/python3"}, Untried: "no sandbox"}, Untold, "/usr/bin/python3", ""},
	} {
		checks := Checks(Facts{Installs: []Installs{c.is}})
		got := checks[len(checks)-1]
		if got.Name != c.is.Kind+" packages" || got.State != c.state || got.Detail != c.detail || strings.Join(got.Fix, "\n") != c.fix || got.Blocks {
			t.Errorf("%+v is said as %+v", c.is, got)
		}
		if (got.State == OK) != (got.Consequence == "") {
			t.Errorf("%+v: its consequence is %q", c.is, got.Consequence)
		}
	}
}
