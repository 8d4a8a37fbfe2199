package pack

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"mcpen/sandbox/internal/lazy"
	"mcpen/sandbox/lockfile"
)

// LockVersion is the version of the lock file's form. The first form lacks entry
// points, publishers and bundled packages. mcpen reads it and keeps it as it is until
// it locks the package anew.
const LockVersion = 2

// Lock is the choice for one package, to keep beside the profile and to review. It
// holds everything that a later install needs, so that a run with a lock asks no
// registry for a version.
type Lock struct {
	Form      int    `toml:"lock"`    // LockVersion
	Package   string `toml:"package"` // "npm:NAME" or "pypi:NAME[EXTRAS]"
	Version   string `toml:"version"`
	Bin       string `toml:"bin,omitempty"` // the entry point, if it is not the package's own choice
	Registry  string `toml:"registry"`      // its source; says nothing about where to fetch it again
	Integrity string `toml:"integrity"`     // of the package's own archive
	License   string `toml:"license,omitempty"`
	Publisher string `toml:"publisher,omitempty"` // its uploader, as the registry says
	// Deprecated is the registry's warning against the version at the time of the lock.
	Deprecated string `toml:"deprecated,omitempty"`
	// Tag is the requested npm dist-tag, if it is not "latest".
	Tag       string    `toml:"tag,omitempty"`
	Published time.Time `toml:"published,omitempty"`
	Locked    time.Time `toml:"locked"`
	With      string    `toml:"with,omitempty"` // the tool that installed it
	// Platform limits the lock to one kind of machine; "" for none.
	Platform string   `toml:"platform,omitempty"`
	Scripts  []string `toml:"scripts,omitempty"` // packages whose lifecycle scripts ran
	Files    int      `toml:"files"`
	Bytes    int64    `toml:"bytes"`

	// Trees are the hashes of the installed tree by platform. A platform that is
	// not there yet is added when the lock is first used on it.
	Trees map[string]string `toml:"tree"`
	// Entry are the package's programs by name: the file within the package, and
	// for PyPI the function.
	Entry        map[string]string `toml:"entry,omitempty"`
	Dependencies []Dependency      `toml:"dependency"` // by path; the package itself is one

	// Digest is the hash of the text that the lock was read from, without the pins;
	// "" for one that was not read.
	Digest string `toml:"-"`
	// Pins is the part of the file that belongs to the guard: its text, kept as
	// it is, from the line with the first [pins…] header to the end.
	Pins string `toml:"-"`
}

// Dependency is one installed package.
type Dependency struct {
	// Path is where npm puts it ("node_modules/a/node_modules/b"); for PyPI the
	// normalized name.
	Path      string `toml:"path"`
	Name      string `toml:"name,omitempty"` // if it is not the end of Path
	Version   string `toml:"version"`
	Integrity string `toml:"integrity,omitempty"`
	Publisher string `toml:"publisher,omitempty"`
	// Bundled: it comes inside the archive of the package around it, and has no
	// archive of its own.
	Bundled bool `toml:"bundled,omitempty"`
	// From is the archive's address relative to the registry; npm, if it is not the
	// usual one.
	From string `toml:"from,omitempty"`
	File string `toml:"file,omitempty"` // PyPI: the wheel
	// Wheels are the other wheels of the version, as "FILE sha256:HEX": with another
	// Python or on another machine one of them is installed.
	Wheels []string `toml:"wheels,omitempty"`
	// Built: File is a source distribution, and the installed files were built from it.
	Built    bool     `toml:"built,omitempty"`
	Optional bool     `toml:"optional,omitempty"` // npm: left out if it does not fit
	OS       []string `toml:"os,omitempty"`
	CPU      []string `toml:"cpu,omitempty"`
	Libc     []string `toml:"libc,omitempty"`
	Scripts  bool     `toml:"install-scripts,omitempty"` // it has lifecycle scripts, whether or not they ran
}

// Ref is the locked package with its version.
func (l Lock) Ref() (Ref, error) {
	r, err := ParseRef(l.Package)
	if err != nil {
		return Ref{}, err
	}
	if r.Version != "" || r.Tag != "" {
		return Ref{}, fmt.Errorf("cannot read lock: %q names a version", l.Package)
	}
	full := Ref{Ecosystem: r.Ecosystem, Name: r.Name, Extras: r.Extras, Version: l.Version, Bin: l.Bin}
	if again, err := ParseRef(full.String()); err != nil || again.Version != l.Version {
		return Ref{}, fmt.Errorf("cannot read lock: %q is not one exact version", l.Version)
	}
	return full, nil
}

// Others are the dependency with each of its other wheels.
func (d Dependency) Others() []Dependency {
	var out []Dependency
	for _, s := range d.Wheels {
		o := d
		o.Wheels = nil
		o.File, o.Integrity, _ = strings.Cut(s, " ")
		out = append(out, o)
	}
	return out
}

// PackageName is the name of a dependency in its registry.
func (d Dependency) PackageName() string {
	if d.Name != "" {
		return d.Name
	}
	if i := strings.LastIndex(d.Path, "node_modules/"); i >= 0 {
		return d.Path[i+len("node_modules/"):]
	}
	return d.Path
}

// ParseLock reads a lock file. A key that is not known, or a part of the package
// behind the guard's, is an error.
func ParseLock(data []byte) (Lock, error) {
	head, pins := lockfile.Split(data)
	var l Lock
	meta, err := toml.Decode(string(head), &l)
	if err != nil {
		return Lock{}, fmt.Errorf("cannot read lock: %w", err)
	}
	if extra := meta.Undecoded(); len(extra) > 0 {
		return Lock{}, fmt.Errorf("cannot read lock: unknown key %q", extra[0])
	}
	var rest map[string]any
	if _, err := toml.Decode(string(pins), &rest); err != nil {
		return Lock{}, fmt.Errorf("cannot read the pins of the lock: %w", err)
	}
	for key := range rest {
		if key != "pins" {
			return Lock{}, fmt.Errorf("cannot read lock: [%s] stands behind [pins], which comes last", key)
		}
	}
	l.Pins = string(pins)
	l.Digest = Hash(bytes.TrimRight(head, "\n"))
	return l, l.Check()
}

// Check refuses a lock that no install of mcpen writes: locks come from other people.
func (l Lock) Check() error {
	if l.Form < 1 || l.Form > LockVersion {
		return fmt.Errorf("cannot read lock: its form is %d, and this mcpen reads 1 to %d", l.Form, LockVersion)
	}
	ref, err := l.Ref()
	if err != nil {
		return err
	}
	for platform, tree := range l.Trees {
		if !IsHash(tree) {
			return fmt.Errorf("cannot read lock: tree.%s is no hash of a tree", platform)
		}
	}
	seen := map[string]bool{}
	own := false
	for _, d := range l.Dependencies {
		if seen[d.Path] {
			return fmt.Errorf("cannot read lock: %q is there twice", d.Path)
		}
		seen[d.Path] = true
		if err := d.Check(ref.Ecosystem); err != nil {
			return fmt.Errorf("cannot read lock: dependency %q: %w", d.Path, err)
		}
		if d.PackageName() == ref.Name && d.Version == ref.Version && d.Integrity == l.Integrity {
			own = true
		}
	}
	if !own {
		return fmt.Errorf("cannot read lock: no dependency is %s itself with its integrity", ref)
	}
	for _, s := range l.Scripts {
		if CheckNPMDependency(s) != nil {
			return fmt.Errorf("cannot read lock: scripts: %q is no package", s)
		}
	}
	return nil
}

var sriPattern = lazy.Pattern(`^(sha512-[A-Za-z0-9+/]{86}==|sha384-[A-Za-z0-9+/]{64}|sha256-[A-Za-z0-9+/]{43}=)$`)

func (d Dependency) Check(e Ecosystem) error {
	if e == PyPI {
		w, ok := ParseWheel(d.File)
		if d.Built {
			w.Version, ok = ParseSdist(d.File, d.Path)
			w.Name = d.Path
		}
		switch {
		case d.Bundled || d.From != "":
			return fmt.Errorf("a wheel bundles nothing, and has the index's address")
		case NormalizePyPI(d.Path) != d.Path || !IsPyPIName(d.Path) || d.Name != "":
			return fmt.Errorf("not a normalized name")
		case !ExactPEP440(d.Version):
			return fmt.Errorf("%q is not one exact version", d.Version)
		case !strings.HasPrefix(d.Integrity, "sha256:") || !IsSHA256(d.Integrity[7:]):
			return fmt.Errorf("%q is no SHA-256", d.Integrity)
		case !ok || w.Name != d.Path || !SamePyPIVersion(w.Version, d.Version):
			return fmt.Errorf("%q is not an archive of it", d.File)
		case d.Built && len(d.Wheels) > 0:
			return fmt.Errorf("it is built, and has wheels")
		}
		for _, o := range d.Others() {
			w, ok := ParseWheel(o.File)
			if !ok || w.Name != d.Path || !SamePyPIVersion(w.Version, d.Version) || !strings.HasPrefix(o.Integrity, "sha256:") || !IsSHA256(o.Integrity[7:]) {
				return fmt.Errorf("%q is not another wheel of it with its SHA-256", o.File+" "+o.Integrity)
			}
		}
		return nil
	}
	if len(d.Wheels) > 0 || d.Built {
		return fmt.Errorf("an npm package has no wheels and is not built")
	}
	if err := checkNodePath(d.Path); err != nil {
		return err
	}
	if err := CheckNPMDependency(d.PackageName()); err != nil {
		return err
	}
	if err := CheckFrom(d.From, d.PackageName(), d.Version); err != nil {
		return err
	}
	if !ExactSemver(d.Version) && !ExactSemver(strings.SplitN(d.Version, "+", 2)[0]) {
		return fmt.Errorf("%q is not one exact version", d.Version)
	}
	switch {
	case d.Bundled && (d.Integrity != "" || d.From != "" || d.Optional):
		return fmt.Errorf("it is bundled and has an archive of its own")
	case d.Bundled:
		return nil
	}
	if !sriPattern().MatchString(d.Integrity) {
		return fmt.Errorf("%q is no SHA-2 integrity", d.Integrity)
	}
	return nil
}

// CheckFrom refuses an address within the registry that no archive of that package can
// have: a lock from a repository must not choose the request.
func CheckFrom(from, name, version string) error {
	if from == "" {
		return nil
	}
	_, base := SplitScope(name)
	steps := strings.Split(strings.TrimPrefix(from, "/"), "/")
	last := steps[len(steps)-1]
	switch {
	case strings.ContainsAny(from, "?#%\\:") || strings.HasPrefix(from, "//") || CheckPath(from, 1024) != nil || path.Clean(from) != from || slices.Contains(steps, ".."):
		return Refuse("from: %q is no plain address within the registry", from)
	case !slices.Contains(steps, base) && !strings.HasPrefix(last, base):
		return Refuse("from: %q is not an archive of %s", from, name)
	case !strings.HasSuffix(last, ".tgz") && !strings.HasSuffix(last, ".tar.gz") && !slices.Contains(steps, version):
		return Refuse("from: %q is no archive", from)
	}
	return nil
}

// checkNodePath holds a place in a tree to node_modules/NAME, repeated.
func checkNodePath(p string) error {
	if path.Clean(p) != p || !strings.HasPrefix(p, "node_modules/") {
		return fmt.Errorf("not a place below node_modules")
	}
	for _, name := range strings.Split(p[len("node_modules/"):], "/node_modules/") {
		if err := CheckNPMDependency(name); err != nil {
			return err
		}
	}
	return nil
}

const lockHead = `# Written by mcpen. Review it like code: it says which package runs, and what
# its tools were when somebody approved them.

`

// Encode is the lock as it is written to a file, in a stable order.
func (l Lock) Encode() ([]byte, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	l.Dependencies = slices.Clone(l.Dependencies)
	slices.SortFunc(l.Dependencies, func(a, b Dependency) int { return strings.Compare(a.Path, b.Path) })
	l.Published, l.Locked = l.Published.UTC().Truncate(time.Second), l.Locked.UTC().Truncate(time.Second)
	var b bytes.Buffer
	b.WriteString(lockHead)
	enc := toml.NewEncoder(&b)
	enc.Indent = ""
	if err := enc.Encode(l); err != nil {
		return nil, fmt.Errorf("cannot write lock: %w", err)
	}
	return lockfile.Join(b.Bytes(), []byte(l.Pins)), nil
}
