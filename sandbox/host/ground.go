package host

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// repositoryMarks are names that mark the top folder of a cloned or otherwise shared
// project: those of version control, of clients and of mcpen.
var repositoryMarks = []string{".git", ".hg", ".jj", ".svn", ".bzr", "_darcs", ".pijul", ".fslckout", ".mcp.json", ".mcpen"}

// Repository returns the top folder of the innermost project that holds a path, or "".
// The path has no symlinks and need not exist.
//
// A home is no project, even if its start files are under version control, and nothing
// above a home counts. A folder that everybody may write to ends the search, too, as
// anybody could have put a mark there. A home that only the environment names does not
// count as one if it is a project or lies in one. A folder called .mcpen is a project
// of its own where no other surrounds it: its content was made to be shared.
func Repository(path, login, env string) string {
	var homes []string
	if f := Look(login); f.Exists {
		homes = append(homes, f.Real)
	}
	if f := Look(env); f.Exists && project(filepath.Join(f.Real, "x"), homes) == "" {
		homes = append(homes, f.Real)
	}
	return project(path, homes)
}

// project is Repository with the homes already resolved.
func project(path string, homes []string) string {
	for dir := filepath.Dir(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if slices.Contains(homes, dir) || err == nil && info.Mode()&os.ModeSticky != 0 && info.Mode().Perm()&0o002 != 0 {
			return shared(path)
		}
		for _, mark := range repositoryMarks {
			if _, err := os.Lstat(filepath.Join(dir, mark)); err == nil {
				return dir
			}
		}
	}
	return shared(path)
}

// shared returns the outermost folder called .mcpen that holds a path, or "".
func shared(path string) string {
	const name = "/.mcpen/"
	if i := strings.Index(path, name); i >= 0 {
		return path[:i+len(name)-1]
	}
	return ""
}

// grounds adds to the folders of the ask the repositories that hold the symlinks of the
// facts. A repository that only root can write to is left out.
func grounds(ask Ask, facts map[string]plan.PathFact) []plan.Ground {
	out := slices.Clone(ask.Grounds)
	seen := map[string]bool{}
	for _, p := range slices.Sorted(maps.Keys(facts)) {
		for _, l := range facts[p].Links {
			dir := filepath.Dir(l.Path)
			if seen[dir] {
				continue
			}
			seen[dir] = true
			if top := Repository(l.Path, ask.Login.Home, ask.Home); top != "" && !rootOnly(top) {
				out = append(out, plan.Ground{Dir: top, Who: "the repository in " + top})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b plan.Ground) int { return cmp.Compare(a.Dir, b.Dir) })
	return slices.CompactFunc(out, func(a, b plan.Ground) bool { return a.Dir == b.Dir })
}

// rootOnly reports whether root alone can write to a folder and this user is not root.
func rootOnly(dir string) bool {
	var st unix.Stat_t
	return os.Geteuid() != 0 && unix.Stat(dir, &st) == nil && st.Uid == 0 && st.Mode&0o022 == 0
}
