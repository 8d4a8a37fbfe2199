package pack

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"mcpen/sandbox/policy"
)

// proxy is the registry as an install job sees it: plain http on one loopback
// port, below a path that nobody can guess. It asks the real registry with the
// user's credentials, and only it: the addresses of archives are rewritten to
// its own, and a job can fetch no other. It withholds versions that are too
// young, and gives out an archive only once it was fetched as a whole, has the
// hash that the metadata or the lock names, and holds nothing hostile.
type proxy struct {
	reg    Registry
	kind   Ecosystem
	lim    Limits
	before time.Time // versions published later are withheld; zero: none are
	dir    string    // fetched archives; no job sees it

	client *http.Client
	listen net.Listener
	server *http.Server
	secret string
	ctx    context.Context
	stop   context.CancelFunc
	busy   sync.WaitGroup

	mu       sync.Mutex
	files    []*proxied
	byURL    map[string]int
	withheld map[string][]string // by package
	refused  error               // the first archive or page that was refused
	failed   error               // the first thing that could not be had
	missing  error               // the first name that the registry does not know; it may be optional
	fetched  int64
	count    int
}

// proxied is an archive that a job may fetch.
type proxied struct {
	url       *url.URL
	name      string // file name
	integrity string // what it must hash to; "" is refused when it is fetched

	once   sync.Once
	err    error
	path   string
	digest digest
	served bool
}

// startProxy listens on a free port of the loopback. The caller closes it.
func startProxy(kind Ecosystem, reg Registry, lim Limits, before time.Time, dir string) (*proxy, error) {
	client, err := reg.client()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make a directory for archives: %w", err)
	}
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	listen, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the install job: %w", err)
	}
	p := &proxy{reg: reg, kind: kind, lim: lim.filled(), before: before, dir: dir, client: client, listen: listen,
		secret: hex.EncodeToString(random), byURL: map[string]int{}, withheld: map[string][]string{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.server = &http.Server{ReadHeaderTimeout: 30 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		p.busy.Add(1)
		defer p.busy.Done()
		p.serve(w, req)
	})}
	p.busy.Go(func() { p.server.Serve(listen) })
	return p, nil
}

// close ends all requests and waits for their end.
func (p *proxy) close() {
	p.stop()
	p.server.Close()
	p.busy.Wait()
	p.client.CloseIdleConnections()
}

// base is the address that is given to the tool, with a slash at its end.
func (p *proxy) base() string {
	return fmt.Sprintf("http://%s/%s/", p.listen.Addr(), p.secret)
}

// hosts is what a job must be let to.
func (p *proxy) hosts() []policy.Host {
	port := uint16(p.listen.Addr().(*net.TCPAddr).Port)
	return []policy.Host{{Kind: policy.HostLocal, Name: "localhost", First: port, Last: port}}
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
	return p.base() + "file/" + strconv.Itoa(n) + "/" + url.PathEscape(name), nil
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

// verdict is the error of an install whose tool ended with toolErr: what was
// refused comes first, whatever the tool made of it.
func (p *proxy) verdict(toolErr error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.refused != nil:
		return p.refused
	case toolErr != nil && p.failed != nil:
		return p.failed
	case toolErr != nil && p.missing != nil:
		return fmt.Errorf("%w (%w)", toolErr, p.missing)
	}
	return toolErr
}

// note remembers the first error of its kind.
func (p *proxy) note(err error, refused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := &p.failed
	switch {
	case refused:
		to = &p.refused
	case errors.Is(err, errNotFound):
		to = &p.missing
	case errors.Is(err, context.Canceled):
		return
	}
	if *to == nil {
		*to = err
	}
}

func (p *proxy) serve(w http.ResponseWriter, req *http.Request) {
	rest, ok := strings.CutPrefix(req.URL.Path, "/"+p.secret+"/")
	if !ok || req.Method != http.MethodGet && req.Method != http.MethodHead {
		http.NotFound(w, req)
		return
	}
	if n, found := strings.CutPrefix(rest, "file/"); found {
		p.serveFile(w, req, n)
		return
	}
	name := strings.Trim(rest, "/")
	var body []byte
	var err error
	kind := "application/json"
	switch {
	case p.kind == NPM && checkNPMDependency(name) == nil:
		body, err = p.packument(req.Context(), name)
	case p.kind == PyPI && pyName.MatchString(name):
		body, err = p.project(req.Context(), normalizePyPI(name))
		kind = simpleJSON
	default:
		http.NotFound(w, req)
		return
	}
	if errors.Is(err, errNotFound) {
		p.note(err, false)
		http.NotFound(w, req)
		return
	}
	if err != nil {
		p.note(err, false)
		http.Error(w, "the registry could not be used", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Write(body)
}

// packument fetches a package's document, withholds what is too young and
// points the rest at this proxy.
func (p *proxy) packument(ctx context.Context, name string) ([]byte, error) {
	doc, body, err := fetchPackument(ctx, p.reg, p.client, name)
	if err != nil {
		return nil, err
	}
	base, err := p.reg.base(name)
	if err != nil {
		return nil, err
	}
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, err
	}
	versions := map[string]json.RawMessage{}
	for v, raw := range doc.Versions {
		if t := npmTime(doc, v); !p.before.IsZero() && (t.IsZero() || t.After(p.before)) {
			p.withhold(name, v)
			continue
		}
		// A version that cannot be fetched from this registry does not exist here;
		// others of the package may well be usable.
		local, err := p.localVersion(base, name, raw)
		if err != nil {
			p.withhold(name, v)
			p.note(fmt.Errorf("cannot use version %q of npm:%s: %w", v, name, err), false)
			continue
		}
		versions[v] = local
	}
	tags := map[string]string{}
	for tag, v := range doc.Tags {
		if versions[v] != nil {
			tags[tag] = v
		}
	}
	for key, value := range map[string]any{"versions": versions, "dist-tags": tags} {
		if whole[key], err = json.Marshal(value); err != nil {
			return nil, err
		}
	}
	return json.Marshal(whole)
}

// localVersion rewrites dist.tarball of one version.
func (p *proxy) localVersion(base *url.URL, name string, raw json.RawMessage) (json.RawMessage, error) {
	var v map[string]json.RawMessage
	var dist map[string]json.RawMessage
	var d npmDist
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(v["dist"], &dist); err != nil {
		return nil, fmt.Errorf("no dist: %w", err)
	}
	if err := json.Unmarshal(v["dist"], &d); err != nil {
		return nil, err
	}
	at, err := tarballURL(p.reg, base, name, d.Tarball)
	if err != nil {
		return nil, err
	}
	local, err := p.add(at, at.Path, d.integrity())
	if err != nil {
		return nil, err
	}
	if dist["tarball"], err = json.Marshal(local); err != nil {
		return nil, err
	}
	if v["dist"], err = json.Marshal(dist); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// tarballURL is where a tarball is fetched from: the registry itself. Mirrors
// often leave the address of the registry they mirror in their documents; the
// usual path is then looked up at the mirror.
func tarballURL(reg Registry, base *url.URL, name, tarball string) (*url.URL, error) {
	u, err := base.Parse(tarball)
	if err != nil || tarball == "" {
		return nil, fmt.Errorf("%q is no address of a tarball", tarball)
	}
	u.User = nil
	if strings.EqualFold(u.Host, base.Host) {
		u.Scheme = base.Scheme
		return u, nil
	}
	if reg.ours(u) {
		return u, nil
	}
	if i := strings.Index(u.Path, "/"+name+"/-/"); i >= 0 && !strings.Contains(u.Path, "..") {
		return base.JoinPath(u.Path[i+1:]), nil
	}
	return nil, fmt.Errorf("its tarball is on another host, %q", u.Host)
}

func (p *proxy) withhold(name, version string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.withheld[name] = append(p.withheld[name], version)
}

// project fetches a project's page and keeps the wheels that are old enough.
func (p *proxy) project(ctx context.Context, name string) ([]byte, error) {
	doc, page, err := fetchProject(ctx, p.reg, p.client, name)
	if err != nil {
		return nil, err
	}
	out := struct {
		Meta  map[string]string `json:"meta"`
		Name  string            `json:"name"`
		Files []indexFile       `json:"files"`
	}{map[string]string{"api-version": "1.0"}, doc.Name, []indexFile{}}
	for _, f := range doc.Files {
		w, ok := parseWheel(f.Filename)
		if !ok || w.name != name || !sha256Hex.MatchString(f.Hashes["sha256"]) {
			continue
		}
		if t := uploaded(f); !p.before.IsZero() && (t.IsZero() || t.After(p.before)) {
			p.withhold(name, w.version)
			continue
		}
		u, err := p.reg.file(page, f.URL)
		if err != nil {
			return nil, fmt.Errorf("cannot use %q of pypi:%s: %w", f.Filename, name, err)
		}
		if f.URL, err = p.add(u, f.Filename, "sha256:"+f.Hashes["sha256"]); err != nil {
			return nil, err
		}
		f.Hashes = map[string]string{"sha256": f.Hashes["sha256"]}
		out.Files = append(out.Files, f)
	}
	if len(out.Files) == 0 && len(p.withheld[name]) == 0 && len(doc.Files) > 0 {
		p.note(fmt.Errorf("cannot install pypi:%s: the index has no wheel of it, and building from source would run its code", name), false)
	}
	return json.Marshal(out)
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
	f.digest, err = p.download(f, file)
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
	res, cancel, err := p.reg.open(p.ctx, p.client, f.url, "")
	if err != nil {
		return digest{}, err
	}
	defer cancel()
	defer res.Body.Close()
	d := newDigester()
	body := io.LimitReader(&stallReader{res.Body, p.reg.timeout(), cancel}, p.lim.Archive+1)
	n, err := io.Copy(io.MultiWriter(to, d), body)
	if err != nil {
		return digest{}, fmt.Errorf("cannot fetch %s: %w: %w", shown(f.url), errTorn, cause(err))
	}
	p.mu.Lock()
	p.fetched += n
	over := n > p.lim.Archive || p.fetched > p.lim.Fetched
	p.mu.Unlock()
	if over {
		return digest{}, fmt.Errorf("cannot fetch %s: more than the limit of %d bytes an archive, %d an install", shown(f.url), p.lim.Archive, p.lim.Fetched)
	}
	return d.sum(), nil
}
