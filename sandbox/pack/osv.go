package pack

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
)

// Advisory is one record in the OSV format (https://ossf.github.io/osv-schema/),
// as far as it matters here.
type Advisory struct {
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
	Severity  string   `json:"severity,omitempty"` // the database's own word, else the CVSS vector
	Malicious bool     `json:"malicious,omitempty"`
	Ecosystem string   `json:"ecosystem"`
	Package   string   `json:"package"`
	Version   string   `json:"version"`
	Path      string   `json:"path"`            // of the dependency in the lock
	Fixed     []string `json:"fixed,omitempty"` // versions with which a fix came
}

// osvName is the ecosystem's name in the OSV format.
func (e Ecosystem) osvName() string {
	switch e {
	case NPM:
		return "npm"
	case PyPI:
		return "PyPI"
	}
	return ""
}

// maxAdvisory bounds one record.
const maxAdvisory = 16 << 20

// FindAdvisories reads an OSV export, which is a directory or a zip file of JSON
// records, and gives what holds for the packages of a lock, sorted, malicious
// packages first. A record that does not read is an error: a database that is
// half read says that all is well.
func FindAdvisories(db string, l Lock) ([]Finding, error) {
	ref, err := l.Ref()
	if err != nil {
		return nil, err
	}
	byName := map[string][]Dependency{}
	for _, d := range l.Dependencies {
		byName[osvKey(ref.Ecosystem, d.PackageName())] = append(byName[osvKey(ref.Ecosystem, d.PackageName())], d)
	}
	var found []Finding
	read := 0
	err = eachAdvisory(db, func(name string, data []byte) error {
		read++
		if !mentions(data, ref.Ecosystem, byName) {
			return nil
		}
		var a Advisory
		if err := json.Unmarshal(data, &a); err != nil {
			return fmt.Errorf("cannot read advisory %q: %w", name, err)
		}
		hits, err := a.match(ref.Ecosystem, byName)
		found = append(found, hits...)
		return err
	})
	if err != nil {
		return nil, err
	}
	if read == 0 {
		return nil, fmt.Errorf("cannot use %q: there is no advisory in it", db)
	}
	sortFindings(found)
	return found, nil
}

func sortFindings(found []Finding) {
	slices.SortFunc(found, func(a, b Finding) int {
		if a.Malicious != b.Malicious {
			return map[bool]int{true: -1, false: 1}[a.Malicious]
		}
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.ID, b.ID))
	})
}

func osvKey(e Ecosystem, name string) string {
	if e == PyPI {
		return normalizePyPI(name)
	}
	return name
}

func eachAdvisory(db string, do func(name string, data []byte) error) error {
	info, err := os.Stat(db)
	if err != nil {
		return fmt.Errorf("cannot open the advisory database: %w", err)
	}
	if info.IsDir() {
		return filepath.WalkDir(db, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(p) != ".json" {
				return err
			}
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			return oneAdvisory(p, f, do)
		})
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
			return fmt.Errorf("cannot read advisory %q: %w", file.Name, err)
		}
		err = oneAdvisory(file.Name, f, do)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func oneAdvisory(name string, r io.Reader, do func(string, []byte) error) error {
	data, err := io.ReadAll(io.LimitReader(r, maxAdvisory+1))
	if err == nil && len(data) > maxAdvisory {
		err = fmt.Errorf("larger than %d bytes", maxAdvisory)
	}
	if err == nil && !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		err = errors.New("no JSON object")
	}
	if err != nil {
		return fmt.Errorf("cannot read advisory %q: %w", name, err)
	}
	return do(name, data)
}

// mentions looks for one of the names without decoding the record: an export has
// some hundred thousand, and almost none is about one of ours. It may say yes
// wrongly, never no: a name that is spelled with an escape counts as a yes.
func mentions(data []byte, e Ecosystem, names map[string][]Dependency) bool {
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
		if strings.Contains(name, `\`) || names[osvKey(e, name)] != nil {
			return true
		}
	}
}

// match gives a finding for each package of the lock that the advisory is about.
func (a Advisory) match(e Ecosystem, names map[string][]Dependency) ([]Finding, error) {
	if a.Withdrawn != "" {
		return nil, nil
	}
	var found []Finding
	seen := map[string]bool{}
	for _, af := range a.Affected {
		if af.Package.Ecosystem != e.osvName() {
			continue
		}
		for _, d := range names[osvKey(e, af.Package.Name)] {
			hit, err := af.holds(e, d.Version)
			if err != nil {
				return nil, fmt.Errorf("cannot use advisory %q: %w", a.ID, err)
			}
			if !hit || seen[d.Path] {
				continue
			}
			seen[d.Path] = true
			found = append(found, Finding{ID: a.ID, Aliases: a.Aliases, Summary: a.title(), Severity: a.severity(), Malicious: a.malicious(),
				Ecosystem: string(e), Package: d.PackageName(), Version: d.Version, Path: d.Path, Fixed: af.fixed()})
		}
	}
	return found, nil
}

// malicious is true for the records of ossf/malicious-packages.
func (a Advisory) malicious() bool {
	return strings.HasPrefix(a.ID, "MAL-") || slices.ContainsFunc(a.Aliases, func(s string) bool { return strings.HasPrefix(s, "MAL-") })
}

func (a Advisory) title() string {
	s := a.Summary
	if s == "" {
		s, _, _ = strings.Cut(strings.TrimSpace(a.Details), "\n")
	}
	s = strings.ReplaceAll(printable(s), "\n", " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}

func (a Advisory) severity() string {
	var db struct {
		Severity string `json:"severity"`
	}
	if json.Unmarshal(a.Database, &db) == nil && db.Severity != "" {
		return strings.ToLower(printable(db.Severity))
	}
	if len(a.Severity) > 0 {
		return printable(a.Severity[0].Score)
	}
	return ""
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
func (af osvAffected) holds(e Ecosystem, version string) (bool, error) {
	if slices.Contains(af.Versions, version) {
		return true, nil
	}
	compare := versionOrder(e)
	if _, err := compare(version, version); err != nil {
		return false, err
	}
	if e == PyPI {
		for _, v := range af.Versions {
			if c, err := compare(version, v); err == nil && c == 0 {
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
		hit, err := r.holds(version, compare)
		if hit || err != nil {
			return hit, err
		}
	}
	return ranges == 0 && len(af.Versions) == 0 && len(af.Ranges) == 0, nil
}
