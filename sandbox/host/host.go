// Package host says what this machine can enforce, and which paths it has.
//
// It answers by trying: it makes the system call, opens the file, starts the namespace,
// and reports the result. It concludes nothing from a version number. Where it has no
// answer, it says "cannot tell" (plan.Unknown), never yes.
//
// Probe is for every start. It costs well under a millisecond, plus the lookups of the
// requested paths. Deep starts children in new namespaces and tries the steps of a
// start one by one; it is for "mcpen doctor" and for a start that failed. Checks turns
// facts into lines for a person and is pure. Programs are found by package program.
//
// The package reads the files of the calling thread (/proc/thread-self), as the main
// thread, for which /proc/self stands, can be in the namespaces of a sandbox that it
// started.
//
// The package reads, and starts children of its own. It changes nothing and leaves
// nothing behind. It reads no environment variables; the caller passes those that it
// needs. Its functions are safe for concurrent use.
package host

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Ask is the request to Probe. Probe copies the strings to the Host as they are.
type Ask struct {
	Root string // the parent of /proc, /sys and /etc; "" is "/". For tests

	User    string // "" looks up the user id in /etc/passwd
	Home    string
	Runtime string
	State   string
	Config  string
	Cwd     string
	Login   plan.Dirs // from the password database

	// Grounds are folders, without symlinks, whose content a server or the author of a
	// repository may have made. Probe adds the repositories in which symlinks of the
	// paths lie.
	Grounds []plan.Ground

	// Bus is the directory of the user manager's bus (XDG_RUNTIME_DIR). "" means that
	// there is no such manager.
	Bus string

	Env   map[string]string // those variables passed by the policy that are set
	Paths []plan.Ask        // the paths to look at
}

// Probe returns those facts about this machine that are quick to learn. It leaves
// unknown those that only a trial in new namespaces can tell: Routes, Memfd, and
// Namespaces where nothing forbids them outright. The start itself tries these and
// fails closed, and Deep names the step that failed.
//
// The error is that of ctx. Every other failure is a fact.
func Probe(ctx context.Context, ask Ask) (plan.Host, error) {
	h := plan.Host{
		Kernel:  kernel(),
		Arch:    runtime.GOARCH,
		UID:     os.Getuid(),
		GID:     os.Getgid(),
		Admin:   os.Getuid() == 0 && admin(ask),
		Counted: os.Getuid() != 0 || mapped(ask),
		Umask:   umask(ask),
		User:    ask.User,
		Home:    ask.Home,
		Runtime: ask.Runtime,
		State:   ask.State,
		Config:  ask.Config,
		Cwd:     ask.Cwd,
		Login:   ask.Login,
		Env:     maps.Clone(ask.Env),
	}
	if h.User == "" {
		h.User = userName(ask.at("/etc/passwd"), h.UID)
	}
	h.Zone = zone(ask)
	h.Namespaces = namespaces(ask)
	h.Landlock, h.Errata = landlock()
	h.Seccomp = seccomp()
	h.Notify = notify()
	h.Mediation = mediation(h.Notify)
	h.Routes = plan.Fact{Why: "not tried"}
	h.Memfd = memfd()
	h.Cgroup = cgroup(ask, h.UID)
	var err error
	if h.Paths, err = lookAll(ctx, ask.Paths); err != nil {
		return plan.Host{}, err
	}
	if slices.ContainsFunc(ask.Paths, func(p plan.Ask) bool { return p.Writable && h.Paths[p.Path].Dir }) {
		h.Leads, h.Named = leads(ask)
	}
	h.Grounds = grounds(ask, h.Paths)
	return h, ctx.Err()
}

// zone returns the file of the local time zone, "" if there is none.
func zone(ask Ask) string {
	file, err := os.Readlink(ask.at("/etc/localtime"))
	if err != nil || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join("/etc", file)
}

// lookAll returns the facts of paths, and of the places below writable folders that
// decide what may be written there. The error is that of ctx.
func lookAll(ctx context.Context, paths []plan.Ask) (map[string]plan.PathFact, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	facts := make(map[string]plan.PathFact, len(paths))
	for _, p := range paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		fact, have := facts[p.Path]
		if !have {
			fact = Look(p.Path)
		}
		if p.Writable && fact.Exists && fact.Dir && fact.Below == nil && fact.Err == "" {
			fact.Below, fact.Err = below(fact.Real)
			for _, b := range fact.Below {
				p := filepath.Join(fact.Real, b)
				if old, have := facts[p]; !have || old.Below == nil {
					facts[p] = Look(p)
				}
			}
		}
		facts[p.Path] = fact
	}
	return facts, nil
}

// at returns a system path below Root.
func (a Ask) at(path string) string {
	if a.Root == "" {
		return path
	}
	return filepath.Join(a.Root, path)
}

// kernel returns the release from uname(2).
func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// admin reports whether this process may enter a mount namespace that it made with
// another user namespace: setns(2) wants both capabilities in its own user namespace.
// A container's root has them only if the container was started as privileged.
func admin(ask Ask) bool {
	const need = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_SYS_CHROOT
	text, err := statusField(ask, "CapEff")
	if err != nil {
		return false
	}
	have, err := strconv.ParseUint(text, 16, 64)
	return err == nil && have&need == need
}

// mapped reports whether id 0 of this user namespace is another id outside
// (user_namespaces(7)): a process of the machine's own root is never one too many for
// RLIMIT_NPROC, whatever its capabilities (fork(2), EAGAIN).
func mapped(ask Ask) bool {
	text, err := os.ReadFile(ask.at("/proc/thread-self/uid_map"))
	var inside, outside, n uint32
	for line := range strings.Lines(string(text)) {
		if _, e := fmt.Sscan(line, &inside, &outside, &n); e == nil && inside == 0 {
			return err == nil && outside != 0
		}
	}
	return false
}

// umask returns the umask of this process. umask(2) can only read it by changing it for
// a moment, for every thread, so umask reads /proc, where it is since Linux 4.7. Where
// it is unreadable, umask returns the strictest one.
func umask(ask Ask) int {
	text, err := statusField(ask, "Umask")
	if err != nil {
		return 0o077
	}
	mask, err := strconv.ParseUint(text, 8, 9)
	if err != nil {
		return 0o077
	}
	return int(mask)
}

// PasswdHome returns the home directory of a user id in a passwd file, or "" if that is
// not absolute or missing. Like userName it asks no name service.
func PasswdHome(passwd string, uid int) string {
	users, err := user.ParsePasswdFileFilter(passwd, func(u user.User) bool { return u.Uid == uid })
	if err != nil || len(users) == 0 || !filepath.IsAbs(users[0].Home) {
		return ""
	}
	return filepath.Clean(users[0].Home)
}

// userName returns the name of a user id in passwd, or "". It reads only the file, as a
// name service can take seconds to answer.
func userName(passwd string, uid int) string {
	users, err := user.ParsePasswdFileFilter(passwd, func(u user.User) bool { return u.Uid == uid })
	if err != nil || len(users) == 0 {
		return ""
	}
	return users[0].Name
}
