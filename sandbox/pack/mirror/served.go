package mirror

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/archive"
	"mcpen/sandbox/pack/registry"
)

// Archive is one that a job may fetch.
type Archive struct {
	Name      string   // of the file
	URL       *url.URL // nil: the mirror asks the registry for it
	Integrity string   // the hash that it must have; with "", fetching it is refused
	Path      string   // of the fetched file

	locked pack.Dependency // its entry, if a lock names it: if it is not at URL, or that is nil, the mirror asks the registry for its address
	once   sync.Once
	err    error
	digest digest
	served bool
	source *Archive // the source from which it was built here
}

// Add makes an archive available and gives its local address.
func (m *Mirror) Add(address *url.URL, name, integrity string) (string, error) {
	name = path.Base(name)
	if name == "." || name == "/" || pack.CheckPath(name, 255) != nil {
		return "", fmt.Errorf("cannot use the archive %s: it has no file name", registry.Shown(address))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := address.String() + " " + integrity
	n, ok := m.byURL[key]
	if !ok {
		n = len(m.files)
		m.files = append(m.files, &Archive{URL: address, Name: name, Integrity: integrity})
		m.byURL[key] = n
	}
	return m.localAt(n), nil
}

// localAt is the local address of an archive. The caller holds m.mu.
func (m *Mirror) localAt(n int) string {
	return m.Base() + "file/" + strconv.Itoa(n) + "/" + url.PathEscape(m.files[n].Name)
}

// AddLocked is add for an archive of a lock. It gives an already fetched archive out
// again. If the address is unknown or wrong, it asks the registry.
func (m *Mirror) AddLocked(address *url.URL, name string, d pack.Dependency) (string, error) {
	if address != nil && pack.CheckPath(path.Base(address.Path), 255) != nil {
		return "", fmt.Errorf("cannot use the archive %s: it has no file name", registry.Shown(address))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := slices.IndexFunc(m.files, func(f *Archive) bool { return f.served && f.Integrity == d.Integrity })
	if n >= 0 {
		return m.localAt(n), nil
	}
	n = len(m.files)
	m.files = append(m.files, &Archive{URL: address, Name: name, Integrity: d.Integrity, locked: d})
	return m.localAt(n), nil
}

// Lookup finds an archive by the local address that add gave.
func (m *Mirror) Lookup(local string) (*Archive, error) {
	rest, ok := strings.CutPrefix(local, m.Base()+"file/")
	number, _, _ := strings.Cut(rest, "/")
	n, err := strconv.Atoi(number)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !ok || err != nil || n < 0 || n >= len(m.files) {
		return nil, errors.New("it does not come from the registry")
	}
	return m.files[n], nil
}

// Served gives the archives that a job fetched.
func (m *Mirror) Served() []*Archive {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*Archive
	for _, f := range m.files {
		if f.served {
			out = append(out, f)
		}
	}
	return out
}

// ServedAs returns the archive of that integrity, or the wheel built from it, that a
// job fetched; nil for none.
func (m *Mirror) ServedAs(integrity string) *Archive {
	for _, f := range m.Served() {
		if f.Integrity == integrity || f.source != nil && f.source.Integrity == integrity {
			return f
		}
	}
	return nil
}

func (m *Mirror) serveFile(w http.ResponseWriter, req *http.Request, rest string) {
	local := m.Base() + "file/" + rest
	f, err := m.Lookup(local)
	if err != nil {
		http.NotFound(w, req)
		return
	}
	if m.conf.Ecosystem == pack.PyPI && strings.HasSuffix(rest, ".whl.metadata") {
		m.serveMetadata(w, req, f)
		return
	}
	// The fetch belongs to the mirror, not to the request that happened to be
	// first: another may wait for the same archive.
	f.once.Do(func() { f.err = m.fetch(f) })
	if f.err != nil {
		http.Error(w, "refused", http.StatusBadGateway)
		return
	}
	m.mu.Lock()
	f.served = true
	m.mu.Unlock()
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeFile(w, req, f.Path)
}

// serveMetadata passes on a wheel's metadata file (PEP 658). The tool checks it
// against the hash on the project page, and the wheel has the last word.
func (m *Mirror) serveMetadata(w http.ResponseWriter, req *http.Request, f *Archive) {
	u := *f.URL
	u.Path += ".metadata"
	u.RawPath = ""
	body, _, err := m.conf.Registry.Get(req.Context(), m.client, &u, "", 8<<20)
	if err != nil {
		m.note(err, false)
		http.Error(w, "the registry could not be used", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(body)
}

// fetch downloads one archive as a whole and checks it.
func (m *Mirror) fetch(f *Archive) error {
	m.mu.Lock()
	m.count++
	number := m.count
	m.mu.Unlock()
	if number > m.conf.Limits.Archives {
		err := fmt.Errorf("cannot accept the package: it needs more than %d archives", m.conf.Limits.Archives)
		m.note(err, true)
		return err
	}
	file, err := os.OpenFile(filepath.Join(m.conf.Dir, strconv.Itoa(number)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		m.note(err, false)
		return err
	}
	defer file.Close()
	if f.URL != nil {
		f.digest, err = m.download(f, file)
	}
	if f.locked.Path != "" && (f.URL == nil || errors.Is(err, registry.ErrNotFound)) {
		at, lost := m.Elsewhere(m.ctx, f.locked)
		if lost != nil {
			err = lost
		} else if f.URL == nil || at.String() != f.URL.String() {
			f.URL = at
			f.digest, err = m.download(f, file)
		}
	}
	if errors.Is(err, registry.ErrTorn) && m.ctx.Err() == nil {
		f.digest, err = m.download(f, file) // once more: a long way has many places to break
	}
	if err != nil {
		m.note(err, false)
		return err
	}
	f.Path = file.Name()
	if err := f.digest.check(f.Integrity); err != nil {
		err = fmt.Errorf("cannot accept archive %s: %w", registry.Shown(f.URL), err)
		m.note(err, true)
		return err
	}
	if err := archive.Check(file, f.Name, m.conf.Limits); err != nil {
		m.note(err, true)
		return err
	}
	return nil
}

// download writes one archive into an emptied file.
func (m *Mirror) download(f *Archive, to *os.File) (digest, error) {
	if err := to.Truncate(0); err != nil {
		return digest{}, err
	}
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return digest{}, err
	}
	d := newDigester()
	n, err := m.conf.Registry.Download(m.ctx, m.client, f.URL, m.conf.Limits.Archive, io.MultiWriter(to, d))
	if err != nil {
		return digest{}, err
	}
	m.mu.Lock()
	m.fetched += n
	over := n > m.conf.Limits.Archive || m.fetched > m.conf.Limits.Fetched
	m.mu.Unlock()
	m.told()
	if over {
		return digest{}, fmt.Errorf("cannot fetch %s: more than the limit of %d bytes an archive, %d an install", registry.Shown(f.URL), m.conf.Limits.Archive, m.conf.Limits.Fetched)
	}
	return d.sum(), nil
}

// Locked is the lock's entry of a wheel, or of the source from which it was built.
func (f *Archive) Locked(name, version string) pack.Dependency {
	d := pack.Dependency{Path: name, Version: version, Integrity: f.Integrity, File: f.Name}
	if f.source != nil {
		d.Integrity, d.File, d.Built = f.source.Integrity, f.source.Name, true
	}
	return d
}
