package sandbox_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"mcpen/sandbox"
	"mcpen/sandbox/internal/probe"
	"mcpen/sandbox/internal/probe/stage"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// Posture is the kernel's description of a running server, in words that do not change
// from run to run.
type Posture struct {
	Capabilities map[string]string // by set; all zeros if the set is empty
	NoNewPrivs   string
	Seccomp      string // mode and number of filters
	Umask        string
	Groups       string
	Namespaces   map[string]string // "new", "inherited", "nested" below pid 1's own
	UIDMap       string
	GIDMap       string
	SetGroups    string
	Mounts       map[string]string // options by mount point
	FDs          map[string]string // class by number
	Limits       map[string]string // soft and hard, of those that a plan sets
	Environ      []string
	Cwd          string
	Root         []string // names in /
	PID          int      // inside
	Parent       Parent
}

// Parent is the process above the server: pid 1, which is mcpen.
type Parent struct {
	PID          int               // inside
	Capabilities map[string]string // without the bounding set, which no_new_privs makes void
	NoNewPrivs   string
	Environ      []string // names
}

// The kernel's description of a running server must match the plan, down to the last
// descriptor: a layer that reports success and is absent shows here.
func TestPosture(t *testing.T) {
	s := everybody(t)
	for _, set := range settings {
		if set.alone() {
			continue
		}
		t.Run(set.name, func(t *testing.T) {
			p := drop(hostilePlan(t, s, "wait"), set.on)
			got := collect(t, s, p)
			if diff := gocmp.Diff(expected(t, p), got); diff != "" {
				t.Errorf("the server does not stand as planned (-plan +kernel):\n%s", diff)
			}
		})
	}
}

// collect starts a program that waits, and reads the kernel's description of it.
func collect(t *testing.T, s *stage.Stage, p plan.Plan) Posture {
	t.Helper()
	t.Setenv(stage.Canary, "launcher")
	in, client := pipe(t)
	said, stderr := pipe(t)
	box, err := sandbox.Start(context.Background(), p, sandbox.Stdio{In: in, Out: os.Stdout, Err: stderr}, nil, sandbox.Options{Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		client.Close() // the end of stdin ends the program
		if _, err := box.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if line, err := bufio.NewReader(said).ReadString('\n'); line != probe.Waits+"\n" {
		t.Fatalf("the program said %q: %v", line, err)
	}
	pids := slices.DeleteFunc(processesOf(t, s.Program), func(pid int) bool { return pid == s.World.Stranger })
	if len(pids) != 1 {
		t.Fatalf("processes of the server: %v, want one", pids)
	}
	return posture(t, pids[0])
}

// posture reads /proc/PID.
func posture(t *testing.T, pid int) Posture {
	t.Helper()
	status := readStatus(t, pid)
	parent, err := strconv.Atoi(status["PPid"])
	if err != nil {
		t.Fatal(err)
	}
	above := readStatus(t, parent)
	read := func(name string) string {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	link := func(name string) string {
		text, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	p := Posture{
		Capabilities: capabilities(status), NoNewPrivs: status["NoNewPrivs"],
		Seccomp: status["Seccomp"] + " " + status["Seccomp_filters"], Umask: status["Umask"], Groups: status["Groups"],
		Namespaces: map[string]string{},
		UIDMap:     strings.Join(strings.Fields(read("uid_map")), " "),
		GIDMap:     strings.Join(strings.Fields(read("gid_map")), " "),
		SetGroups:  strings.TrimSpace(read("setgroups")),
		Mounts:     mountsOf(t, pid), FDs: descriptors(t, pid), Limits: limitsIn(read("limits")),
		Environ: variables(read("environ")), Cwd: link("cwd"), PID: inner(t, status),
		Parent: Parent{PID: inner(t, above), Capabilities: capabilities(above), NoNewPrivs: above["NoNewPrivs"]},
	}
	delete(p.Parent.Capabilities, "CapBnd")
	for _, ns := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"} {
		switch own, theirs := nsOf(t, os.Getpid(), ns), link("ns/"+ns); {
		case theirs == own:
			p.Namespaces[ns] = "inherited"
		case ns == "user" && theirs != nsOf(t, parent, ns):
			p.Namespaces[ns] = "nested"
		default:
			p.Namespaces[ns] = "new"
		}
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/root", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		p.Root = append(p.Root, e.Name())
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", parent))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variables(string(b)) {
		name, _, _ := strings.Cut(v, "=") // HOME is whatever passwd inside says
		p.Parent.Environ = append(p.Parent.Environ, name)
	}
	return p
}

// expected is the posture of a plan.
func expected(t *testing.T, p plan.Plan) Posture {
	t.Helper()
	none := map[string]string{}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		none[set] = strings.Repeat("0", 16)
	}
	want := Posture{
		Capabilities: none, NoNewPrivs: "1", Seccomp: "0 0", Umask: fmt.Sprintf("%04o", p.Process.Umask),
		Namespaces: map[string]string{"user": "nested", "mnt": "new", "pid": "new", "net": "new", "ipc": "new", "uts": "new",
			"cgroup": "new", "time": "inherited"},
		UIDMap: fmt.Sprintf("%d %d 1", p.Process.UID, p.Process.UID), GIDMap: fmt.Sprintf("%d %d 1", p.Process.GID, p.Process.GID),
		SetGroups: "deny",
		Groups:    readStatus(t, os.Getpid())["Groups"], // the kernel lets nobody without privileges drop them
		Mounts:    planned(t, p),
		FDs:       map[string]string{"0": "pipe, read", "1": "pipe, write", "2": "pipe, write"},
		Limits:    map[string]string{"Max core file size": "0 0"},
		Cwd:       p.Process.Dir, PID: insidePID,
		Parent: Parent{PID: 1, Capabilities: maps.Clone(none), NoNewPrivs: "1"},
	}
	delete(want.Parent.Capabilities, "CapBnd")
	if p.Holds(policy.LayerSeccomp) {
		want.Seccomp = "2 1"
	}
	for _, l := range p.Limits {
		if name := rlimitNames[l.Name]; l.How == plan.HowRlimit && name != "" {
			want.Limits[name] = fmt.Sprintf("%d %d", l.Value, l.Value)
		}
	}
	for _, name := range rlimitNames {
		if _, set := want.Limits[name]; !set {
			want.Limits[name] = limitsIn(ownLimits(t))[name]
		}
	}
	for _, e := range p.Process.Env {
		want.Environ = append(want.Environ, e.Name+"="+e.Value)
	}
	for _, m := range p.Root {
		name, _, _ := strings.Cut(strings.TrimPrefix(m.Target, "/"), "/")
		want.Root = append(want.Root, name)
	}
	slices.Sort(want.Root)
	want.Root = slices.Compact(want.Root)
	return want
}

// insidePID stands for whichever number the server has: anything but 1.
const insidePID = -1

// rlimitNames are the limits of /proc/PID/limits that a plan can set.
var rlimitNames = map[plan.LimitName]string{
	plan.LimitProcesses: "Max processes", plan.LimitOpenFiles: "Max open files", plan.LimitFileSize: "Max file size",
}

// planned are the mounts of a plan with the options that each has to have.
func planned(t *testing.T, p plan.Plan) map[string]string {
	t.Helper()
	want := map[string]string{"/": "ro"}
	for _, m := range p.Root {
		options := "ro nosuid nodev noexec"
		if m.Writable {
			options = strings.Replace(options, "ro", "rw", 1)
		}
		if m.Exec {
			options = strings.TrimSuffix(options, " noexec")
		}
		switch m.Kind {
		case plan.MountBind:
			if p.Seccomp.Mediate && slices.ContainsFunc(p.Writes.Folders, func(dir string) bool { return m.Target == dir || strings.HasPrefix(m.Target, dir+"/") }) {
				options = strings.Replace(options, "rw", "ro", 1) // for the mediator it is writable
			}
			want[m.Target] = options
			for point := range mountsOf(t, os.Getpid()) { // recursive in its options too
				if below, ok := strings.CutPrefix(point, m.Source+"/"); ok {
					want[path.Join(m.Target, below)] = options
				}
			}
		case plan.MountTmpfs:
			want[m.Target] = options + fmt.Sprintf(" size=%dk nr_inodes=%d", m.Bytes>>10, m.Inodes)
		case plan.MountDevice:
			want[m.Target] = "rw nosuid noexec"
		case plan.MountProc:
			want[m.Target] = "rw nosuid nodev noexec"
		}
	}
	// /proc holds knobs and secrets of the machine beside the processes. Those
	// that belong to root matter where the server has root's id.
	readonly := []string{"sys"}
	masked := []string{"acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_stats"}
	if p.Process.UID == 0 {
		readonly = append(readonly, "bus", "driver", "fs", "irq", "tty")
		masked = append(masked, "kallsyms", "kpagecgroup", "kpagecount", "kpageflags", "slabinfo", "sysrq-trigger", "timer_list", "vmallocinfo")
	}
	for _, name := range readonly {
		if exists("/proc/" + name) {
			want["/proc/"+name] = "ro nosuid nodev noexec"
		}
	}
	for _, name := range masked {
		if exists("/proc/" + name) {
			want["/proc/"+name] = "masked"
		}
	}
	return want
}

// mountsOf reads the mounts of a process. Something empty over something else is
// "masked".
func mountsOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	mounts := map[string]string{}
	for line := range strings.Lines(string(b)) {
		// id parent dev root point options … - type source super (proc_pid_mountinfo(5))
		before, after, _ := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		point, options, fstype, super := f[4], strings.Split(f[5], ","), g[0], strings.Split(g[2], ",")
		keep := slices.DeleteFunc(options, func(o string) bool { return o == "relatime" || o == "noatime" })
		switch {
		case strings.HasPrefix(point, "/proc/") && (f[3] == "/null" || fstype == "tmpfs" && slices.Contains(super, "nr_inodes=1")):
			keep = []string{"masked"}
		case fstype == "tmpfs":
			for _, o := range super {
				if strings.HasPrefix(o, "size=") || strings.HasPrefix(o, "nr_inodes=") {
					keep = append(keep, o)
				}
			}
		}
		mounts[point] = strings.Join(keep, " ")
	}
	return mounts
}

// descriptors classes the open files of a process.
func descriptors(t *testing.T, pid int) map[string]string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	classes := map[string]string{}
	for _, e := range entries {
		text, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		kind, _, _ := strings.Cut(text, ":")
		info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, e.Name()))
		if err != nil {
			continue
		}
		var flags int64
		for line := range strings.Lines(string(info)) {
			if value, ok := strings.CutPrefix(line, "flags:"); ok {
				flags, _ = strconv.ParseInt(strings.TrimSpace(value), 8, 64)
			}
		}
		if kind == "anon_inode" && flags&0o2000000 != 0 {
			continue // the program's own, made after it started: close-on-exec
		}
		classes[e.Name()] = kind + ", " + []string{"read", "write", "both", "none"}[flags&3]
	}
	return classes
}

// limitsIn reads /proc/PID/limits.
func limitsIn(text string) map[string]string {
	got := map[string]string{}
	for _, name := range append([]string{"Max core file size"}, sortedNames()...) {
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(line, name); ok {
				f := strings.Fields(rest)
				got[name] = f[0] + " " + f[1]
			}
		}
	}
	return got
}

func sortedNames() []string {
	var names []string
	for _, name := range rlimitNames {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare[string])
	return names
}

func ownLimits(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/limits")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// readStatus reads /proc/PID/status by field.
func readStatus(t *testing.T, pid int) map[string]string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	return fields
}

func capabilities(status map[string]string) map[string]string {
	sets := map[string]string{}
	for name, value := range status {
		if strings.HasPrefix(name, "Cap") {
			sets[name] = value
		}
	}
	return sets
}

// inner is the number of a process in its own pid namespace.
func inner(t *testing.T, status map[string]string) int {
	t.Helper()
	f := strings.Fields(status["NSpid"])
	n, err := strconv.Atoi(f[len(f)-1])
	if err != nil {
		t.Fatal(err)
	}
	if n == 1 {
		return 1
	}
	return insidePID
}

func nsOf(t *testing.T, pid int, ns string) string {
	t.Helper()
	text, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// variables splits an environment and sorts it.
func variables(environ string) []string {
	if environ == "" {
		return nil
	}
	list := strings.Split(strings.TrimSuffix(environ, "\x00"), "\x00")
	slices.Sort(list)
	return list
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
