package writes

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// scan searches the folders once, while the server starts, for places that their names
// do not reveal: targets of links in protected places, files that git's configuration
// names, repositories without a protected name, Python's virtual environments.
type scan struct {
	judge   *plan.Judge
	folders []string
	led     []plan.ProtectedPlace
	starts  int // number of places that may be held open
	done    chan struct{}
	found   findings

	held map[string]plan.ProtectedPlace // by the path
	seen map[string]bool                // visited directories
	dirs []string                       // targets of protected places that are directories, to visit
	lost string                         // why the scan is incomplete
}

// findings is the result of a scan.
type findings struct {
	known     plan.Known
	protected []protectedPlace // every one that exists
}

func newScan(j *plan.Judge, w plan.Writes) *scan {
	return &scan{judge: j, folders: w.Folders, led: w.Led, starts: starts(), done: make(chan struct{}), held: map[string]plan.ProtectedPlace{}, seen: map[string]bool{}}
}

// result waits for the scan and returns its findings.
func (s *scan) result() findings {
	<-s.done
	return s.found
}

func (s *scan) run() {
	defer close(s.done)
	for _, h := range s.led {
		s.lead(h.Place, "", strings.TrimPrefix(h.Why, "protected: "), true)
	}
	for _, dir := range s.folders {
		s.folder(dir)
	}
	for len(s.dirs) > 0 {
		dir := s.dirs[len(s.dirs)-1]
		s.dirs = s.dirs[:len(s.dirs)-1]
		s.links(dir)
	}
	held := make([]plan.ProtectedPlace, 0, len(s.held))
	for _, h := range s.held {
		held = append(held, h)
	}
	s.found.known = plan.NewKnown(held)
	if s.lost != "" {
		s.found.known = s.found.known.Lost(s.lost)
	}
}

// protected records a protected place if it exists, for the later search for other
// names of its files.
func (s *scan) protected(p string) {
	if kindAt(p) == unix.DT_UNKNOWN {
		return
	}
	s.found.protected = append(s.found.protected, startAt(p, len(s.found.protected) < s.starts))
}

// missed records that the scan is incomplete because this process lacked a resource. A
// place that is gone, or may not be read, leads nowhere that is known.
func (s *scan) missed(err error) {
	if lacking(err) {
		s.lost = "not everything in the writable folders could be looked through: " + err.Error()
	}
}

// folder scans one writable folder.
func (s *scan) folder(root string) {
	at, err := unix.Open(path.Dir(root), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		s.missed(err)
		return // the folder is gone, and its content with it
	}
	defer unix.Close(at)
	w := walk{lax: true, lost: s.missed}
	w.dir = func(rel string, dir int) (plan.ProtectedPlace, bool) {
		s.special(path.Join(root, rel), has(dir))
		return plan.ProtectedPlace{}, false
	}
	w.each = func(rel string, dir int, kind uint8) (bool, plan.ProtectedPlace, bool) {
		p := root + "/" + rel
		if _, known := s.held[path.Dir(p)]; known {
			return false, plan.ProtectedPlace{}, false // in a repository or an environment, which is held as a whole
		}
		if s.judge.Might(path.Base(rel)) {
			if standing, _ := s.judge.At(p, plan.Known{}); standing != plan.Changing {
				s.place(p, kind)
				return false, plan.ProtectedPlace{}, false
			}
		}
		if kind == unix.DT_LNK {
			s.beginning(p)
		}
		return true, plan.ProtectedPlace{}, false
	}
	w.run(at, path.Base(root))
}

// beginning examines a symlink at the beginning of a protected name of several
// elements: if .config is a link, .config/fish lies elsewhere.
func (s *scan) beginning(p string) {
	for _, rest := range s.judge.Rests(p) {
		if !strings.Contains(rest, "*") {
			s.lead(p+"/"+rest, p, p+" leads to it", false)
		}
	}
}

// special holds a directory that is a repository, or a virtual environment, judging by
// its content.
func (s *scan) special(dir string, has func(string) bool) {
	switch {
	case s.judge.Freed(dir):
	case plan.IsRepository(has):
		s.hold(dir, "git takes the folder for a repository")
		s.repository(dir, dir)
		s.protected(dir)
	case has("pyvenv.cfg"):
		s.hold(dir, "an environment of python's: what is in it runs with its python (pyvenv.cfg)")
		s.protected(dir)
	}
}

// place searches one protected place for the places it leads to.
func (s *scan) place(p string, kind uint8) {
	s.protected(p)
	switch base := strings.ToLower(path.Base(p)); {
	case kind == unix.DT_LNK:
		s.follow(p, p, p)
	case base == ".git" && kind == unix.DT_REG:
		s.gitFile(p)
	case base == ".git":
		s.repository(p, path.Dir(p))
	case base == "node_modules", base == "site-packages", base == "dist-packages":
		// Their links lead to packages of the project, which are sources like others.
	case kind == unix.DT_DIR:
		s.links(p)
	case strings.HasPrefix(base, ".gitconfig"):
		s.gitConfig(p, path.Dir(p), 0)
	}
}

// links follows every symlink in a directory.
func (s *scan) links(dir string) {
	if s.seen[dir] {
		return
	}
	s.seen[dir] = true
	at, err := unix.Open(path.Dir(dir), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		s.missed(err)
		return
	}
	defer unix.Close(at)
	w := walk{lax: true, lost: s.missed, each: func(rel string, _ int, kind uint8) (bool, plan.ProtectedPlace, bool) {
		if kind == unix.DT_LNK {
			s.follow(dir+"/"+rel, dir, dir)
		}
		return path.Base(rel) != "node_modules", plan.ProtectedPlace{}, false
	}}
	w.run(at, path.Base(dir))
}

// follow holds the target of a symlink, and every link on the way. It does not hold a
// target that contains the place itself: the whole folder would be read-only.
func (s *scan) follow(p, place, because string) {
	text, err := readlink(unix.AT_FDCWD, p)
	if err != nil {
		return
	}
	if !path.IsAbs(text) {
		text = path.Join(path.Dir(p), "/") + "/" + text
	}
	s.lead(text, place, because+" leads to it", false)
}

// lead holds the real place of a path, whether it exists or not, and each symlink on
// the way in a user's folder. If above is set, it holds the real place even if that
// contains the place that leads to it.
func (s *scan) lead(p, place, why string, above bool) {
	real, links := resolve(p)
	for _, l := range links {
		s.hold(l, why)
	}
	if !above && (real == place || strings.HasPrefix(place, real+"/")) {
		return
	}
	if s.hold(real, why) {
		s.protected(real)
		s.dirs = append(s.dirs, real)
	}
}

// maxHeld bounds the number of places, and so the memory.
const maxHeld = 1 << 18

// hold holds a place that lies in a user's folder and is not protected by its name. It
// reports whether the place is new.
func (s *scan) hold(p, why string) bool {
	standing, _ := s.judge.At(p, plan.Known{})
	if _, again := s.held[p]; again || standing != plan.Changing || s.judge.Excepted(p) {
		return false
	}
	if len(s.held) >= maxHeld { // more than any person's tree has
		s.lost = "the writable folders have more protected places than are remembered"
		return false
	}
	s.held[p] = plan.ProtectedPlace{Place: p, Why: "protected: " + why}
	return true
}

// resolve follows the symlinks of an absolute path as far as it exists, and returns
// them.
func resolve(p string) (real string, links []string) {
	real = "/"
	rest := strings.Split(p, "/")
	for steps := 0; len(rest) > 0; steps++ {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			real = path.Dir(real)
			continue
		}
		next := path.Join(real, part)
		text, err := readlink(unix.AT_FDCWD, next)
		if err != nil || len(links) >= maxLinks {
			real = next // not a link, or nothing at all
			continue
		}
		links = append(links, next)
		if path.IsAbs(text) {
			real = "/"
		}
		rest = append(strings.Split(text, "/"), rest...)
	}
	return real, links
}
