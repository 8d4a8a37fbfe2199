package plan

import (
	"path"
	"slices"
	"sort"
	"strings"
	"unicode"
)

// Writes configures the mediator: where a server may change files, and which places in
// the user's folders it may not change. The zero value allows no change.
type Writes struct {
	// Folders are the user's writable folders, every symlink resolved. The server sees
	// them read-only; the mediator can write to them.
	Folders []string `json:"folders,omitempty"`
	// Free are the server's own places: private file systems, its state, single files
	// and devices. It may change everything in them.
	Free []string `json:"free,omitempty"`
	// Names are further protected names, in the form of [Protected].
	Names []string `json:"names,omitempty"`
	// Led are the places in the folders to which something outside leads: a protected
	// place of the user's home, or the user's git configuration.
	Led []ProtectedPlace `json:"led,omitempty"`
	// Except are the places that the profile makes writable on purpose. "*" in an
	// element matches any run of characters, "**" any run of elements.
	Except []string `json:"except,omitempty"`
	// Home is the user's home outside. It replaces "~" in git's configuration.
	Home string `json:"home,omitempty"`
	// Sockets are the private file systems in which the server may connect to unix
	// sockets.
	Sockets []string `json:"sockets,omitempty"`
	// Singles are the user's single files that the server may change, but not replace.
	Singles []Single `json:"singles,omitempty"`
}

// ProtectedPlace is a place that the server may not change, with the reason. The zero ProtectedPlace is
// none.
type ProtectedPlace struct {
	Place string `json:"place"`
	Why   string `json:"why"`
}

// Standing says what the server may do to one path.
type Standing int

// The standings. The zero one refuses.
const (
	Elsewhere Standing = iota // in no writable place: the kernel refuses if the mount is read-only, otherwise the mediator does
	Free                      // the server's own
	Changing                  // in a folder of the user's, and not protected
	Kept                      // protected
)

// Known holds the results of the search at the start: places that a protected one leads
// to, repositories without a protected name, virtual environments. They are kept in
// addition to the protected names. The zero value knows no place.
type Known struct {
	places map[string]ProtectedPlace // by the folded path
	sorted []string
	lost   string // why the search was incomplete
}

// Lost marks the search as incomplete, for the given reason. The Judge then keeps
// everything that the profile does not make writable on purpose.
func (k Known) Lost(why string) Known {
	k.lost = why
	return k
}

// NewKnown makes a Known from absolute paths without symlinks.
func NewKnown(found []ProtectedPlace) Known {
	k := Known{places: make(map[string]ProtectedPlace, len(found))}
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

// below returns a known place at or below a path.
func (k Known) below(p string) (ProtectedPlace, bool) {
	f := fold(p)
	if h, ok := k.places[f]; ok {
		return h, true
	}
	i := sort.SearchStrings(k.sorted, f+"/")
	if i < len(k.sorted) && strings.HasPrefix(k.sorted[i], f+"/") {
		return k.places[k.sorted[i]], true
	}
	return ProtectedPlace{}, false
}

// Judge decides about paths, by Writes. Using it does not change it, and several
// goroutines may use it at once.
type Judge struct {
	w     Writes
	names map[string][]name   // by the folded last element; patterns are under ""
	first map[string][]string // the folded first elements of the protected names of several elements, and the rests
	short shorts
}

// name is one protected name, its elements folded.
type name struct {
	text  string
	parts []string
}

// NewJudge prepares a Judge for w.
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

// At returns the standing of an absolute path without symlinks. If that is Kept, At
// also returns the place that the path belongs to.
func (j *Judge) At(p string, k Known) (Standing, ProtectedPlace) {
	root, free := j.root(p)
	switch {
	case root == "":
		return Elsewhere, ProtectedPlace{}
	case free:
		return Free, ProtectedPlace{}
	case k.lost != "" && !j.Freed(p):
		return Kept, ProtectedPlace{Place: root, Why: k.lost}
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
			held, ok = ProtectedPlace{Place: at, Why: "protected: " + n}, true
		}
		switch {
		case !ok:
		case j.excepted(at):
			return Changing, ProtectedPlace{}
		default:
			return Kept, held
		}
	}
	return Changing, ProtectedPlace{}
}

// root returns the innermost writable place that holds a path, and whether it is the
// server's own.
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

// Contains returns a known place at or below a directory; such a directory may not be
// renamed.
func (j *Judge) Contains(dir string, k Known) (ProtectedPlace, bool) {
	h, ok := k.below(dir)
	return h, ok && !j.excepted(h.Place)
}

// Leads reports whether a protected name begins with the last elements of a path, as
// .config/fish begins with .config. A symlink there would lead the protected name
// elsewhere.
func (j *Judge) Leads(p string) bool { return len(j.Rests(p)) > 0 }

// Rests returns the rests of the protected names that begin with the last elements of a
// path, folded: "fish" and others for .config. They may hold patterns.
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

// Freed reports whether the profile makes a path, or a place that holds it, writable on
// purpose. Nothing in such a place is protected.
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

// Might reports whether a base name could be a protected name or its last element. It
// is a cheap filter; At decides.
func (j *Judge) Might(base string) bool {
	f := j.short.long(fold(base))
	if len(j.names[f]) > 0 {
		return true
	}
	return slices.ContainsFunc(j.names[""], func(n name) bool { return wild(n.parts[len(n.parts)-1], f) })
}

// Folder is the user's folder that holds a path; "" if none does.
func (j *Judge) Folder(p string) string {
	root, free := j.root(p)
	if free {
		return ""
	}
	return root
}

// match is the protected name that forms the last elements of a path; "" if none does.
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

// among matches path elements against a pattern's elements.
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

// wild matches one element against a pattern in which "*" matches any run of
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

// fold returns the form in which names are compared. Some file systems fold case (vfat,
// ext4 and f2fs with casefold), ignore invisible characters (HFS+), or ignore the end
// of a name (vfat: dots and spaces). They find .git under .GIT too, and git then runs
// the code in it (CVE-2014-9390). If fold folds more than the file system does, the
// mediator refuses a name that nobody uses.
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

// CompletesRepository reports whether a new name turns its directory into one that git
// treats as a repository, and whose configuration git follows: HEAD with objects and
// refs, or with commondir (gitrepository-layout(5)). has says whether a name exists in
// the directory.
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

// InRepository reports whether [CompletesRepository] may be true for a name. It is a
// cheap filter.
func InRepository(base string) bool {
	return slices.Contains([]string{"head", "objects", "refs", "commondir"}, fold(base))
}

// IsRepository reports whether git treats a directory as a repository, judging by its
// content.
func IsRepository(has func(name string) bool) bool {
	return has("HEAD") && (has("objects") && has("refs") || has("commondir"))
}

// Single is one file that a rule of the profile makes writable. Its mount covers the
// file and not the name. So the server cannot replace the file or create another beside
// it, as an atomic save and a database's journal do; and a file that later takes the
// name outside is a different file.
type Single struct {
	File string `json:"file"` // every symlink resolved
	// Folder is the folder that a rule may name instead; "" if no rule may.
	Folder string `json:"folder,omitempty"`
	At     string `json:"at,omitempty"` // file:line:col of the rule
}
