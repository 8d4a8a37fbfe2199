package plan

import (
	"path"
	"slices"
	"sort"
	"strings"
	"unicode"
)

// Writes is what the mediator is told: where a server may change files, and which
// places in the user's folders stay as they are. The zero value lets nothing be
// changed.
type Writes struct {
	// Folders are the writable folders of the user's, every symlink resolved. The
	// server sees them read-only; the mediator does not.
	Folders []string `json:"folders,omitempty"`
	// Free are the places that are the server's alone: private file systems, its
	// state, single files and devices. Everything in them may be changed.
	Free []string `json:"free,omitempty"`
	// Names are protected beside those of [Protected], in the same form.
	Names []string `json:"names,omitempty"`
	// Led are the places in the folders that something outside leads to: a protected
	// place of the user's home, or the user's configuration of git.
	Led []Held `json:"led,omitempty"`
	// Except are the places that the profile makes writable on purpose. "*" in an
	// element stands for any run of characters, "**" for any run of elements.
	Except []string `json:"except,omitempty"`
	// Home is the user's home outside, which "~" in git's configuration means.
	Home string `json:"home,omitempty"`
	// Sockets are the private file systems whose unix sockets may be connected to.
	Sockets []string `json:"sockets,omitempty"`
	// Singles are the single files of the user's that may be changed, but not
	// replaced.
	Singles []Single `json:"singles,omitempty"`
}

// Held is a place that may not be changed: what makes it one, and why. The zero
// Held is none.
type Held struct {
	Place string `json:"place"`
	Why   string `json:"why"`
}

// Standing is what may be done to one path.
type Standing int

// The standings. The zero one refuses.
const (
	Elsewhere Standing = iota // in no writable place: the kernel refuses where the mount is read-only, the mediator anywhere else
	Free                      // the server's alone
	Changing                  // in a folder of the user's, and not protected
	Kept                      // protected
)

// Known is what was found of the folders when the server started, beside the
// names: places that a protected one leads to, repositories without a protected
// name, environments. The zero value knows of nothing.
type Known struct {
	places map[string]Held // by the folded path
	sorted []string
	lost   string // why not everything was found
}

// Lost is what is known where not everything could be looked through: all that the
// profile does not make writable on purpose is kept.
func (k Known) Lost(why string) Known {
	k.lost = why
	return k
}

// NewKnown makes one of what was found, by absolute paths without symlinks.
func NewKnown(found []Held) Known {
	k := Known{places: make(map[string]Held, len(found))}
	for _, h := range found {
		f := fold(h.Place)
		if _, ok := k.places[f]; !ok {
			k.places[f] = h
			k.sorted = append(k.sorted, f)
		}
	}
	sort.Strings(k.sorted)
	return k
}

// below is a place at or below a path.
func (k Known) below(p string) (Held, bool) {
	f := fold(p)
	if h, ok := k.places[f]; ok {
		return h, true
	}
	i := sort.SearchStrings(k.sorted, f+"/")
	if i < len(k.sorted) && strings.HasPrefix(k.sorted[i], f+"/") {
		return k.places[k.sorted[i]], true
	}
	return Held{}, false
}

// Judge decides about paths, by Writes. It is not changed by use and may be used
// from several goroutines.
type Judge struct {
	w     Writes
	names map[string][]name   // by the folded last element; patterns are under ""
	first map[string][]string // folded elements that a protected name of several begins with, and the rests
	short shorts
}

// name is one protected name, its elements folded.
type name struct {
	text  string
	parts []string
}

// NewJudge prepares the decisions.
func NewJudge(w Writes) *Judge {
	j := &Judge{w: w, names: map[string][]name{}, first: map[string][]string{}, short: shorts{}}
	for _, text := range slices.Concat(Protected, w.Names) {
		n := name{text: text, parts: strings.Split(fold(text), "/")}
		for _, part := range n.parts {
			j.short.add(part)
		}
		key := n.parts[len(n.parts)-1]
		if strings.Contains(key, "*") {
			key = ""
		}
		j.names[key] = append(j.names[key], n)
		for i := 1; i < len(n.parts); i++ {
			first := strings.Join(n.parts[:i], "/")
			j.first[first] = append(j.first[first], strings.Join(n.parts[i:], "/"))
		}
	}
	return j
}

// At is the standing of an absolute path without symlinks, and, where it is
// Kept, the place that it belongs to.
func (j *Judge) At(p string, k Known) (Standing, Held) {
	root, free := j.root(p)
	switch {
	case root == "":
		return Elsewhere, Held{}
	case free:
		return Free, Held{}
	case k.lost != "" && !j.Freed(p):
		return Kept, Held{Place: root, Why: k.lost}
	}
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	depth := strings.Count(root, "/")
	if root == "/" {
		depth = 0
	}
	folded := make([]string, len(parts))
	for i, part := range parts {
		folded[i] = j.short.long(fold(part))
	}
	at := "/" + strings.Join(parts[:depth], "/")
	for i := depth; i < len(parts); i++ {
		at = path.Join(at, parts[i])
		held, ok := k.places["/"+strings.Join(folded[:i+1], "/")]
		if n := j.match(folded[:i+1]); n != "" {
			held, ok = Held{Place: at, Why: "protected: " + n}, true
		}
		switch {
		case !ok:
		case j.excepted(at):
			return Changing, Held{}
		default:
			return Kept, held
		}
	}
	return Changing, Held{}
}

// root is the innermost writable place that holds a path, and whether it is the
// server's alone.
func (j *Judge) root(p string) (root string, free bool) {
	for _, f := range j.w.Free {
		if under(p, f) && len(f) > len(root) {
			root, free = f, true
		}
	}
	for _, f := range j.w.Folders {
		if under(p, f) && len(f) > len(root) {
			root, free = f, false
		}
	}
	return root, free
}

// Holds is a known place at or below a directory: it may not be renamed.
func (j *Judge) Holds(dir string, k Known) (Held, bool) {
	h, ok := k.below(dir)
	return h, ok && !j.excepted(h.Place)
}

// Leads reports whether a protected name begins with the last elements of a path,
// as .config/fish begins with .config: a symlink there would lead it elsewhere.
func (j *Judge) Leads(p string) bool { return len(j.Rests(p)) > 0 }

// Rests are what follows the last elements of a path in protected names, folded:
// "fish" and others for .config. They may hold patterns.
func (j *Judge) Rests(p string) []string {
	parts := strings.Split(fold(p), "/")
	var out []string
	for i := len(parts) - 1; i > 0; i-- {
		out = append(out, j.first[strings.Join(parts[i:], "/")]...)
	}
	return out
}

// Home is the user's home outside.
func (j *Judge) Home() string { return j.w.Home }

// Freed reports whether a path is, or lies in, a place that the profile makes
// writable on purpose: nothing in it is protected.
func (j *Judge) Freed(p string) bool {
	root, _ := j.root(p)
	for ; p != root && p != "/"; p = path.Dir(p) {
		if j.excepted(p) {
			return true
		}
	}
	return false
}

// Excepted reports whether the profile makes a place writable on purpose.
func (j *Judge) Excepted(p string) bool { return j.excepted(p) }

// Might reports whether a base name could be, or end, a protected name. It is
// cheap, and At decides.
func (j *Judge) Might(base string) bool {
	f := j.short.long(fold(base))
	if len(j.names[f]) > 0 {
		return true
	}
	return slices.ContainsFunc(j.names[""], func(n name) bool { return wild(n.parts[len(n.parts)-1], f) })
}

// Folder is the user's folder that a path lies in, or "".
func (j *Judge) Folder(p string) string {
	root, free := j.root(p)
	if free {
		return ""
	}
	return root
}

// match is the protected name that the elements of a path end in, or "".
func (j *Judge) match(folded []string) string {
	last := folded[len(folded)-1]
	for _, n := range j.names[last] {
		if n.ends(folded) {
			return n.text
		}
	}
	for _, n := range j.names[""] {
		if n.ends(folded) {
			return n.text
		}
	}
	return ""
}

func (n name) ends(folded []string) bool {
	from := len(folded) - len(n.parts)
	if from < 0 {
		return false
	}
	for i, part := range n.parts {
		if part != folded[from+i] && (!strings.Contains(part, "*") || !wild(part, folded[from+i])) {
			return false
		}
	}
	return true
}

// excepted reports whether the profile makes a place writable on purpose.
func (j *Judge) excepted(p string) bool {
	return slices.ContainsFunc(j.w.Except, func(e string) bool {
		return e == p || strings.Contains(e, "*") && among(strings.Split(e, "/"), strings.Split(p, "/"))
	})
}

// among matches elements against a pattern's.
func among(pattern, parts []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for i := range len(parts) + 1 {
				if among(pattern[1:], parts[i:]) {
					return true
				}
			}
			return false
		}
		if len(parts) == 0 || !wild(pattern[0], parts[0]) {
			return false
		}
		pattern, parts = pattern[1:], parts[1:]
	}
	return len(parts) == 0
}

// wild matches one element against a pattern in which "*" stands for any run of
// characters.
func wild(pattern, s string) bool {
	if pattern != "" && pattern[0] != '*' && (s == "" || s[0] != pattern[0]) {
		return false
	}
	first, rest, more := strings.Cut(pattern, "*")
	s, ok := strings.CutPrefix(s, first)
	if !more || !ok {
		return ok && s == ""
	}
	for i := range len(s) + 1 {
		if wild(rest, s[i:]) {
			return true
		}
	}
	return false
}

// fold is the form in which names are compared. A file system that folds case
// (vfat, ext4 and f2fs with casefold), that leaves out what cannot be seen (HFS+)
// or what ends a name (vfat: dots and spaces), finds .git by .GIT too, and runs
// what it holds (CVE-2014-9390). Folding more than the file system does refuses a
// name that nobody uses.
func fold(s string) string {
	plain := true
	for i := range len(s) {
		c := s[i]
		if c >= 0x80 || 'A' <= c && c <= 'Z' || c == '.' || c == ' ' || c == '~' || c == ':' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	parts := strings.Split(s, "/")
	for i, part := range parts {
		parts[i] = foldElement(part)
	}
	return strings.Join(parts, "/")
}

func foldElement(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Mn, r) && r >= 0xfe00 && r <= 0xfe0f {
			return -1 // ignorable
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return unicode.ToLower(least)
	}, s)
	s, _, _ = strings.Cut(s, ":") // a stream of NTFS
	if trimmed := strings.TrimRight(s, ". "); trimmed != "" {
		s = trimmed
	}
	if s == "git~1" { // the short name of .git (VFAT)
		s = ".git"
	}
	return s
}

// CompletesRepository reports whether a new name makes its directory one that git
// takes for a repository and whose configuration it acts on: HEAD with objects
// and refs, or with commondir (gitrepository-layout(5)). has says whether a name
// is in the directory.
func CompletesRepository(base string, has func(name string) bool) bool {
	switch fold(base) {
	case "head":
		return has("objects") && has("refs") || has("commondir")
	case "objects":
		return has("HEAD") && has("refs")
	case "refs":
		return has("HEAD") && has("objects")
	case "commondir":
		return has("HEAD")
	}
	return false
}

// InRepository reports whether [CompletesRepository] may say so of a name.
func InRepository(base string) bool {
	return slices.Contains([]string{"head", "objects", "refs", "commondir"}, fold(base))
}

// IsRepository reports whether git takes a directory for a repository by what is
// in it.
func IsRepository(has func(name string) bool) bool {
	return has("HEAD") && (has("objects") && has("refs") || has("commondir"))
}
