package seccomp

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	libseccomp "github.com/seccomp/libseccomp-golang"

	"mcpen/sandbox/plan"
)

// tables are the launcher's tables, in the order of the filters.
func tables() [][]row {
	var all [][]row
	for i := range launchers {
		all = append(all, launcherAt(i).rows())
	}
	return append(all, eyeRows(), restRows())
}

// rest is the index of the filter that allows calls without a row.
const rest = launchers + 1

func launcherAt(i int) Launcher {
	return Launcher{Dials: i&1 != 0, Asks: i&2 != 0, Unix: i&4 != 0, Loads: i&8 != 0}
}

// compileTable has libseccomp build the filter of the i-th table.
func compileTable(i int, rows []row, arch string) (Filter, error) {
	index, ok := indexOf(arch)
	if !ok {
		return Filter{}, fmt.Errorf("no architecture %q", arch)
	}
	b := &builder{index: index, foreign: arches[index].name != runtime.GOARCH, fallback: absent.scmp(plan.Seccomp{})}
	if i == rest {
		b.fallback = libseccomp.ActAllow
	}
	var err error
	if b.filter, err = libseccomp.NewFilter(b.fallback); err != nil {
		return Filter{}, err
	}
	defer b.filter.Release()
	if err := b.shape(); err != nil {
		return Filter{}, err
	}
	for _, r := range rows {
		if err := b.row(r); err != nil {
			return Filter{}, fmt.Errorf("the rules of %s: %v", r.name, err)
		}
	}
	prog, err := b.export()
	if err != nil {
		return Filter{}, err
	}
	f := Filter{arch: arch, prog: prog}
	return f, f.check()
}

// Filters that do not follow a change of the table would protect nobody.
func TestLauncherFiltersAreLibseccomps(t *testing.T) {
	if !*update {
		if here := compiler(t); here != MadeBy() {
			t.Skipf("the filters were made by %s, here is %s; what they decide is proved all the same", MadeBy(), here)
		}
	}
	for _, a := range arches {
		var all []byte
		for i, rows := range tables() {
			want, err := compileTable(i, rows, a.name)
			if err != nil {
				t.Fatal(err)
			}
			b, err := want.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
			if *update {
				continue
			}
			got, err := launcherFilter(i, a.name)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.prog, want.prog) {
				t.Errorf("%s %d: the filter is not what libseccomp makes of the table: go generate ./sandbox/internal/seccomp", a.name, i)
			}
		}
		if *update {
			if err := os.WriteFile("filters/launcher-"+a.name+".bpf", all, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// eachLauncher runs the test for every filter of a launcher and for the eye's, with the
// rows by their number.
func eachLauncher(t *testing.T, test func(t *testing.T, i int, rows map[uint32]row, index int, m machine)) {
	for index, a := range arches {
		for i, rows := range tables() {
			t.Run(fmt.Sprintf("%s %d", a.name, i), func(t *testing.T) {
				t.Parallel()
				f, err := launcherFilter(i, a.name)
				if err != nil {
					t.Fatal(err)
				}
				m, err := newMachine(f)
				if err != nil {
					t.Fatal(err)
				}
				byNumber := map[uint32]row{}
				for _, r := range rows {
					for _, p := range numbers {
						if p.name == r.name && p.numbers[index] >= 0 {
							byNumber[uint32(p.numbers[index])] = r
						}
					}
				}
				test(t, i, byNumber, index, m)
			})
		}
	}
}

// wanted reads a launcher's table as a person would; see expect.
func wanted(i int, rows map[uint32]row, index int, d data) uint32 {
	if d.arch != arches[index].audit || arches[index].name == "amd64" && d.nr >= 0x40000000 && d.nr != 0xffffffff {
		return 0x80000000
	}
	r, ok := rows[d.nr]
	switch {
	case ok && (arches[index].name == runtime.GOARCH || named(r.name)):
	case i == rest:
		return 0x7fff0000
	default:
		return 0x00050000 + 38
	}
	then := r.then
	for _, rule := range r.rules {
		all := true
		for _, c := range rule.when {
			all = all && holds(c, d)
		}
		if all {
			then = rule.then
			break
		}
	}
	if then.kind == Allowed {
		return 0x7fff0000
	}
	return 0x00050000 + uint32(then.errno)
}

// The proof of a launcher's filters, like that of a server's: every existing and
// possible number, and every argument of a rule with all its neighbours.
func TestLauncherFiltersSayWhatTheTablesSay(t *testing.T) {
	eachLauncher(t, func(t *testing.T, i int, rows map[uint32]row, index int, m machine) {
		check := func(d data) {
			got, err := m.run(d)
			if err != nil {
				t.Fatal(err)
			}
			if want := wanted(i, rows, index, d); got != want {
				t.Fatalf("%s %d %#x: the filter says %#x, the table %#x", rows[d.nr].name, d.nr, d.args, got, want)
			}
		}
		for _, arch := range []uint32{arches[0].audit, arches[1].audit, 0x40000003, 0} {
			for nr := range uint32(1024) {
				check(data{nr: nr, arch: arch})
				check(data{nr: nr | 0x40000000, arch: arch})
			}
			check(data{nr: 0xffffffff, arch: arch})
		}
		for nr, r := range rows {
			var values [6][]uint64
			for i := range values {
				values[i] = []uint64{0}
			}
			for _, rule := range r.rules {
				for _, c := range rule.when {
					values[c.arg] = append(values[c.arg], neighbours(c)...)
				}
			}
			var args [6]uint64
			var each func(i int)
			each = func(i int) {
				if i == len(args) {
					check(data{nr: nr, arch: arches[index].audit, args: args})
					return
				}
				slices.Sort(values[i])
				for _, v := range slices.Compact(values[i]) {
					args[i] = v
					each(i + 1)
				}
			}
			each(0)
		}
	})
}

// neighbours are the values that a check distinguishes, those beside them, and all of
// them with garbage in the high half.
func neighbours(c check) []uint64 {
	var out []uint64
	for _, v := range append(slices.Clone(c.values), c.mask) {
		out = append(out, uint64(v), uint64(v^1), uint64(v|^c.mask), uint64(v)|1<<32)
		for _, bit := range []uint32{2, 1 << 8, 1 << 11, 1 << 19, 1 << 31} {
			out = append(out, uint64(v^bit))
		}
	}
	return out
}

// A launcher must have no call that its server lacks: a call that is dangerous in one
// is dangerous in the other.
func TestLauncherMayNotMoreThanItsServer(t *testing.T) {
	// A server lacks openat2 because of its set-ID bits; the eye reads memory that no
	// server may.
	except := map[string]bool{"openat2": true, "process_vm_readv": true}
	server := map[string]row{}
	for _, r := range table() {
		server[r.name] = r
	}
	for i, rows := range tables() {
		seen := map[string]bool{}
		for _, r := range rows {
			if seen[r.name] {
				t.Errorf("%d: %s has two rows", i, r.name)
			}
			seen[r.name] = true
			if strings.TrimSpace(r.why) == "" {
				t.Errorf("%d: %s has no reason", i, r.name)
			}
			if _, ok := server[r.name]; !ok {
				t.Errorf("%d: %s is no system call", i, r.name)
			}
			s := server[r.name]
			if r.then == allow && s.then.kind == Refused && len(s.rules) == 0 && !except[r.name] {
				t.Errorf("%d: %s is the launcher's and not the server's", i, r.name)
			}
		}
	}
}

// An attacker's next step in the launcher fails, whatever the launcher's rights, on
// both architectures and with garbage in the high halves.
func TestAttacksOfALauncherAreRefused(t *testing.T) {
	attacks := []struct {
		name string
		args [6]uint64
		eye  bool // the eye may
	}{
		{name: "execve"}, {name: "execveat"}, {name: "fork"}, {name: "vfork"}, {name: "ptrace"}, {name: "clone3"},
		{name: "clone", args: [6]uint64{0x11}},                                                    // SIGCHLD: a process
		{name: "clone", args: [6]uint64{0x4111}},                                                  // as vfork
		{name: "clone", args: [6]uint64{0x10000 | 0x10000000}},                                    // a thread in a user namespace
		{name: "process_vm_writev"}, {name: "process_vm_readv", eye: true}, {name: "pidfd_getfd"}, // other processes
		{name: "mount"}, {name: "umount2"}, {name: "pivot_root"}, {name: "chroot"}, {name: "open_tree"}, {name: "move_mount"},
		{name: "fsopen"}, {name: "fsmount"}, {name: "fsconfig"}, {name: "mount_setattr"}, {name: "setns"}, {name: "unshare"},
		{name: "bpf"}, {name: "perf_event_open"}, {name: "userfaultfd"}, {name: "add_key"}, {name: "request_key"}, {name: "keyctl"},
		{name: "io_uring_setup"}, {name: "open_by_handle_at"}, {name: "init_module"}, {name: "kexec_load"}, {name: "memfd_create"},
		{name: "listen"}, {name: "socketpair"}, {name: "setuid"}, {name: "capset"}, {name: "personality"},
		{name: "mmap", args: [6]uint64{0, 4096, 7}},     // memory to write code into
		{name: "mprotect", args: [6]uint64{0, 4096, 5}}, // turns written memory into code
		{name: "prctl", args: [6]uint64{4, 1}},          // PR_SET_DUMPABLE
		{name: "prctl", args: [6]uint64{0x59616d61}},    // PR_SET_PTRACER
		{name: "ioctl", args: [6]uint64{0, 0x5412}},     // TIOCSTI
		{name: "socket", args: [6]uint64{17, 3}},        // AF_PACKET
		{name: "socket", args: [6]uint64{40, 1}},        // AF_VSOCK
		{name: "socket", args: [6]uint64{16, 3, 9}},     // NETLINK_AUDIT
		{name: "socket", args: [6]uint64{1, 2}},         // datagrams of unix: the journal, syslog
		{name: "socket", args: [6]uint64{2, 3}},         // SOCK_RAW
		{name: "openat", args: [6]uint64{0, 0, 0x41, 0o4755}},
	}
	for index, a := range arches {
		for i := range launchers {
			var ms [3]machine // the launcher's, the eye's, that of the rest
			for j, place := range []int{i, launchers, rest} {
				f, err := launcherFilter(place, a.name)
				if err == nil {
					ms[j], err = newMachine(f)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, attack := range attacks {
				nr, ok := number(attack.name, index)
				if !ok {
					continue
				}
				for _, high := range []uint64{0, 1 << 32, 0xffffffff << 32} {
					d := data{nr: uint32(nr), arch: a.audit, args: attack.args}
					for k := range d.args {
						d.args[k] |= high
					}
					var allows [3]bool
					for j, m := range ms {
						got, err := m.run(d)
						if err != nil {
							t.Fatal(err)
						}
						allows[j] = got == retAllow
					}
					if allows[0] && allows[2] || allows[0] && allows[1] != attack.eye {
						t.Errorf("%s %d %s %#x: the launcher's, the eye's and the rest's filters allow it: %v", a.name, i, attack.name, d.args, allows)
					}
				}
			}
		}
	}
}

func numberOf(t *testing.T, name string, index int) int {
	t.Helper()
	n, ok := number(name, index)
	if !ok {
		t.Fatalf("no %s", name)
	}
	return n
}

// Without a network there is no new socket of any family; without unix sockets there is
// none of that family.
func TestLauncherHasTheSocketsOfItsPlan(t *testing.T) {
	for i := range launchers {
		l := launcherAt(i)
		f, err := ForLauncher(l, runtime.GOARCH)
		if err != nil {
			t.Fatal(err)
		}
		m, err := newMachine(f)
		if err != nil {
			t.Fatal(err)
		}
		index, _ := indexOf(runtime.GOARCH)
		for family := range uint64(64) {
			for kind := range uint64(16) {
				got, err := m.run(data{nr: uint32(numberOf(t, "socket", index)), arch: arches[index].audit, args: [6]uint64{family, kind}})
				if err != nil {
					t.Fatal(err)
				}
				want := l.Unix && family == afUnix && kind == sockStream ||
					l.Dials && (family == afInet || family == afInet6) && kind == sockStream ||
					l.Asks && (family == afInet || family == afInet6) && kind == sockDgram ||
					l.Dials && family == afNetlink && (kind == sockRaw || kind == sockDgram)
				if (got == retAllow) != want {
					t.Errorf("%+v: socket(%d, %d): %#x", l, family, kind, got)
				}
			}
		}
	}
}
