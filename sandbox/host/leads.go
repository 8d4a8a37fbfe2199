package host

import (
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/internal/gitconfig"
	"mcpen/sandbox/plan"
)

// Bounds on the search of a home.
const (
	maxLeads     = 4096    // places found
	maxEntries   = 4096    // folder entries read
	maxGitFile   = 1 << 20 // bytes of one configuration file
	maxGitDepth  = 10      // nested includes (git's own bound)
	linkedLevels = 2       // folders below a protected one
)

// leads finds the places to which protected places of the user's home lead, and the
// paths in the git configuration of the user and of the machine. Programs act on such a
// path as on the protected place itself, wherever it lies. In a home whose files are
// links into a repository (stow, chezmoi, a few lines of ln), a server that may write
// to the repository writes the code that the next shell runs.
//
// names are paths, relative to the repository, of programs that git runs in every
// repository.
func leads(ask Ask) (found []plan.ProtectedPlace, names []string) {
	l := &leading{seen: map[string]bool{}, left: maxEntries}
	var homes []string
	for _, home := range []string{ask.Home, ask.Login.Home} {
		if home != "" && !slices.Contains(homes, home) {
			homes = append(homes, home)
		}
	}
	l.git(ask.at("/etc/gitconfig"), ask.Home, 0)
	for _, home := range homes {
		l.home(home)
		l.git(filepath.Join(home, ".gitconfig"), home, 0)
		l.git(filepath.Join(home, ".config/git/config"), home, 0)
	}
	if ask.Config != "" {
		l.git(filepath.Join(filepath.Dir(ask.Config), "git/config"), ask.Home, 0) // XDG_CONFIG_HOME
	}
	slices.Sort(l.names)
	return l.found, slices.Compact(l.names)
}

// leading is the state of one search.
type leading struct {
	found []plan.ProtectedPlace
	names []string
	seen  map[string]bool
	left  int // entries that may still be read
}

// home looks at the protected names of a home.
func (l *leading) home(home string) {
	for _, name := range plan.Protected {
		if !strings.Contains(name, "*") {
			l.place(filepath.Join(home, name), linkedLevels)
		}
	}
	judge := plan.NewJudge(plan.Writes{Folders: []string{home}})
	for _, e := range l.list(home) {
		if p := filepath.Join(home, e.Name()); e.Type() == fs.ModeSymlink && judge.Might(e.Name()) {
			l.follow(p, p)
		}
	}
}

// builds are folders whose links lead to build results of a project. A person linked
// them to run them, and they count like the project's other files.
var builds = []string{"node_modules", "bin", "lib", ".venv", "venv"}

// place notes where a protected place leads: by itself, by a link above it, or by links
// in it.
func (l *leading) place(p string, levels int) {
	info, err := os.Stat(p)
	if err != nil && Look(p).Links == nil {
		return // it is not there
	}
	l.follow(p, p)
	if err != nil || !info.IsDir() || slices.Contains(builds, path.Base(p)) {
		return
	}
	for _, e := range l.list(p) {
		switch in := filepath.Join(p, e.Name()); {
		case e.Type() == fs.ModeSymlink:
			l.follow(in, p)
		case e.IsDir() && levels > 1:
			l.place(in, levels-1)
		}
	}
}

// list reads the entries of a folder, up to the bound that is left.
func (l *leading) list(dir string) []fs.DirEntry {
	if l.left <= 0 {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	all, _ := f.ReadDir(l.left) // an unreadable folder leads nowhere that mcpen knows
	l.left -= len(all)
	return all
}

// follow notes each symlink on the way of a path, except for the parents of the place
// itself, and the target.
func (l *leading) follow(p, because string) {
	fact := Look(p)
	if len(fact.Links) == 0 {
		return
	}
	for _, link := range fact.Links {
		if link.Path != p {
			l.lead(link.Path, because+" leads through it")
		}
	}
	real := fact.Real
	if !fact.Exists {
		last := fact.Links[len(fact.Links)-1]
		if real = last.Text; !filepath.IsAbs(real) {
			real = filepath.Join(filepath.Dir(last.Path), real)
		}
	}
	l.lead(real, because+" leads to it")
}

func (l *leading) lead(place, why string) {
	if place = filepath.Clean(place); !l.seen[place] && len(l.found) < maxLeads {
		l.seen[place] = true
		l.found = append(l.found, plan.ProtectedPlace{Place: place, Why: "protected: " + why})
	}
}

// git notes a git configuration, the paths that it names and its includes.
func (l *leading) git(file, home string, depth int) {
	text, err := readSmall(file)
	if err != nil || depth > maxGitDepth {
		return
	}
	real, err := filepath.EvalSymlinks(file)
	if err == nil {
		l.lead(real, "git is configured by it")
	}
	for _, set := range gitconfig.Parse(text) {
		how, values := set.Leads()
		why := set.Key + " in " + file + " names it"
		for i, v := range values {
			p := gitconfig.FromHome(v, home, "")
			switch {
			case p == "" || how == gitconfig.Nothing:
			case how == gitconfig.Config:
				if !filepath.IsAbs(p) {
					p = filepath.Join(filepath.Dir(file), p)
				}
				l.lead(p, why)
				l.git(p, home, depth+1)
			case filepath.IsAbs(p):
				l.lead(p, why)
				l.follow(p, p)
			case how == gitconfig.Path, runs(set, i, v):
				l.name(p)
			}
		}
	}
}

// runs reports whether a word of a command is a program in a repository. In the
// configuration of one repository, any word that exists there may be one. Here, a word
// becomes a name that is protected everywhere, so "origin/main" must not count.
func runs(set gitconfig.Setting, i int, word string) bool {
	if strings.HasPrefix(set.Key, "alias.") && !strings.HasPrefix(set.Value, "!") {
		return false // git's own command
	}
	return strings.HasPrefix(word, "./") || i == 0 && strings.Contains(word, "/")
}

// name notes a path relative to any repository, if plan.Writes.Names can hold it.
func (l *leading) name(p string) {
	p = path.Clean(p)
	if p == "." || p == ".." || strings.HasPrefix(p, "../") || len(p) > 255 || len(l.names) >= maxLeads {
		return
	}
	l.names = append(l.names, p)
}

// readSmall reads a regular file, up to maxGitFile bytes.
func readSmall(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fs.ErrInvalid
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxGitFile))
	return string(data), err
}
