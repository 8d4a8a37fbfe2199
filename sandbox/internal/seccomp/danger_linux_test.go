package seccomp

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"
)

// The proof compares the filter with the table; this test compares the table with calls
// that it must never allow. Each attack is tried on both architectures, under every
// option, and with garbage in the high halves of its arguments.
var attacks = []struct {
	name string
	args [6]uint64
	with uint16
}{
	{"mount", [6]uint64{}, eperm}, {"umount2", [6]uint64{}, eperm}, {"pivot_root", [6]uint64{}, eperm},
	{"chroot", [6]uint64{}, eperm}, {"open_tree", [6]uint64{}, eperm}, {"open_tree_attr", [6]uint64{}, eperm},
	{"move_mount", [6]uint64{}, eperm}, {"mount_setattr", [6]uint64{}, eperm}, {"fsopen", [6]uint64{}, eperm},
	{"fsconfig", [6]uint64{}, eperm}, {"fsmount", [6]uint64{}, eperm}, {"fspick", [6]uint64{}, eperm},
	{"unshare", [6]uint64{}, eperm}, {"setns", [6]uint64{}, eperm}, {"ptrace", [6]uint64{}, eperm},
	{"process_vm_readv", [6]uint64{}, eperm}, {"process_vm_writev", [6]uint64{}, eperm},
	{"pidfd_getfd", [6]uint64{}, eperm}, {"kcmp", [6]uint64{}, eperm}, {"bpf", [6]uint64{}, eperm},
	{"perf_event_open", [6]uint64{}, eperm}, {"userfaultfd", [6]uint64{}, eperm},
	{"add_key", [6]uint64{}, eperm}, {"request_key", [6]uint64{}, eperm}, {"keyctl", [6]uint64{}, eperm},
	{"kexec_load", [6]uint64{}, eperm}, {"kexec_file_load", [6]uint64{}, eperm}, {"reboot", [6]uint64{}, eperm},
	{"init_module", [6]uint64{}, eperm}, {"finit_module", [6]uint64{}, eperm}, {"delete_module", [6]uint64{}, eperm},
	{"swapon", [6]uint64{}, eperm}, {"swapoff", [6]uint64{}, eperm}, {"acct", [6]uint64{}, eperm},
	{"quotactl", [6]uint64{}, eperm}, {"quotactl_fd", [6]uint64{}, eperm}, {"syslog", [6]uint64{}, eperm},
	{"fanotify_init", [6]uint64{}, eperm}, {"name_to_handle_at", [6]uint64{}, eperm}, {"open_by_handle_at", [6]uint64{}, eperm},
	{"modify_ldt", [6]uint64{}, eperm}, {"iopl", [6]uint64{}, eperm}, {"ioperm", [6]uint64{}, eperm},
	{"clock_settime", [6]uint64{}, eperm}, {"settimeofday", [6]uint64{}, eperm}, {"sethostname", [6]uint64{}, eperm},
	{"io_uring_setup", [6]uint64{}, enosys}, {"io_uring_enter", [6]uint64{}, enosys}, {"io_uring_register", [6]uint64{}, enosys},
	{"clone3", [6]uint64{}, enosys}, {"openat2", [6]uint64{}, enosys},

	{"clone", [6]uint64{0x00020000}, eperm}, // CLONE_NEWNS
	{"clone", [6]uint64{0x02000000}, eperm}, // CLONE_NEWCGROUP
	{"clone", [6]uint64{0x04000000}, eperm}, // CLONE_NEWUTS
	{"clone", [6]uint64{0x08000000}, eperm}, // CLONE_NEWIPC
	{"clone", [6]uint64{0x10000011}, eperm}, // CLONE_NEWUSER, as unshare -Ur would
	{"clone", [6]uint64{0x20000000}, eperm}, // CLONE_NEWPID
	{"clone", [6]uint64{0x40000000}, eperm}, // CLONE_NEWNET

	{"ioctl", [6]uint64{0, 0x5412}, eperm},  // TIOCSTI
	{"ioctl", [6]uint64{0, 0x541c}, eperm},  // TIOCLINUX
	{"ioctl", [6]uint64{0, 0x5423}, eperm},  // TIOCSETD
	{"ioctl", [6]uint64{0, 0x4b47}, enosys}, // KDSKBENT
	{"ioctl", [6]uint64{0, 0x5606}, enosys}, // VT_ACTIVATE
	{"ioctl", [6]uint64{0, 0xb701}, enosys}, // NS_GET_USERNS
	{"prctl", [6]uint64{35, 1}, eperm},      // PR_SET_MM
	{"prctl", [6]uint64{28}, eperm},         // PR_SET_SECUREBITS
	{"prctl", [6]uint64{47, 2}, eperm},      // PR_CAP_AMBIENT_RAISE
	{"prctl", [6]uint64{0x59616d61}, eperm},
	{"prctl", [6]uint64{53, 0, 2}, eperm}, // PR_SPEC_ENABLE
	{"personality", [6]uint64{0x0400000}, eperm},
	{"personality", [6]uint64{0x0040000}, eperm},
	{"seccomp", [6]uint64{1, 8}, eperm},

	{"chmod", [6]uint64{0, 0o4755}, eperm}, {"chmod", [6]uint64{0, 0o2755}, eperm},
	{"fchmod", [6]uint64{0, 0o4000}, eperm}, {"fchmodat", [6]uint64{0, 0, 0o4000}, eperm},
	{"fchmodat2", [6]uint64{0, 0, 0o2000}, eperm}, {"mkdir", [6]uint64{0, 0o2755}, eperm},
	{"mkdirat", [6]uint64{0, 0, 0o2755}, eperm}, {"creat", [6]uint64{0, 0o4755}, eperm},
	{"open", [6]uint64{0, 0x41, 0o4755}, eperm}, {"openat", [6]uint64{0, 0, 0x41, 0o4755}, eperm},
	{"openat", [6]uint64{0, 0, 0x410001, 0o4755}, eperm}, // O_TMPFILE
	{"mknod", [6]uint64{0, 0o104755}, eperm}, {"mknodat", [6]uint64{0, 0, 0o104755}, eperm},
	{"mknod", [6]uint64{0, 0o020600}, eperm}, {"mknodat", [6]uint64{0, 0, 0o060600}, eperm},

	{"sendto", [6]uint64{0, 0, 0, 0x20000000}, eopnotsupp},
	{"sendmsg", [6]uint64{0, 0, 0x20004000}, eopnotsupp},
	{"sendmmsg", [6]uint64{0, 0, 0, 0x20000000}, eopnotsupp},
	{"setsockopt", [6]uint64{0, 6, 30}, enoprotoopt}, // TCP_FASTOPEN_CONNECT
	{"setsockopt", [6]uint64{0, 6, 31}, enoprotoopt}, // TCP_ULP
	{"setsockopt", [6]uint64{0, 6, 19}, enoprotoopt}, // TCP_REPAIR
	{"setsockopt", [6]uint64{0, 1, 50}, enoprotoopt}, // SO_ATTACH_BPF
}

func TestAttacksAreRefusedOnBothArchitectures(t *testing.T) {
	for index, a := range arches {
		for _, p := range options() {
			f, err := For(p, a.name)
			if err != nil {
				t.Fatal(err)
			}
			m, err := newMachine(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, attack := range attacks {
				nr, ok := number(attack.name, index)
				if !ok {
					continue
				}
				with := attack.with
				if a.name != runtime.GOARCH && !named(attack.name) {
					with = enosys
				}
				for _, high := range []uint64{0, 1 << 32, 0xffffffff << 32} {
					d := data{nr: uint32(nr), arch: a.audit, args: attack.args}
					for i := range d.args {
						d.args[i] |= high
					}
					got, err := m.run(d)
					if err != nil {
						t.Fatal(err)
					}
					if got != retErrno|uint32(with) && !(p.Notify && got == retNotify) {
						t.Errorf("%s %s %#x: %#x", a.name, attack.name, d.args, got)
					}
				}
			}
		}
	}
}

// Every family that the kernel may ever get is refused, not only today's.
func TestSocketsAreOnlyThoseOfTheProfile(t *testing.T) {
	for index, a := range arches {
		f, err := For(options()[0], a.name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := newMachine(f)
		if err != nil {
			t.Fatal(err)
		}
		socket, _ := number("socket", index)
		open := map[string]bool{}
		for family := range uint64(256) {
			for kind := range uint64(16) {
				for protocol := range uint64(300) {
					got, err := m.run(data{nr: uint32(socket), arch: a.audit, args: [6]uint64{family, kind, protocol}})
					if err != nil {
						t.Fatal(err)
					}
					if got == retAllow && family != afUnix { // which checks its protocol itself
						open[fmt.Sprintf("%d/%d/%d", family, kind, protocol)] = true
					}
				}
			}
		}
		want := []string{"2/1/0", "2/1/6", "2/2/0", "2/2/17", "10/1/0", "10/1/6", "10/2/0", "10/2/17", "16/2/0", "16/3/0"}
		for _, w := range want {
			if !open[w] {
				t.Errorf("%s: socket %s is refused", a.name, w)
			}
			delete(open, w)
		}
		for o := range open {
			t.Errorf("%s: socket %s is allowed", a.name, o)
		}
	}
}

// A wrong number allows a different call. The kernel's own headers are a second source
// beside that of numbers.go.
func TestNumbersAreTheKernels(t *testing.T) {
	headers := []string{"/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h"}
	define := regexp.MustCompile(`(?m)^#define __NR(?:3264)?_(\w+)\s+(\d+)$`)
	for i, path := range headers {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Skipf("no kernel headers (linux-libc-dev of amd64): %v", err)
		}
		compared := 0
		for _, m := range define.FindAllSubmatch(text, -1) {
			name := map[string]string{"fstatat": "newfstatat"}[string(m[1])]
			if name == "" {
				name = string(m[1])
			}
			want, err := strconv.Atoi(string(m[2]))
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := number(name, i); ok {
				compared++
				if got != want {
					t.Errorf("%s of %s is %d, the header says %d", name, arches[i].name, got, want)
				}
			}
		}
		if compared < 280 {
			t.Errorf("%s: only %d numbers compared", path, compared)
		}
	}
}
