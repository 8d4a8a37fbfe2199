package probe

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// files are attacks on files outside of the declared folders.
func files() []Probe {
	return []Probe{
		{ID: "read-ssh-key", Loss: "the private key", How: "open(2) by its absolute path",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result { return outcome(readable(w.Secret), w.Secret) }},
		{ID: "list-home", Loss: "what the user works on", How: "getdents64(2) on the home folder",
			Want: Held + "|ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result {
				return listed(w.Home, filepath.Base(filepath.Dir(w.Secret)))
			}},
		{ID: "list-outside", Loss: "names of files elsewhere", How: "getdents64(2) on a folder that no rule names",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result { return listed(w.Outside, "") }},
		{ID: "read-state", Loss: "mcpen's locks and logs, and so what it trusts", How: "open(2) of mcpen's own files",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result { return outcome(readable(w.State), w.State) }},
		{ID: "write-state", Loss: "the approvals of the next run", How: "open(2) of mcpen's own files for writing",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result { return writable(w.State) }},
		{ID: "write-outside", Loss: "any file: a start script is enough", How: "open(2) with O_CREAT outside every rule",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result { return created(filepath.Join(w.Outside, "planted")) }},
		{ID: "write-docs", Loss: "files that were lent for reading", How: "open(2) for writing below a read rule",
			Want: "EROFS", By: Namespaces | Landlock,
			Run: func(w World) Result { return writable(filepath.Join(w.Docs, "page")) }},
		{ID: "create-docs", Loss: "a folder that was lent for reading", How: "open(2) with O_CREAT below a read rule",
			Want: "EROFS", By: Namespaces | Landlock,
			Run: func(w World) Result { return created(filepath.Join(w.Docs, "planted")) }},
		{ID: "chmod-docs", Loss: "the modes of files that were lent for reading", How: "chmod(2) below a read rule",
			Want: "EROFS", By: Namespaces, // Landlock has no right for modes
			Run: func(w World) Result {
				return outcome(unix.Chmod(filepath.Join(w.Docs, "page"), 0o600), "")
			}},
		{ID: "remove-docs", Loss: "files that were lent for reading", How: "unlink(2) below a read rule",
			Want: "EROFS", By: Namespaces | Landlock,
			Run: func(w World) Result {
				return outcome(unix.Unlink(filepath.Join(w.Docs, "page-to-remove")), "")
			}},
		{ID: "symlink-read", Loss: "the private key", How: "a symlink in the project that points to it",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result { return throughLink(w, w.Secret) }},
		{ID: "symlink-relative", Loss: "the private key", How: "a relative symlink that climbs out of the project",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result {
				rel, err := filepath.Rel(w.Project, w.Secret)
				if err != nil {
					return refused(err)
				}
				return throughLink(w, rel)
			}},
		{ID: "symlink-found", Loss: "the private key", How: "a symlink that the user's own folder holds already",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result { return outcome(readable(filepath.Join(w.Docs, "to-key")), "") }},
		{ID: "symlink-write", Loss: "any file", How: "writing through a symlink that points out of the project",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result {
				link := filepath.Join(w.Project, "link-out")
				if err := os.Symlink(filepath.Join(w.Outside, "kept"), link); err != nil {
					return refused(err)
				}
				defer os.Remove(link)
				return writable(link)
			}},
		{ID: "self-root", Loss: "the private key", How: "the same file by /proc/self/root and ..",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result {
				return outcome(readable("/proc/self/root/../../.."+w.Secret), "")
			}},
		{ID: "self-cwd", Loss: "the private key", How: "the same file by /proc/self/cwd and ..",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result {
				return outcome(readable("/proc/self/cwd/../../../../../../../.."+w.Secret), "")
			}},
		{ID: "hardlink-key", Loss: "the private key", How: "link(2) of the key into the project",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result { return linked(w, w.Secret) }},
		{ID: "hardlink-docs", Loss: "files that were lent for reading", How: "link(2) into the project, to write there",
			Want: "EXDEV|EROFS", By: Namespaces | Landlock,
			Run: func(w World) Result { return linked(w, filepath.Join(w.Docs, "page")) }},
		{ID: "rename-out", Loss: "a folder that was lent for reading", How: "rename(2) out of the project",
			Want: "EXDEV", By: Namespaces | Landlock,
			Run: func(w World) Result {
				from := filepath.Join(w.Project, "mine")
				if r := created(from); !r.OK {
					return r
				}
				defer os.Remove(from)
				return outcome(unix.Rename(from, filepath.Join(w.Docs, "renamed-in")), "")
			}},
		{ID: "rename-in", Loss: "files that were lent for reading", How: "rename(2) into the project",
			Want: "EXDEV", By: Namespaces | Landlock,
			Run: func(w World) Result {
				return outcome(unix.Rename(filepath.Join(w.Docs, "page-to-move"), filepath.Join(w.Project, "taken")), "")
			}},
		{ID: "replace-program", Loss: "the program that starts the next time", How: "creating a file beside the running program",
			Want: "EROFS", By: Namespaces | Landlock,
			Run: func(World) Result {
				self, err := os.Executable()
				if err != nil {
					return refused(err)
				}
				return created(filepath.Join(filepath.Dir(self), "planted"))
			}},
		{ID: "memfd-exec", Loss: "the private key", How: "a program executed from memfd_create(2), in the hope that rules by path do not follow",
			Want: "ENOENT", By: Namespaces | Landlock,
			Run: func(w World) Result {
				fd, err := unix.MemfdCreate("hostile", 0)
				if err != nil {
					return refused(err)
				}
				f := os.NewFile(uintptr(fd), "memfd")
				defer f.Close()
				if err := copySelf(f); err != nil {
					return refused(err)
				}
				return ended(again("/proc/self/fd/"+itoa(fd), verbRead, w.Secret).Run())
			}},
		{ID: "tmp-exec", Loss: "the private key", How: "a program written to the private /tmp and executed there",
			Want: "ENOENT|EACCES", By: Namespaces | Landlock,
			Run: func(w World) Result {
				f, err := os.OpenFile(filepath.Join(w.Tmp, "hostile-copy"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
				if err != nil {
					return refused(err)
				}
				defer os.Remove(f.Name())
				err = copySelf(f)
				f.Close()
				if err != nil {
					return refused(err)
				}
				return ended(again(f.Name(), verbRead, w.Secret).Run())
			}},
		{ID: "bind-project", Loss: "what a program outside sends to a socket that it takes for its own", How: "bind(2) of a unix socket in the writable project",
			Want: "EACCES|EROFS", By: Landlock | Mediation, // no mount option prevents sockets
			Run: func(w World) Result { return bound(filepath.Join(w.Project, "bound.sock")) }},
		{ID: "find-sockets", Loss: "whatever answers there: an agent, a bus, a container engine", How: "connecting to the unix sockets that are found below the home, /run and /tmp",
			Want: Held, By: Mediation, // those in declared folders; no others exist inside
			Run: func(w World) Result {
				for _, dir := range []string{filepath.Dir(w.Socket), w.Home, "/run", "/var/run", "/tmp"} {
					if s := findSocket(dir); s != "" {
						return worked(s)
					}
				}
				return held("no socket anywhere")
			}},
	}
}

// listed succeeds if a folder can be listed and contains name, or contains anything if
// name is empty.
func listed(dir, name string) Result {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return refused(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if name == "" || slices.Contains(names, name) {
		return worked(strings.Join(names, " "))
	}
	return held("only " + strings.Join(names, " "))
}

// writable opens an existing file for writing and writes nothing.
func writable(path string) Result {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return refused(err)
	}
	unix.Close(fd)
	return worked(path)
}

// created makes a new file.
func created(path string) Result {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return refused(err)
	}
	unix.Close(fd)
	return worked(path)
}

// bound makes a unix socket and removes it again.
func bound(path string) Result {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return refused(err)
	}
	return outcome(unix.Unlink(path), path)
}

// throughLink reads a file through a new symlink in the project with the given text.
func throughLink(w World, text string) Result {
	link := filepath.Join(w.Project, "link")
	if err := os.Symlink(text, link); err != nil {
		return refused(err)
	}
	defer os.Remove(link)
	return outcome(readable(link), text)
}

// linked makes a hard link to path in the project.
func linked(w World, path string) Result {
	name := filepath.Join(w.Project, "hard")
	defer os.Remove(name)
	return outcome(unix.Link(path, name), path)
}

// copySelf writes this program to f.
func copySelf(f *os.File) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	_, err = f.ReadFrom(self)
	return err
}

// findSocket searches the folders near dir for a unix socket with a listener.
func findSocket(dir string) string {
	found := ""
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case d.Type() == os.ModeSocket && answers(path):
			found = path
			return filepath.SkipAll
		case d.IsDir() && strings.Count(strings.TrimPrefix(path, dir), "/") > 2:
			return filepath.SkipDir
		}
		return nil
	})
	return found
}

// answers reports whether it can connect to a unix socket.
func answers(path string) bool {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path}) == nil
}
