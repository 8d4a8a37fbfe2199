package pack

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
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
	tell   func(pages, archives int, bytes int64)

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
	facts    map[string]fact
	// What is built from source, by the hash of its archive; see source.
	sources     map[string]*source
	building    map[string]bool // names
	build       func(ctx context.Context, from *proxied, name string) (*proxied, error)
	builds      []string          // names
	versions    map[string]string // of packages of which one version is wanted
	interpreter Interpreter
	page        page  // of the package itself, if it was read a moment ago
	refused     error // the first archive or page that was refused
	failed      error // the first thing that could not be had
	missing     error // the first name that the registry does not know; it may be optional
	pages       int
	fetched     int64
	count       int
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
		secret: hex.EncodeToString(random), byURL: map[string]int{}, withheld: map[string][]string{}, facts: map[string]fact{}, sources: map[string]*source{}, building: map[string]bool{}, versions: map[string]string{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.server = &http.Server{ReadHeaderTimeout: 30 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		p.busy.Add(1)
		defer p.busy.Done()
		p.serve(w, req)
	})}
	p.busy.Go(func() { p.server.Serve(listen) })
	return p, nil
}

// expect keeps the page that a release was resolved with, for the first question.
func (p *proxy) expect(rel Release) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.page = rel.page
}

// expected gives that page once, where it is the package's.
func (p *proxy) expected(name string) (page, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.page
	if got.name != name || name == "" {
		return page{}, false
	}
	p.page = page{}
	return got, true
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

// verdict is the error of an install whose tool ended with toolErr: what was
// refused comes first, whatever the tool made of it.
func (p *proxy) verdict(toolErr error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.refused != nil:
		return &Refusal{p.refused}
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
	case p.kind == PyPI && pyName().MatchString(name):
		body, err = p.servedProject(req.Context(), normalizePyPI(name))
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
	p.mu.Lock()
	p.pages++
	p.mu.Unlock()
	p.told()
	w.Header().Set("Content-Type", kind)
	w.Write(body)
}

// told says how far the fetching is.
func (p *proxy) told() {
	p.mu.Lock()
	pages, archives, bytes := p.pages, p.count, p.fetched
	p.mu.Unlock()
	if p.tell != nil {
		p.tell(pages, archives, bytes)
	}
}
