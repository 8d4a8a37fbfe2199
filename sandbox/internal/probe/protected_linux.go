package probe

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// protected are attacks on the places of a writable folder from which code later runs
// outside: hooks, editor tasks, client configurations. Landlock has no exception below
// a writable folder: only mounts hold these places, and without namespaces such a
// folder is refused.
func protected() []Probe {
	return []Probe{
		{ID: "write-git-hook", Loss: "code execution at the next commit", How: "creating .git/hooks/pre-commit in a writable project",
			Want: "EROFS", By: Namespaces,
			Run: func(w World) Result { return created(filepath.Join(w.Project, ".git/hooks/pre-commit")) }},
		{ID: "write-git-config", Loss: "code execution at the next git command (core.fsmonitor)", How: "opening .git/config for writing",
			Want: "EROFS", By: Namespaces,
			Run: func(w World) Result { return writable(filepath.Join(w.Project, ".git/config")) }},
		{ID: "write-vscode-task", Loss: "code execution when the folder is opened", How: "opening .vscode/tasks.json for writing",
			Want: "EROFS", By: Namespaces,
			Run: func(w World) Result { return writable(filepath.Join(w.Project, ".vscode/tasks.json")) }},
		{ID: "write-nested-git", Loss: "code execution in a repository within the project", How: "creating a hook in sub/.git",
			Want: "EROFS", By: Mediation,
			Run: func(w World) Result { return created(filepath.Join(w.Project, "sub/.git/hooks/pre-commit")) }},
		{ID: "rename-git", Loss: "the protection of .git: the next one is made by the attacker", How: "rename(2) of .git itself",
			Want: "EROFS", By: Namespaces | Mediation,
			Run: func(w World) Result { return movedAndBack(filepath.Join(w.Project, ".git")) }},
		{ID: "remove-git", Loss: "the repository", How: "rename(2) and unlink(2) within .git",
			Want: "EROFS", By: Namespaces,
			Run: func(w World) Result { return movedAndBack(filepath.Join(w.Project, ".git/config")) }},
		{ID: "rename-project", Loss: "the protection of everything in the project", How: "rename(2) of the writable folder itself",
			Want: "EBUSY|EROFS", By: Namespaces | Landlock,
			Run: func(w World) Result { return movedAndBack(w.Project) }},
		{ID: "hardlink-git", Loss: "code execution at the next git command", How: "link(2) of .git/config to a place that can be written",
			Want: "EXDEV|EROFS", By: Namespaces | Mediation,
			Run: func(w World) Result { return linked(w, filepath.Join(w.Project, ".git/config")) }},
		{ID: "umount-git", Loss: "the protection of .git", How: "umount2(2) of what protects it",
			Want: "EPERM", By: Namespaces | Seccomp, Twin: TwinUserns,
			Run: func(w World) Result {
				// Outside nothing is mounted there. The kernel then answers EINVAL to a
				// caller with the right.
				return reached(unix.Unmount(filepath.Join(w.Project, ".git"), unix.MNT_DETACH), unix.EINVAL)
			}},
	}
}

// movedAndBack renames a file or folder and, if that worked, renames it back.
func movedAndBack(path string) Result {
	away := filepath.Join(filepath.Dir(path), "moved-away")
	if err := unix.Rename(path, away); err != nil {
		return refused(err)
	}
	return outcome(os.Rename(away, path), "renamed, and back")
}

// planted are attacks on places that do not exist yet in a writable folder, on
// protected places below its first level, and on the targets of protected places. No
// mount can hold these: the mediator makes the server's changes and refuses these.
func planted() []Probe {
	in := func(name string) func(World) string {
		return func(w World) string { return filepath.Join(w.Project, name) }
	}
	row := func(id, loss, how string, run func(World) Result) Probe {
		return Probe{ID: id, Loss: loss, How: how, Want: "EROFS", By: Mediation, Run: run}
	}
	changed := func(name string) func(World) Result {
		at := in(name)
		return func(w World) Result { return writable(at(w)) }
	}
	return []Probe{
		row("plant-config", "code execution when a client starts", "creating .mcp.json", func(w World) Result {
			return createdAndGone(in(".mcp.json")(w))
		}),
		row("plant-deep", "code execution at the next git command", "mkdir(2) of .git six levels down", func(w World) Result {
			dir := in("p1/p2/p3/p4/p5/p6")(w)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return refused(err)
			}
			defer os.RemoveAll(in("p1")(w))
			return madeDir(filepath.Join(dir, ".git"))
		}),
		row("plant-case", "code execution at the next git command, where the file system folds case", "mkdir(2) of .GIT", func(w World) Result {
			return madeDir(in(".GIT")(w))
		}),
		row("plant-renamed", "code execution when the folder is opened", "rename(2) of a folder to .cursor", func(w World) Result {
			from := in("stash")(w)
			if err := os.Mkdir(from, 0o755); err != nil {
				return refused(err)
			}
			defer os.RemoveAll(from)
			return movedTo(from, in(".cursor")(w))
		}),
		row("plant-exchanged", "code execution when the folder is opened", "renameat2(2) with RENAME_EXCHANGE", func(w World) Result {
			from := in("stash")(w)
			if err := os.Mkdir(from, 0o755); err != nil {
				return refused(err)
			}
			defer os.RemoveAll(from)
			git := in("sub/.git")(w)
			if err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, git, unix.RENAME_EXCHANGE); err != nil {
				return refused(err)
			}
			return outcome(unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, git, unix.RENAME_EXCHANGE), "exchanged, and back")
		}),
		row("plant-second", "code execution in the next shell", "rename(2) of conf, which holds fish, to .config", func(w World) Result {
			if err := os.MkdirAll(in("conf/fish")(w), 0o755); err != nil {
				return refused(err)
			}
			defer os.RemoveAll(in("conf")(w))
			return movedTo(in("conf")(w), in(".config")(w))
		}),
		row("plant-raced", "code execution at the next git command", "open(2) of HEAD and mkdir(2) of refs beside objects, at once", func(w World) Result {
			return raced(in("raced")(w))
		}),
		row("plant-symlink", "code execution in the next shell", "symlink(2) of .config to a folder of the server's", func(w World) Result {
			return symlinked("conf", in(".config")(w))
		}),
		row("plant-hardlink", "orders to the coding agent", "link(2) of a file to CLAUDE.md", func(w World) Result {
			from := in("mine.md")(w)
			if r := created(from); !r.OK {
				return r
			}
			defer os.Remove(from)
			if err := unix.Link(from, in("CLAUDE.md")(w)); err != nil {
				return refused(err)
			}
			return outcome(os.Remove(in("CLAUDE.md")(w)), "linked")
		}),
		row("plant-repository", "code execution at the next git command", "HEAD beside objects and refs", func(w World) Result {
			dir := in("lib")(w)
			for _, sub := range []string{"objects", "refs"} {
				if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
					return refused(err)
				}
			}
			defer os.RemoveAll(dir)
			return createdAndGone(filepath.Join(dir, "HEAD"))
		}),
		row("plant-worktree", "code execution at the next git command", "HEAD beside commondir", func(w World) Result {
			dir := in("lib")(w)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return refused(err)
			}
			defer os.RemoveAll(dir)
			if err := os.WriteFile(filepath.Join(dir, "commondir"), []byte("../x\n"), 0o644); err != nil {
				return refused(err)
			}
			return createdAndGone(filepath.Join(dir, "HEAD"))
		}),
		row("deep-config", "code execution at the next git command (core.fsmonitor)", "open(2) of a .git/config on the fourth level", changed("d1/d2/d3/.git/config")),
		row("deep-truncate", "the repository", "truncate(2) of a .git/config on the fourth level", func(w World) Result {
			return outcome(unix.Truncate(in("d1/d2/d3/.git/config")(w), 7), "")
		}),
		row("deep-chmod", "a hook that runs", "chmod(2) below a .git on the fourth level", func(w World) Result {
			return outcome(unix.Chmod(in("d1/d2/d3/.git/config")(w), 0o600), "")
		}),
		row("deep-fchmod", "a hook that runs", "fchmod(2) of a descriptor for reading", func(w World) Result {
			fd, err := unix.Open(in("d1/d2/d3/.git/config")(w), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return refused(err)
			}
			defer unix.Close(fd)
			return outcome(unix.Fchmod(fd, 0o600), "")
		}),
		row("deep-again", "code execution at the next git command", "open(2) for writing of /proc/self/fd/N, opened for reading", func(w World) Result {
			fd, err := unix.Open(in("d1/d2/d3/.git/config")(w), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return refused(err)
			}
			defer unix.Close(fd)
			return writable("/proc/self/fd/" + strconv.Itoa(fd))
		}),
		row("deep-swap", "the protection of a repository", "rename(2) of the folder above the one that holds .git", func(w World) Result {
			return movedAndBack(in("d1/d2")(w))
		}),
		row("led-hooks", "code execution at the next commit", "open(2) below the folder that core.hooksPath names", changed(".githooks/pre-commit")),
		row("led-renamed", "code execution at the next commit", "rename(2) of the folder that core.hooksPath names", func(w World) Result {
			return movedAndBack(in(".githooks")(w))
		}),
		row("led-link", "code execution when the folder is opened", "open(2) of what a symlink in .vscode leads to", changed("shared/settings")),
		row("led-absent", "a hook of the coding agent", "creating what a symlink in .claude leads to", func(w World) Result {
			return createdAndGone(in("team/post-merge")(w))
		}),
		row("led-above", "a hook of the coding agent", "rename(2) of the folder above what a symlink leads to", func(w World) Result {
			return movedAndBack(in("team")(w))
		}),
		row("alias", "code execution at the next git command", "open(2) of another name of .git/config", changed("other-name")),
		row("bare", "code execution at the next git command", "open(2) of the configuration of a bare repository", changed("bare/config")),
		row("plant-pth", "code execution with the next python", "creating a *.pth in an environment of any name", func(w World) Result {
			return createdAndGone(in("pyenv/lib/x.pth")(w))
		}),
		socketRow("socket-docs", func(w World) string { return filepath.Join(w.Docs, "daemon.sock") }),
		socketRow("socket-project", func(w World) string { return filepath.Join(w.Project, "daemon.sock") }),
		{ID: "socket-datagram", Loss: "the system's log, and services that trust it", How: "sendto(2) with the address of a unix socket",
			Want: "ESOCKTNOSUPPORT", By: Mediation,
			Run: func(w World) Result {
				fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return refused(err)
				}
				defer unix.Close(fd)
				return outcome(unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrUnix{Name: filepath.Join(w.Docs, "log.sock")}), "sent")
			}},
	}
}

// socketRow connects to a host service whose socket lies in a declared folder.
func socketRow(id string, at func(World) string) Probe {
	return Probe{ID: id, Loss: "what the service may do: a container engine is the host", How: "connect(2) to a unix socket in a declared folder",
		Want: "EACCES", By: Mediation,
		Run: func(w World) Result {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return refused(err)
			}
			defer unix.Close(fd)
			return outcome(unix.Connect(fd, &unix.SockaddrUnix{Name: at(w)}), at(w))
		}}
}

// createdAndGone makes a new file and removes it.
func createdAndGone(path string) Result {
	r := created(path)
	if r.OK {
		return outcome(os.Remove(path), path)
	}
	return r
}

// madeDir makes a directory and removes it.
func madeDir(path string) Result {
	if err := unix.Mkdir(path, 0o755); err != nil {
		return refused(err)
	}
	return outcome(os.Remove(path), path)
}

// movedTo renames a folder and removes it under its new name.
func movedTo(from, to string) Result {
	if err := unix.Rename(from, to); err != nil {
		return refused(err)
	}
	return outcome(os.RemoveAll(to), to)
}

// symlinked makes a symlink and removes it.
func symlinked(text, path string) Result {
	if err := unix.Symlink(text, path); err != nil {
		return refused(err)
	}
	return outcome(os.Remove(path), path)
}

// raced makes the two missing parts of a repository in two threads at once, until both
// exist or many tries have failed; on a slow machine, as many as the time allows.
func raced(dir string) Result {
	defer os.RemoveAll(dir)
	told := Result{}
	until := time.Now().Add(deadline / 4)
	for try := 0; try < 500 && (try < 10 || time.Now().Before(until)); try++ {
		if err := os.MkdirAll(filepath.Join(dir, "objects"), 0o755); err != nil {
			return refused(err)
		}
		var ready, done sync.WaitGroup
		var errs [2]error
		ready.Add(2)
		for i, make := range []func() error{
			func() error { return os.WriteFile(filepath.Join(dir, "HEAD"), nil, 0o644) },
			func() error { return os.Mkdir(filepath.Join(dir, "refs"), 0o755) },
		} {
			done.Go(func() {
				runtime.LockOSThread()
				ready.Done()
				ready.Wait()
				errs[i] = make()
			})
		}
		done.Wait()
		if errs[0] == nil && errs[1] == nil {
			return outcome(nil, dir)
		}
		told = refused(cmp.Or(errs[0], errs[1]))
		if err := os.RemoveAll(dir); err != nil {
			return refused(err)
		}
	}
	return told
}
