package mirror

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/archive"
	"mcpen/sandbox/pack/registry"
)

// source is an archive that is built, and the wheel that comes out.
type source struct {
	once  sync.Once
	wheel *Archive
	err   error
}

// builtFor gives the wheel of a project that is built, for its page; nil where none
// is. A build that asks for its own project finds none.
func (m *Mirror) builtFor(doc registry.Project, name string) (*Archive, error) {
	if !slices.Contains(m.conf.Builds, name) {
		return nil, nil
	}
	m.mu.Lock()
	under := m.building[name]
	for _, f := range m.files {
		if w, ok := pack.ParseWheel(f.Name); ok && w.Name == name && f.source != nil {
			m.mu.Unlock()
			return f, nil
		}
	}
	m.mu.Unlock()
	f := m.wantsSource(doc, name)
	if under || f == nil {
		return nil, nil
	}
	from, err := m.Lookup(f.URL)
	if err != nil {
		return nil, err
	}
	// The build belongs to the install, not to the request that happened to be first.
	return m.Built(m.ctx, from, name)
}

// wantsSource gives the newest source distribution of a page that is above every
// wheel that fits, or that of the version that is wanted; nil for none.
func (m *Mirror) wantsSource(doc registry.Project, name string) *registry.IndexFile {
	want := m.want(name)
	var best *registry.IndexFile
	above := ""
	newer := func(v, than string) bool {
		c, err := pack.PyPI.Compare(v, than)
		return than == "" || err == nil && c > 0
	}
	for _, f := range doc.Files {
		if w, ok := pack.ParseWheel(f.Filename); ok && w.Name == name && m.conf.Interpreter.Loads(w) && m.conf.Interpreter.FitsPython(f.RequiresPython) && !m.young(f) && newer(w.Version, above) {
			above = w.Version
		}
	}
	version := above
	for i, f := range doc.Files {
		v, ok := pack.ParseSdist(f.Filename, name)
		parsed, reads := pack.PyPIVersion(v)
		switch {
		case !ok || !reads || !pack.IsSHA256(f.Hashes["sha256"]) || m.young(f):
		case want != "" && !pack.SamePyPIVersion(v, want):
		case want == "" && (f.YankReason() != "" || pack.IsPyPIPreview(parsed) || !m.conf.Interpreter.FitsPython(f.RequiresPython) || !newer(v, version)):
		case want != "" && above != "" && m.hasWheel(doc, name, v):
		default:
			best, version = &doc.Files[i], v
		}
	}
	return best
}

func (m *Mirror) hasWheel(doc registry.Project, name, version string) bool {
	return slices.ContainsFunc(doc.Files, func(f registry.IndexFile) bool {
		w, ok := pack.ParseWheel(f.Filename)
		return ok && w.Name == name && pack.SamePyPIVersion(w.Version, version) && m.conf.Interpreter.Loads(w)
	})
}

// young is true for a file that is withheld for its age.
func (m *Mirror) young(f registry.IndexFile) bool {
	t := registry.Uploaded(f)
	return !m.conf.Before.IsZero() && (t.IsZero() || t.After(m.conf.Before))
}

// Built returns the wheel of a source distribution, and builds it once.
func (m *Mirror) Built(ctx context.Context, from *Archive, name string) (*Archive, error) {
	m.mu.Lock()
	s := m.sources[from.Integrity]
	if s == nil {
		s = &source{}
		m.sources[from.Integrity] = s
	}
	m.building[name] = true
	m.mu.Unlock()
	s.once.Do(func() {
		from.once.Do(func() { from.err = m.fetch(from) })
		if s.err = from.err; s.err != nil {
			return
		}
		if s.wheel, s.err = m.conf.Build(ctx, from, name); s.err != nil {
			m.note(s.err, false)
			return
		}
		s.wheel.source = from
		s.wheel.once.Do(func() {}) // it is here
		m.mu.Lock()
		m.files = append(m.files, s.wheel)
		m.mu.Unlock()
	})
	return s.wheel, s.err
}

// localOf is the address under which a job may fetch an archive.
func (m *Mirror) localOf(f *Archive) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.localAt(slices.Index(m.files, f))
}

// Keep takes over the wheel that was built of a project, after a look at it as at one
// that was fetched.
func (m *Mirror) Keep(project, file string, wheel []byte) (*Archive, error) {
	to, err := os.OpenFile(filepath.Join(m.conf.Dir, "built-"+project), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	d := newDigester()
	if _, err := io.MultiWriter(to, d).Write(wheel); err != nil {
		return nil, err
	}
	if err := archive.Check(to, file, m.conf.Limits); err != nil {
		return nil, &pack.Refusal{Reason: err}
	}
	digest := d.sum()
	return &Archive{Name: file, Path: to.Name(), digest: digest, Integrity: "sha256:" + fmt.Sprintf("%x", digest.sha256)}, nil
}
