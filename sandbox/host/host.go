// Package host says what this machine can enforce and where programs live.
//
// It answers by doing: it makes the system call, opens the file, starts the
// namespace, and reports what came back. Nothing is concluded from a version
// number, and an answer that could not be had is "cannot tell" (plan.Unknown),
// never yes.
//
// Probe is for every start and costs well under a millisecond beside the paths
// it is asked for. Deep starts children in new namespaces and walks through the
// recipe step by step; it is for "mcpen doctor" and for a start that failed.
// Find follows a command to the file that is executed and to what that file
// needs. Checks turns facts into lines for a person and is pure.
//
// What it reads of this process it reads of the calling thread
// (/proc/thread-self): the main thread, which /proc/self stands for, can be in
// the namespaces of a sandbox that it started.
//
// The package reads and starts children of its own; it changes nothing and
// leaves nothing behind. It reads no environment: what it needs of it is passed
// in. Its functions may run at once.
package host

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Ask says what Probe is asked beyond the kernel. The strings are copied to the
// Host as they are.
type Ask struct {
	Root string // where /proc, /sys and /etc are read; "" is "/". Tests point it at a tree

	User    string // "" looks the user id up in /etc/passwd
	Home    string
	Runtime string
	State   string
	Config  string
	Cwd     string
	Login   plan.Dirs // by the password database

	// Grounds are folders, without symlinks, whose content a server or a repository
	// could have made. Probe adds the repositories of what it looks at.
	Grounds []plan.Ground

	// Bus is the directory that holds the user manager's bus (XDG_RUNTIME_DIR);
	// "" means that there is no such manager.
	Bus string

	Env   map[string]string // the variables that the policy passes and that are set
	Paths []plan.Ask        // what to look at
}

// Probe returns the facts of this machine that can be had at once. What only a
// trial in new namespaces can tell (Routes, Memfd, and Namespaces where nothing
// forbids them outright) is left unknown: the start itself tries it and fails
// closed, and Deep says which step it was.
//
// The error is that of ctx. Everything else that goes wrong is a fact.
func Probe(ctx context.Context, ask Ask) (plan.Host, error) {
	h := plan.Host{
		Kernel:  kernel(),
		Arch:    runtime.GOARCH,
		UID:     os.Getuid(),
		GID:     os.Getgid(),
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
	if zone, err := os.Readlink(ask.at("/etc/localtime")); err == nil {
		if !filepath.IsAbs(zone) {
			zone = filepath.Join("/etc", zone)
		}
		h.Zone = zone
	}
	h.Namespaces = namespaces(ask)
	h.Landlock, h.Errata = landlock()
	h.Seccomp = seccomp()
	h.Notify = notify(ask)
	h.Mediation = mediation(h.Notify)
	h.Routes = plan.Fact{Why: "not tried"}
	h.Memfd = memfd()
	h.Cgroup = cgroup(ask, h.UID)
	if len(ask.Paths) > 0 {
		h.Paths = make(map[string]plan.PathFact, len(ask.Paths))
	}
	for _, p := range ask.Paths {
		if err := ctx.Err(); err != nil {
			return plan.Host{}, err
		}
		fact, have := h.Paths[p.Path]
		if !have {
			fact = Look(p.Path)
		}
		if p.Writable && fact.Exists && fact.Dir && fact.Below == nil && fact.Err == "" {
			fact.Below, fact.Err = below(fact.Real)
			for _, b := range fact.Below {
				p := filepath.Join(fact.Real, b)
				if old, have := h.Paths[p]; !have || old.Below == nil {
					h.Paths[p] = Look(p)
				}
			}
		}
		h.Paths[p.Path] = fact
	}
	if slices.ContainsFunc(ask.Paths, func(p plan.Ask) bool { return p.Writable && h.Paths[p.Path].Dir }) {
		h.Leads, h.Named = leads(ask)
	}
	h.Grounds = grounds(ask, h.Paths)
	return h, ctx.Err()
}

// at is a path of the system below Root.
func (a Ask) at(path string) string {
	if a.Root == "" {
		return path
	}
	return filepath.Join(a.Root, path)
}

// kernel is the release as uname(2) gives it.
func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// umask is this process's. umask(2) tells it only by changing it for a moment,
// for every thread; the kernel writes it down since Linux 4.7. Where it cannot
// be read it is the narrowest.
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

// PasswdHome is the home directory of a user id in a passwd file, or "" where it has
// none that is absolute. As in userName, no name service is asked.
func PasswdHome(passwd string, uid int) string {
	users, err := user.ParsePasswdFileFilter(passwd, func(u user.User) bool { return u.Uid == uid })
	if err != nil || len(users) == 0 || !filepath.IsAbs(users[0].Home) {
		return ""
	}
	return filepath.Clean(users[0].Home)
}

// userName is the name of a user id in passwd, or "". Only the file is read:
// a name service can take seconds to answer.
func userName(passwd string, uid int) string {
	users, err := user.ParsePasswdFileFilter(passwd, func(u user.User) bool { return u.Uid == uid })
	if err != nil || len(users) == 0 {
		return ""
	}
	return users[0].Name
}
