package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// controllers are the ones that hold a limit of a profile.
var controllers = []string{"memory", "pids", "cpu"}

// Upper bounds on a login, which must not decide whether limits hold. A running bus
// answers within a millisecond. The first connection after a login starts the bus,
// which takes seconds on a busy machine, and only then does the manager connect to it.
var (
	busWait     = 10 * time.Second      // for the bus
	managerWait = 3 * time.Second       // for the manager on a bus that answers
	managerTick = 20 * time.Millisecond // between two questions
)

// group is where this process is in one hierarchy, from /proc/thread-self/cgroup and
// /proc/thread-self/mountinfo.
type group struct {
	path  string // in the hierarchy, as a cgroup namespace shows it
	dir   string // of that path where it is mounted, "" where it is not visible
	mount string
}

// cgroup returns the control group that can limit a server and its controllers. It
// tries in order of preference: a scope of the user manager, a v2 group that this user
// owns, v1 as root. Path is absolute in its hierarchy, as in /proc/thread-self/cgroup.
// Path is empty for a scope, which the manager places, and for v1, where each
// controller has its own hierarchy and the group is made relative to the group of this
// process.
func cgroup(ask Ask, uid int) plan.Cgroup {
	v2, v1, err := groups(ask)
	if err != nil {
		return plan.Cgroup{Why: fmt.Sprintf("cannot tell the control group: %v", err)}
	}
	var whys []string
	for _, way := range []func() (plan.Cgroup, string){
		func() (plan.Cgroup, string) { return systemd(ask, v2, uid) },
		func() (plan.Cgroup, string) { return delegated(v2) },
		func() (plan.Cgroup, string) { return hierarchies(v1, uid) },
	} {
		c, why := way()
		if why == "" {
			return c
		}
		whys = append(whys, why)
	}
	return plan.Cgroup{Why: strings.Join(whys, "; ")}
}

// delegated looks for a v2 group in which this user may make a child group. It takes
// the nearest ancestor that is writable, has controllers to delegate and holds no
// process of its own; only the root may hold some (cgroups(7), "no internal
// processes").
func delegated(own group) (plan.Cgroup, string) {
	if own.dir == "" {
		return plan.Cgroup{}, "cgroup v2 is not mounted"
	}
	why := ""
	for path, dir := own.path, own.dir; ; path, dir = filepath.Dir(path), filepath.Dir(dir) {
		have, w := usable(dir)
		if w == "" {
			return plan.Cgroup{How: plan.HowCgroup2, Path: path, Controllers: have}, ""
		}
		if why == "" {
			why = fmt.Sprintf("cgroup v2 %s: %s", path, w)
		}
		if dir == own.mount || path == "/" {
			return plan.Cgroup{}, why
		}
	}
}

// usable returns the controllers that a group made in dir can have, or the reason why
// it has none.
func usable(dir string) (have []string, why string) {
	for _, file := range []string{"", "cgroup.procs", "cgroup.subtree_control"} {
		if err := unix.Faccessat(unix.AT_FDCWD, filepath.Join(dir, file), unix.W_OK, unix.AT_EACCESS); err != nil {
			return nil, "not writable: " + name(err)
		}
	}
	have = only(filepath.Join(dir, "cgroup.subtree_control"))
	if len(have) > 0 {
		return have, "" // delegated already, so the group holds no process
	}
	have = only(filepath.Join(dir, "cgroup.controllers"))
	if len(have) == 0 {
		return nil, "no memory, pids or cpu controller"
	}
	_, err := os.Lstat(filepath.Join(dir, "cgroup.type")) // the root has none
	procs, readErr := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	switch {
	case readErr != nil:
		return nil, readErr.Error()
	case !errors.Is(err, fs.ErrNotExist) && strings.TrimSpace(string(procs)) != "":
		return nil, "holds processes, so it cannot hand controllers on"
	}
	return have, ""
}

// only reads a list of controllers and keeps those that hold a limit.
func only(file string) []string {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	list := strings.Fields(string(b))
	var have []string
	for _, c := range controllers {
		if slices.Contains(list, c) {
			have = append(have, c)
		}
	}
	return have
}

// systemd asks the manager on the user's bus whether it answers, and reads in cgroup v2
// which controllers are delegated to it.
func systemd(ask Ask, v2 group, uid int) (plan.Cgroup, string) {
	if ask.Bus == "" {
		return plan.Cgroup{}, "no XDG_RUNTIME_DIR, so no systemd user manager"
	}
	if v2.dir == "" {
		return plan.Cgroup{}, "a systemd user manager limits nothing without cgroup v2"
	}
	dir := filepath.Join(v2.mount, fmt.Sprintf("user.slice/user-%d.slice/user@%d.service", uid, uid))
	have := only(filepath.Join(dir, "cgroup.controllers"))
	if len(have) == 0 {
		return plan.Cgroup{}, "no controller is delegated to a systemd user manager"
	}
	ctx, cancel := context.WithTimeout(context.Background(), busWait)
	defer cancel()
	if err := managerAnswers(ctx, filepath.Join(ask.Bus, "bus")); err != nil {
		if ctx.Err() != nil { // a read that the deadline ends fails with a different message each time
			err = fmt.Errorf("nothing came in %v", busWait)
		}
		return plan.Cgroup{}, fmt.Sprintf("the systemd user manager does not answer: %v", err)
	}
	return plan.Cgroup{How: plan.HowSystemd, Controllers: have}, ""
}

// managerAnswers asks the manager on a bus whether it is there. The bus keeps the
// manager's name as long as it is connected, even if it no longer answers, so the
// question goes to the manager itself.
func managerAnswers(ctx context.Context, socket string) error {
	if _, err := os.Stat(socket); err != nil {
		return err
	}
	conn, err := dbus.Connect("unix:path="+dbus.EscapeBusAddressValue(socket), dbus.WithContext(ctx))
	if err != nil {
		return err
	}
	defer conn.Close()
	manager := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	for until := time.Now().Add(managerWait); ; time.Sleep(managerTick) {
		err := manager.CallWithContext(ctx, "org.freedesktop.DBus.Peer.Ping", dbus.FlagNoAutoStart).Err
		absent := dbus.Error{}
		switch {
		case err == nil:
			return nil
		case !errors.As(err, &absent) || !slices.Contains(nobody, absent.Name):
			return err
		case time.Now().After(until):
			return errors.New("nobody on the bus has the name org.freedesktop.systemd1")
		}
	}
}

// nobody are the errors by which a bus says that nobody owns the called name.
var nobody = []string{"org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner"}

// hierarchies returns the controllers that root can use in cgroup v1. libcontainer puts
// a container into every hierarchy, so one that is not writable rules all of them out:
// root of a user namespace is not root there.
func hierarchies(v1 map[string]group, uid int) (plan.Cgroup, string) {
	var have []string
	for _, c := range slices.Sorted(maps.Keys(v1)) {
		g := v1[c]
		if g.dir == "" || strings.HasPrefix(c, "name=") {
			continue
		}
		if err := unix.Faccessat(unix.AT_FDCWD, g.dir, unix.W_OK, unix.AT_EACCESS); err != nil && uid == 0 {
			return plan.Cgroup{}, fmt.Sprintf("cgroup v1 is not writable: %s: %s", c, name(err))
		}
		if slices.Contains(controllers, c) {
			have = append(have, c)
		}
	}
	switch {
	case len(v1) == 0:
		return plan.Cgroup{}, "no cgroup v1"
	case uid != 0:
		return plan.Cgroup{}, "cgroup v1 is for root alone"
	case len(have) == 0:
		return plan.Cgroup{}, "cgroup v1 is not writable"
	}
	return plan.Cgroup{How: plan.HowCgroup1, Controllers: have}, ""
}

// groups reads where this process is.
func groups(ask Ask) (v2 group, v1 map[string]group, err error) {
	mounts, err := cgroupMounts(ask)
	if err != nil {
		return v2, nil, err
	}
	b, err := os.ReadFile(ask.at("/proc/thread-self/cgroup"))
	if err != nil {
		return v2, nil, err
	}
	v1 = map[string]group{}
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3) // id:controllers:path, cgroups(7)
		if len(f) != 3 {
			return v2, nil, fmt.Errorf("/proc/thread-self/cgroup has a line %q", line)
		}
		for _, c := range strings.Split(f[1], ",") {
			g := group{path: f[2]}
			if m, ok := mounts[c]; ok {
				g.mount = m.point
				if rel, err := filepath.Rel(m.root, f[2]); err == nil && !strings.HasPrefix(rel, "..") {
					g.dir = filepath.Join(m.point, rel)
				}
			}
			if c == "" {
				v2 = g
			} else {
				v1[c] = g
			}
		}
	}
	return v2, v1, nil
}

// cgroupMount is where a hierarchy is mounted and which of its groups is at the
// top there.
type cgroupMount struct{ point, root string }

// cgroupMounts reads the mounts of hierarchies by controller, "" being v2.
func cgroupMounts(ask Ask) (map[string]cgroupMount, error) {
	b, err := os.ReadFile(ask.at("/proc/thread-self/mountinfo"))
	if err != nil {
		return nil, err
	}
	mounts := map[string]cgroupMount{}
	for line := range strings.Lines(string(b)) {
		// id parent dev root point options [fields…] - type source super, proc_pid_mountinfo(5)
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 3 {
			continue
		}
		m := cgroupMount{point: ask.at(f[4]), root: f[3]}
		switch g[0] {
		case "cgroup2":
			mounts[""] = m
		case "cgroup":
			for _, option := range strings.Split(g[2], ",") {
				mounts[option] = m
			}
		}
	}
	return mounts, nil
}
