package probe

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// credentials are attempts to change identity or to gain rights.
func credentials() []Probe {
	return []Probe{
		{ID: "capabilities", Loss: "whatever the capability allows", How: "looking for any capability in any set",
			Want: Held, By: Namespaces,
			Run: func(World) Result {
				return statusField("Cap", func(v string) bool { return strings.Trim(v, "0") == "" })
			}},
		{ID: "no-new-privs", Loss: "what set-user-id programs give", How: "looking for NoNewPrivs in /proc/self/status",
			Want: Held, By: Namespaces,
			Run: func(World) Result { return statusField("NoNewPrivs", func(v string) bool { return v == "1" }) }},
		{ID: "seccomp-mode", Loss: "every rule on system calls", How: "looking for Seccomp in /proc/self/status",
			Want: Held, By: Seccomp,
			Run: func(World) Result { return statusField("Seccomp", func(v string) bool { return v == "2" }) }},
		{ID: "groups", Loss: "what the user's groups may read (docker, adm, disk)", How: "getgroups(2)",
			Want: Held, By: Namespaces, Twin: TwinRoot,
			Run: func(World) Result {
				// The test starts the twin with a supplementary group.
				groups, err := unix.Getgroups()
				if err != nil {
					return refused(err)
				}
				for _, g := range groups {
					if g != unix.Getgid() && g != 65534 {
						return worked("group " + itoa(g))
					}
				}
				return held("")
			}},
		{ID: "suid-exec", Loss: "the account that owns a set-user-id program", How: "execve(2) of a set-user-id program",
			Want: Held + "|ENOENT", By: Namespaces, Absent: "ENOTSUP",
			Run: func(w World) Result {
				if w.Suid == "" {
					return refused(unix.ENOTSUP)
				}
				err := again(w.Suid, verbWho).Run()
				exit, ok := err.(*exec.ExitError)
				switch {
				case ok && exit.ExitCode() == w.SuidUID&0xff:
					return worked("the other's id")
				case err == nil || ok:
					return held("it runs, as the same user")
				}
				return refused(err)
			}},
		{ID: "setuid", Loss: "another user's files", How: "setresuid(2) to another id",
			Want: "EPERM|EINVAL", By: Namespaces, Twin: TwinRoot,
			Run: func(World) Result { return alone(new(arena), unix.SYS_SETRESUID, 20007, 20007, 20007) }},
		{ID: "setgid", Loss: "another group's files", How: "setresgid(2) to another id",
			Want: "EPERM|EINVAL", By: Namespaces, Twin: TwinRoot,
			Run: func(World) Result { return alone(new(arena), unix.SYS_SETRESGID, 20007, 20007, 20007) }},
		{ID: "setgroups", Loss: "other groups' files", How: "setgroups(2)",
			Want: "EPERM", By: Namespaces, Twin: TwinRoot,
			Run: func(World) Result {
				a := new(arena)
				list, _ := a.bytes(4)
				return alone(a, unix.SYS_SETGROUPS, 1, list)
			}},
		{ID: "capset", Loss: "whatever the capability allows", How: "capset(2) of every capability",
			Want: "EPERM", By: Namespaces, Twin: TwinUserns,
			Run: func(World) Result {
				hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
				all := [2]unix.CapUserData{}
				bit := uint32(1) << unix.CAP_NET_RAW
				all[0] = unix.CapUserData{Effective: bit, Permitted: bit}
				return outcome(unix.Capset(&hdr, &all[0]), "")
			}},
		{ID: "chown", Loss: "the ownership of files in the project", How: "fchownat(2) to another id",
			Want: "EPERM|EINVAL", By: Namespaces, Twin: TwinRoot,
			Run: func(w World) Result {
				path := filepath.Join(w.Project, "mine-to-give")
				if r := created(path); !r.OK {
					return r
				}
				defer os.Remove(path)
				return outcome(unix.Lchown(path, 20007, 20007), "")
			}},
		{ID: "file-capability", Loss: "whatever the capability allows, to whoever executes the file", How: "setxattr(2) of security.capability",
			Want: "EPERM", By: Namespaces, Twin: TwinRoot, Absent: "ENOTSUP",
			Run: func(w World) Result {
				path := filepath.Join(w.Project, "with-capability")
				if r := created(path); !r.OK {
					return r
				}
				defer os.Remove(path)
				v := make([]byte, 20)
				v[3], v[5] = 2, 0x20 // VFS_CAP_REVISION_2, CAP_NET_RAW
				return outcome(unix.Setxattr(path, "security.capability", v, 0), "")
			}},
	}
}

// statusField succeeds if a line of /proc/self/status whose name begins with name has a
// value that good rejects.
func statusField(name string, good func(string) bool) Result {
	b, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return refused(err)
	}
	seen := false
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if key != name && !(name == "Cap" && strings.HasPrefix(key, name)) {
			continue
		}
		seen = true
		if value = strings.TrimSpace(value); !good(value) {
			return worked(key + " " + value)
		}
	}
	if !seen {
		return worked("no " + name + " to be seen")
	}
	return held("")
}
