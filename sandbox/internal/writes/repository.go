package writes

import (
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/gitconfig"
	"mcpen/sandbox/plan"
)

// maxGitFile bounds a git configuration, in bytes.
const maxGitFile = 1 << 20

// maxIncludes bounds the depth of includes (git's own bound).
const maxIncludes = 10

// repository searches a git directory for everything that it leads git to: programs and
// more configuration. tree is its working tree.
func (s *scan) repository(dir, tree string) {
	if s.seen[dir] {
		return
	}
	s.seen[dir] = true
	for _, name := range s.list(dir) {
		p := dir + "/" + name
		switch kind := kindAt(p); {
		case kind == unix.DT_LNK:
			s.follow(p, dir, p)
		case name == "hooks" || name == "info":
			s.links(p)
		case name == "modules" || name == "worktrees":
			s.nested(p, tree)
		}
	}
	s.gitConfig(dir+"/config", tree, 0)
	s.gitConfig(dir+"/config.worktree", tree, 0)
	if common, err := s.read(dir + "/commondir"); err == nil {
		s.gitDirectory(strings.TrimSpace(common), dir, tree)
	}
}

// nested searches the git directories of submodules and worktrees.
func (s *scan) nested(dir, tree string) {
	for _, name := range s.list(dir) {
		p := dir + "/" + name
		if kindAt(p) != unix.DT_DIR {
			continue
		}
		in := s.list(p)
		has := func(want string) bool {
			for _, n := range in {
				if n == want {
					return true
				}
			}
			return false
		}
		if has("HEAD") {
			s.repository(p, tree)
		} else {
			s.nested(p, tree) // a submodule's name may contain slashes
		}
	}
}

// gitFile reads a .git that is a file, as in worktrees and submodules.
func (s *scan) gitFile(p string) {
	text, err := s.read(p)
	if dir, ok := strings.CutPrefix(strings.TrimSpace(text), "gitdir:"); err == nil && ok {
		s.gitDirectory(strings.TrimSpace(dir), path.Dir(p), path.Dir(p))
	}
}

// gitDirectory holds a git directory that another one, or a file, names.
func (s *scan) gitDirectory(dir, from, tree string) {
	if !path.IsAbs(dir) {
		dir = path.Join(from, dir)
	}
	real, _ := resolve(dir)
	s.lead(dir, from, from+" names it as its repository", false)
	s.repository(real, tree)
}

// gitConfig holds the files that a git configuration names.
func (s *scan) gitConfig(file, tree string, depth int) {
	text, err := s.read(file)
	if err != nil || depth > maxIncludes {
		return
	}
	home := s.judge.Home()
	for _, set := range gitconfig.Parse(text) {
		how, values := set.Leads()
		why := set.Key + " in " + file + " names it"
		for _, v := range values {
			switch how {
			case gitconfig.Config:
				if p := gitconfig.FromHome(v, home, path.Dir(file)); p != "" {
					s.lead(p, file, why, true)
					s.gitConfig(p, tree, depth+1)
				}
			case gitconfig.Path:
				if p := gitconfig.FromHome(v, home, tree); p != "" {
					s.lead(p, file, why, true)
				}
			case gitconfig.Command:
				if p := gitconfig.FromHome(v, home, tree); p != "" && kindAt(p) != unix.DT_UNKNOWN {
					s.lead(p, file, why, false)
				}
			}
		}
	}
}

// list returns the names in a directory; an unreadable one has none.
func (s *scan) list(dir string) []string {
	var names []string
	w := walk{lax: true, lost: s.missed, each: func(rel string, _ int, _ uint8) (bool, plan.ProtectedPlace, bool) {
		names = append(names, rel)
		return false, plan.ProtectedPlace{}, false
	}}
	at, err := unix.Open(path.Dir(dir), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		s.missed(err)
		return nil
	}
	defer unix.Close(at)
	w.run(at, path.Base(dir))
	return names
}

func kindAt(p string) uint8 { return kindOf(unix.AT_FDCWD, p) }

// read reads one of git's files. A file longer than the bound may name anything.
func (s *scan) read(p string) (string, error) {
	text, err := readSmall(p)
	s.missed(err)
	if len(text) > maxGitFile {
		s.lost = p + " is too long to be looked through"
	}
	return text, err
}

// readSmall reads a regular file, up to maxGitFile plus one byte.
func readSmall(p string) (string, error) {
	fd, err := unix.Open(p, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), p)
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return "", unix.EINVAL
	}
	data, err := io.ReadAll(io.LimitReader(f, maxGitFile+1))
	return string(data), err
}
