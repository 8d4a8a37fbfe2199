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

// repositoryMarks are what the top folder of a project that was cloned, or shared in
// another way, holds: of version control, of clients, and of mcpen.
var repositoryMarks = []string{".git", ".hg", ".jj", ".svn", ".bzr", "_darcs", ".pijul", ".fslckout", ".mcp.json", ".mcpen"}

// Repository is the top folder of the innermost project in which a path lies, or "".
// The path has no symlinks and need not exist. Homes are no projects, even where their
// start files are kept in version control, and nothing above one counts; nor does what
// somebody put into a folder that all may write to. A home that only the environment
// names, and that is or lies in a project, is none. A folder called .mcpen is a project
// of its own where nothing around it is one: what lies in it was made to be shared.
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

// project is Repository with the homes as they are.
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

// shared is the outermost folder called .mcpen in which a path lies, or "".
func shared(path string) string {
	const name = "/.mcpen/"
	if i := strings.Index(path, name); i >= 0 {
		return path[:i+len(name)-1]
	}
	return ""
}

// grounds adds to the folders of the ask the repositories in which the symlinks of
// the facts lie. What only root could have made is none.
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

// rootOnly reports whether a folder is root's, and this user is not root.
func rootOnly(dir string) bool {
	var st unix.Stat_t
	return os.Geteuid() != 0 && unix.Stat(dir, &st) == nil && st.Uid == 0 && st.Mode&0o022 == 0
}
