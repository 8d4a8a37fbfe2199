package probe

import (
	"os"
	"path/filepath"

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
