package pack

import (
	"context"
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
)

// proxied is an archive that a job may fetch.
type proxied struct {
	url       *url.URL
	name      string     // file name
	integrity string     // what it must hash to; "" is refused when it is fetched
	locked    Dependency // where a lock names it: the registry is asked where it is if it is not at url, or that is nil

	once   sync.Once
	err    error
	path   string
	digest digest
	served bool
	source *proxied // what it was built from, here
}

// add makes an archive available and gives its local address.
func (p *proxy) add(address *url.URL, name, integrity string) (string, error) {
	name = path.Base(name)
	if name == "." || name == "/" || checkPath(name, 255) != nil {
		return "", fmt.Errorf("cannot use the archive %s: it has no file name", shown(address))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := address.String() + " " + integrity
	n, ok := p.byURL[key]
	if !ok {
		n = len(p.files)
		p.files = append(p.files, &proxied{url: address, name: name, integrity: integrity})
		p.byURL[key] = n
	}
	return p.localAt(n), nil
}

// localAt is the local address of an archive. p.mu is held.
func (p *proxy) localAt(n int) string {
	return p.base() + "file/" + strconv.Itoa(n) + "/" + url.PathEscape(p.files[n].name)
}

// addLocked is add for an archive of a lock. One that was fetched already is given
// out again. Where its address is not known or does not hold, the registry is asked.
func (p *proxy) addLocked(address *url.URL, name string, d Dependency) (string, error) {
	if address != nil && checkPath(path.Base(address.Path), 255) != nil {
		return "", fmt.Errorf("cannot use the archive %s: it has no file name", shown(address))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := slices.IndexFunc(p.files, func(f *proxied) bool { return f.served && f.integrity == d.Integrity })
	if n >= 0 {
		return p.localAt(n), nil
	}
	n = len(p.files)
	p.files = append(p.files, &proxied{url: address, name: name, integrity: d.Integrity, locked: d})
	return p.localAt(n), nil
}

// lookup finds an archive by the local address that add gave.
func (p *proxy) lookup(local string) (*proxied, error) {
	rest, ok := strings.CutPrefix(local, p.base()+"file/")
	number, _, _ := strings.Cut(rest, "/")
	n, err := strconv.Atoi(number)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !ok || err != nil || n < 0 || n >= len(p.files) {
		return nil, errors.New("it does not come from the registry")
	}
	return p.files[n], nil
}

// served gives the archives that a job fetched.
func (p *proxy) served() []*proxied {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*proxied
	for _, f := range p.files {
		if f.served {
			out = append(out, f)
		}
	}
	return out
}

// servedAs is the archive of that integrity, or what was built from it, that a job
// fetched; nil for none.
func (p *proxy) servedAs(integrity string) *proxied {
	for _, f := range p.served() {
		if f.integrity == integrity || f.source != nil && f.source.integrity == integrity {
			return f
		}
	}
	return nil
}

func (p *proxy) serveFile(w http.ResponseWriter, req *http.Request, rest string) {
	local := p.base() + "file/" + rest
	f, err := p.lookup(local)
	if err != nil {
		http.NotFound(w, req)
		return
	}
	if p.kind == PyPI && strings.HasSuffix(rest, ".whl.metadata") {
		p.serveMetadata(w, req, f)
		return
	}
	// The fetch belongs to the proxy, not to the request that happened to be
	// first: another may wait for the same archive.
	f.once.Do(func() { f.err = p.fetch(f) })
	if f.err != nil {
		http.Error(w, "refused", http.StatusBadGateway)
		return
	}
	p.mu.Lock()
	f.served = true
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeFile(w, req, f.path)
}

// serveMetadata passes on a wheel's metadata file (PEP 658). The tool checks it
// against the hash on the project page, and the wheel has the last word.
func (p *proxy) serveMetadata(w http.ResponseWriter, req *http.Request, f *proxied) {
	u := *f.url
	u.Path += ".metadata"
	u.RawPath = ""
	body, _, err := p.reg.get(req.Context(), p.client, &u, "", 8<<20)
	if err != nil {
		p.note(err, false)
		http.Error(w, "the registry could not be used", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(body)
}

// fetch downloads one archive as a whole and checks it.
func (p *proxy) fetch(f *proxied) error {
	p.mu.Lock()
	p.count++
	number := p.count
	p.mu.Unlock()
	if number > p.lim.Archives {
		err := fmt.Errorf("cannot accept the package: it needs more than %d archives", p.lim.Archives)
		p.note(err, true)
		return err
	}
	file, err := os.OpenFile(filepath.Join(p.dir, strconv.Itoa(number)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		p.note(err, false)
		return err
	}
	defer file.Close()
	if f.url != nil {
		f.digest, err = p.download(f, file)
	}
	if f.locked.Path != "" && (f.url == nil || errors.Is(err, errNotFound)) {
		at, lost := p.elsewhere(p.ctx, f.locked)
		if lost != nil {
			err = lost
		} else if f.url == nil || at.String() != f.url.String() {
			f.url = at
			f.digest, err = p.download(f, file)
		}
	}
	if errors.Is(err, errTorn) && p.ctx.Err() == nil {
		f.digest, err = p.download(f, file) // once more: a long way has many places to break
	}
	if err != nil {
		p.note(err, false)
		return err
	}
	f.path = file.Name()
	if err := f.digest.check(f.integrity); err != nil {
		err = fmt.Errorf("cannot accept archive %s: %w", shown(f.url), err)
		p.note(err, true)
		return err
	}
	if err := checkArchive(file, f.name, p.lim); err != nil {
		p.note(err, true)
		return err
	}
	return nil
}

// errTorn is an archive that did not come to its end.
var errTorn = errors.New("the transfer broke off")

// download writes one archive into an emptied file.
func (p *proxy) download(f *proxied, to *os.File) (digest, error) {
	if err := to.Truncate(0); err != nil {
		return digest{}, err
	}
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return digest{}, err
	}
	ctx, end := context.WithTimeout(p.ctx, p.reg.whole(wholeArchive))
	defer end()
	res, cancel, err := p.reg.open(ctx, p.client, f.url, "")
	if err != nil {
		return digest{}, p.reg.late(ctx, err)
	}
	defer cancel()
	defer res.Body.Close()
	d := newDigester()
	body := io.LimitReader(&paceReader{r: res.Body, wait: p.reg.timeout(), cancel: cancel}, p.lim.Archive+1)
	n, err := io.Copy(io.MultiWriter(to, d), body)
	if slow := (*slowError)(nil); errors.As(err, &slow) {
		return digest{}, fmt.Errorf("cannot fetch %s: %w", shown(f.url), slow)
	}
	if err != nil {
		return digest{}, p.reg.late(ctx, fmt.Errorf("cannot fetch %s: %w: %w", shown(f.url), errTorn, cause(err)))
	}
	p.mu.Lock()
	p.fetched += n
	over := n > p.lim.Archive || p.fetched > p.lim.Fetched
	p.mu.Unlock()
	p.told()
	if over {
		return digest{}, fmt.Errorf("cannot fetch %s: more than the limit of %d bytes an archive, %d an install", shown(f.url), p.lim.Archive, p.lim.Fetched)
	}
	return d.sum(), nil
}
