// Package advisory compares locks with advisories in the OSV format, from a local
// export or from a service. It returns findings and writes them as text, JSON and
// SARIF. The caller decides about the consequences.
package advisory

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/pack"
)

// record is one record in the OSV format (https://ossf.github.io/osv-schema/),
// as far as it matters here.
type record struct {
	ID        string          `json:"id"`
	Aliases   []string        `json:"aliases"`
	Summary   string          `json:"summary"`
	Details   string          `json:"details"`
	Withdrawn string          `json:"withdrawn"`
	Severity  []osvSeverity   `json:"severity"`
	Affected  []osvAffected   `json:"affected"`
	Database  json.RawMessage `json:"database_specific"`
}

type osvSeverity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type osvAffected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Versions []string   `json:"versions"`
	Ranges   []osvRange `json:"ranges"`
}

type osvRange struct {
	Type   string     `json:"type"`
	Events []osvEvent `json:"events"`
}

type osvEvent struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
	Limit        string `json:"limit"`
}

// Finding is one advisory that holds for one package of a lock.
type Finding struct {
	ID        string   `json:"id"`
	Aliases   []string `json:"aliases,omitempty"`
	Summary   string   `json:"summary"`
	Severity  string   `json:"severity,omitempty"` // low, moderate, high or critical: the database's own word, else that of the score
	Score     float64  `json:"score,omitempty"`    // CVSS, if there is a vector
	Malicious bool     `json:"malicious,omitempty"`
	Ecosystem string   `json:"ecosystem"`
	Package   string   `json:"package"`
	Version   string   `json:"version"`
	Path      string   `json:"path"`            // of the dependency in the lock
	Fixed     []string `json:"fixed,omitempty"` // versions with which a fix came
}

// ecosystemName is the ecosystem's name in the OSV format.
func ecosystemName(e pack.Ecosystem) string {
	switch e {
	case pack.NPM:
		return "npm"
	case pack.PyPI:
		return "PyPI"
	}
	return ""
}

// maxAdvisory bounds one record.
const maxAdvisory = 16 << 20

// Unread are records of an advisory database that could not be used: they say
// nothing about any package, and a scan that met one says nothing either.
type Unread struct {
	Count int
	First []error // a few of them
}

func (u *Unread) add(err error) {
	if u.Count++; len(u.First) < 10 {
		u.First = append(u.First, err)
	}
}

// Export is the address of the export of one registry's advisories, as OSV publishes it
// (https://google.github.io/osv.dev/data/#data-dumps). It is for people: mcpen does not
// fetch it.
func Export(e pack.Ecosystem) string {
	name := map[pack.Ecosystem]string{pack.NPM: "npm", pack.PyPI: "PyPI"}[e]
	return "https://storage.googleapis.com/osv-vulnerabilities/" + name + "/all.zip"
}

// Find reads an OSV export once, which is a directory or a zip file of JSON records. It
// returns the findings for the packages of each lock, sorted, malicious packages first.
// It counts and names a record that it cannot use. Find fails if there is no record, or
// if it cannot open the export.
func Find(db string, locks []pack.Lock) ([][]Finding, Unread, error) {
	wanted := make([]lockNames, len(locks))
	names := map[string]bool{}
	for i, l := range locks {
		var err error
		if wanted[i], err = namesOf(l); err != nil {
			return nil, Unread{}, err
		}
		for name := range wanted[i].byName {
			names[string(wanted[i].ecosystem)+":"+name] = true
		}
	}
	found := make([][]Finding, len(locks))
	var unread Unread
	read := 0
	err := eachAdvisory(db, func(name string, data []byte, err error) {
		var a record
		if read++; err == nil && !mentions(data, names) {
			if !json.Valid(data) {
				err = errors.New("no JSON")
			}
		} else if err == nil {
			if err = json.Unmarshal(data, &a); err == nil {
				for i, w := range wanted {
					hits, bad := a.match(w.ecosystem, w.byName)
					found[i] = append(found[i], hits...)
					err = errors.Join(err, bad)
				}
			}
		}
		if err != nil {
			unread.add(fmt.Errorf("cannot use advisory %q: %w", name, err))
		}
	})
	if err != nil {
		return nil, Unread{}, err
	}
	if read == 0 {
		return nil, Unread{}, fmt.Errorf("cannot use %q: there is no advisory in it", db)
	}
	for _, f := range found {
		sortFindings(f)
	}
	return found, unread, nil
}

// lockNames are the packages of a lock as advisories name them.
type lockNames struct {
	ecosystem pack.Ecosystem
	byName    map[string][]pack.Dependency
}

func namesOf(l pack.Lock) (lockNames, error) {
	ref, err := l.Ref()
	if err != nil {
		return lockNames{}, err
	}
	n := lockNames{ref.Ecosystem, map[string][]pack.Dependency{}}
	for _, d := range l.Dependencies {
		k := ref.Ecosystem.Normalize(d.PackageName())
		n.byName[k] = append(n.byName[k], d)
	}
	return n, nil
}

func sortFindings(found []Finding) {
	slices.SortFunc(found, func(a, b Finding) int {
		if a.Malicious != b.Malicious {
			return map[bool]int{true: -1, false: 1}[a.Malicious]
		}
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.ID, b.ID))
	})
}

// eachAdvisory calls do for every record of an export, with the record's text or with
// the reason why it cannot be read.
func eachAdvisory(db string, do func(name string, data []byte, err error)) error {
	info, err := os.Stat(db)
	if err != nil {
		return fmt.Errorf("cannot open the advisory database: %w", err)
	}
	if info.IsDir() {
		return filepath.WalkDir(db, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(p) != ".json" {
				return err
			}
			data, err := readAdvisory(p)
			do(p, data, err)
			return nil
		})
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("cannot open the advisory database %q: it is neither a directory nor a file", db)
	}
	z, err := zip.OpenReader(db)
	if err != nil {
		return fmt.Errorf("cannot open the advisory database %q: %w", db, err)
	}
	defer z.Close()
	for _, file := range z.File {
		if filepath.Ext(file.Name) != ".json" {
			continue
		}
		f, err := file.Open()
		if err != nil {
			do(file.Name, nil, err)
			continue
		}
		data, err := oneAdvisory(f)
		f.Close()
		do(file.Name, data, err)
	}
	return nil
}

// readAdvisory reads a record that is a file, and waits for nobody.
func readAdvisory(p string) ([]byte, error) {
	f, err := os.OpenFile(p, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("it is no file"))
	}
	return oneAdvisory(f)
}

func oneAdvisory(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxAdvisory+1))
	if err == nil && len(data) > maxAdvisory {
		err = fmt.Errorf("larger than %d bytes", maxAdvisory)
	}
	if err == nil && !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		err = errors.New("no JSON object")
	}
	return data, err
}

// mentions looks for one of the names without decoding the record: an export has
// some hundred thousand, and almost none is about one of ours. It may say yes
// wrongly, never no: a name that is spelled with an escape counts as a yes.
func mentions(data []byte, names map[string]bool) bool {
	for {
		i := bytes.Index(data, []byte(`"name"`))
		if i < 0 {
			return false
		}
		data = bytes.TrimLeft(data[i+len(`"name"`):], " \t\r\n:")
		if len(data) == 0 || data[0] != '"' {
			continue
		}
		end := bytes.IndexByte(data[1:], '"')
		if end < 0 {
			return true
		}
		name := string(data[1 : 1+end])
		if strings.Contains(name, `\`) || names["npm:"+name] || names["pypi:"+pack.PyPI.Normalize(name)] {
			return true
		}
	}
}

// match gives a finding for each package of the lock that the advisory is about.
func (a record) match(e pack.Ecosystem, names map[string][]pack.Dependency) ([]Finding, error) {
	if a.Withdrawn != "" {
		return nil, nil
	}
	var found []Finding
	seen := map[string]bool{}
	for _, af := range a.Affected {
		if af.Package.Ecosystem != ecosystemName(e) {
			continue
		}
		for _, d := range names[e.Normalize(af.Package.Name)] {
			hit, err := af.holds(e, d.Version)
			if err != nil {
				return found, fmt.Errorf("%q: %w", a.ID, err)
			}
			if !hit || seen[d.Path] {
				continue
			}
			seen[d.Path] = true
			severity, score := a.severity()
			found = append(found, Finding{ID: a.ID, Aliases: a.Aliases, Summary: a.title(), Severity: severity, Score: score, Malicious: a.malicious(),
				Ecosystem: string(e), Package: d.PackageName(), Version: d.Version, Path: d.Path, Fixed: af.fixed()})
		}
	}
	return found, nil
}

// malicious is true for the records of ossf/malicious-packages.
func (a record) malicious() bool {
	return strings.HasPrefix(a.ID, "MAL-") || slices.ContainsFunc(a.Aliases, func(s string) bool { return strings.HasPrefix(s, "MAL-") })
}

func (a record) title() string {
	s := a.Summary
	if s == "" {
		s, _, _ = strings.Cut(strings.TrimSpace(a.Details), "\n")
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}

// severity is the database's own word, or else that of the highest score, and the
// score.
func (a record) severity() (word string, score float64) {
	for _, s := range a.Severity {
		score = max(score, cvssScore(s.Score))
	}
	var db struct {
		Severity string `json:"severity"`
	}
	_ = json.Unmarshal(a.Database, &db) // a word that does not read is none
	switch word = strings.ToLower(db.Severity); word {
	case "medium":
		return "moderate", score
	case "low", "moderate", "high", "critical":
		return word, score
	}
	switch {
	case score >= 9:
		return "critical", score
	case score >= 7:
		return "high", score
	case score >= 4:
		return "moderate", score
	case score > 0:
		return "low", score
	}
	return "", 0
}

// cvssScore is the base score of a vector; 0 for one that does not read.
func cvssScore(vector string) float64 {
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		if v, err := gocvss40.ParseVector(vector); err == nil {
			return v.Score()
		}
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		if v, err := gocvss31.ParseVector(vector); err == nil {
			return v.BaseScore()
		}
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		if v, err := gocvss30.ParseVector(vector); err == nil {
			return v.BaseScore()
		}
	default:
		if v, err := gocvss20.ParseVector(vector); err == nil {
			return v.BaseScore()
		}
	}
	return 0
}

// fixed lists the versions in which a fix came.
func (af osvAffected) fixed() []string {
	var out []string
	for _, r := range af.Ranges {
		for _, ev := range r.Events {
			if ev.Fixed != "" && r.Type != "GIT" && !slices.Contains(out, ev.Fixed) {
				out = append(out, ev.Fixed)
			}
		}
	}
	return out
}

// holds evaluates the versions and ranges as the OSV schema describes. An entry
// without either is about every version.
func (af osvAffected) holds(e pack.Ecosystem, version string) (bool, error) {
	if slices.Contains(af.Versions, version) {
		return true, nil
	}
	if _, err := e.Compare(version, version); err != nil {
		return false, err
	}
	if e == pack.PyPI {
		for _, v := range af.Versions {
			if c, err := e.Compare(version, v); err == nil && c == 0 {
				return true, nil
			}
		}
	}
	ranges := 0
	for _, r := range af.Ranges {
		if r.Type != "SEMVER" && r.Type != "ECOSYSTEM" {
			continue // GIT ranges name commits
		}
		ranges++
		hit, err := r.holds(version, e)
		if hit || err != nil {
			return hit, err
		}
	}
	return ranges == 0 && len(af.Versions) == 0 && len(af.Ranges) == 0, nil
}
