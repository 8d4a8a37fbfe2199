package mirror

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/policy"
)

// Config selects a mirror's registry and the part of it that the mirror shows.
type Config struct {
	Registry  registry.Registry
	Ecosystem pack.Ecosystem
	Limits    pack.Limits
	Before    time.Time // versions published later are withheld; zero: none are
	Dir       string    // where fetched archives are kept, out of every job's sight
	// Tell receives the progress of the fetching. It may be nil.
	Tell func(pages, archives int, bytes int64)
	// Builds names the PyPI projects that may be built from source where they have no
	// wheel for Interpreter. Build makes the wheel of one; see Mirror.Keep.
	Builds      []string
	Build       func(ctx context.Context, from *Archive, name string) (*Archive, error)
	Interpreter registry.Interpreter
}

// Mirror is the registry as an install job sees it: plain http on one loopback port,
// below an unguessable path. It asks the real registry with the user's credentials, and
// only that: it rewrites the addresses of archives to its own, and a job can fetch no
// other. It withholds versions that are too young. It gives out an archive only once it
// has fetched it as a whole, the archive has the hash that the metadata or the lock
// names, and it holds nothing hostile. Any number of goroutines may call its methods at
// once.
type Mirror struct {
	conf   Config
	client *http.Client
	listen net.Listener
	server *http.Server
	secret string
	ctx    context.Context
	stop   context.CancelFunc
	busy   sync.WaitGroup

	mu       sync.Mutex
	files    []*Archive
	byURL    map[string]int
	withheld map[string][]string // by package
	facts    map[string]Fact
	sources  map[string]*source // packages to build from source, by the hash of the source's archive
	building map[string]bool    // names
	wanted   map[string]string  // the one wanted version, by package
	page     registry.Page      // of the package itself, if it was read a moment ago
	refused  error              // the first archive or page that was refused
	failed   error              // the first thing that could not be had
	missing  error              // the first name that the registry does not know; it may be optional
	asked    []string           // the names that jobs asked for, at most maxAsked
	pages    int
	fetched  int64
	count    int
}

// Start listens on a free port of the loopback. The caller closes the mirror.
func Start(c Config) (*Mirror, error) {
	c.Limits = c.Limits.Filled()
	client, err := c.Registry.Client()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
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
	m := &Mirror{conf: c, client: client, listen: listen, secret: hex.EncodeToString(random), byURL: map[string]int{}, withheld: map[string][]string{},
		facts: map[string]Fact{}, sources: map[string]*source{}, building: map[string]bool{}, wanted: map[string]string{}}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.server = &http.Server{ReadHeaderTimeout: 30 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		m.busy.Add(1)
		defer m.busy.Done()
		m.serve(w, req)
	})}
	m.busy.Go(func() { m.server.Serve(listen) })
	return m, nil
}

// Want has one version of a project built, and no other.
func (m *Mirror) Want(name, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted[name] = version
}

// want is that version; "" for any.
func (m *Mirror) want(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wanted[name]
}

// Expect keeps the page that a release was resolved with, for the first question.
func (m *Mirror) Expect(rel registry.Release) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.page = rel.Page
}

// expected gives that page once, where it is the package's.
func (m *Mirror) expected(name string) (registry.Page, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	got := m.page
	if got.Name != name || name == "" {
		return registry.Page{}, false
	}
	m.page = registry.Page{}
	return got, true
}

// Close ends all requests and waits for their end.
func (m *Mirror) Close() {
	m.stop()
	m.server.Close()
	m.busy.Wait()
	m.client.CloseIdleConnections()
}

// Base is the mirror's address for the tool, with a slash at its end.
func (m *Mirror) Base() string {
	return fmt.Sprintf("http://%s/%s/", m.listen.Addr(), m.secret)
}

// Hosts lists the permitted connections of a job.
func (m *Mirror) Hosts() []policy.Host {
	port := uint16(m.listen.Addr().(*net.TCPAddr).Port)
	return []policy.Host{{Kind: policy.HostLocal, Name: "localhost", First: port, Last: port}}
}

// Verdict is the error of an install whose tool ended with toolErr: the mirror's own
// refusal comes first, whatever the tool made of it.
func (m *Mirror) Verdict(toolErr error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.refused != nil:
		return &pack.Refusal{Reason: m.refused}
	case toolErr != nil && m.failed != nil:
		return m.failed
	case toolErr != nil && m.missing != nil:
		return fmt.Errorf("%w (%w)", toolErr, m.missing)
	}
	return toolErr
}

// note remembers the first error of its kind.
func (m *Mirror) note(err error, refused bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	to := &m.failed
	switch {
	case refused:
		to = &m.refused
	case errors.Is(err, registry.ErrNotFound):
		to = &m.missing
	case errors.Is(err, context.Canceled):
		return
	}
	if *to == nil {
		*to = err
	}
}

func (m *Mirror) serve(w http.ResponseWriter, req *http.Request) {
	rest, ok := strings.CutPrefix(req.URL.Path, "/"+m.secret+"/")
	if !ok || req.Method != http.MethodGet && req.Method != http.MethodHead {
		http.NotFound(w, req)
		return
	}
	if n, found := strings.CutPrefix(rest, "file/"); found {
		m.serveFile(w, req, n)
		return
	}
	name := strings.Trim(rest, "/")
	var body []byte
	var err error
	kind := "application/json"
	switch {
	case m.conf.Ecosystem == pack.NPM && pack.CheckNPMDependency(name) == nil:
		body, err = m.packument(req.Context(), name)
	case m.conf.Ecosystem == pack.PyPI && pack.IsPyPIName(name):
		body, err = m.servedProject(req.Context(), pack.NormalizePyPI(name))
		kind = registry.SimpleJSON
	default:
		http.NotFound(w, req)
		return
	}
	m.heard(name)
	if errors.Is(err, registry.ErrNotFound) {
		m.note(err, false)
		http.NotFound(w, req)
		return
	}
	if err != nil {
		m.note(err, false)
		http.Error(w, "the registry could not be used", http.StatusBadGateway)
		return
	}
	m.mu.Lock()
	m.pages++
	m.mu.Unlock()
	m.told()
	w.Header().Set("Content-Type", kind)
	w.Write(body)
}

// maxAsked bounds the names that a mirror remembers.
const maxAsked = 256

// heard remembers a name that a job asked for.
func (m *Mirror) heard(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.asked) < maxAsked && !slices.Contains(m.asked, name) {
		m.asked = append(m.asked, name)
	}
}

// Fetched says what jobs had of the registry until now: the first names that they asked
// for, in their order, the number of archives, and their bytes.
func (m *Mirror) Fetched() (asked []string, archives int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asked), m.count, m.fetched
}

// told says how far the fetching is.
func (m *Mirror) told() {
	m.mu.Lock()
	pages, archives, bytes := m.pages, m.count, m.fetched
	m.mu.Unlock()
	if m.conf.Tell != nil {
		m.conf.Tell(pages, archives, bytes)
	}
}

// WithheldNote says which versions a tool could not see for their age, of those
// packages that it complains about.
func (m *Mirror) WithheldNote(words []byte) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.withheld)) {
		if strings.Contains(string(words), name) {
			return fmt.Sprintf("%s of %s is younger than install.min-age and was withheld", strings.Join(m.withheld[name], ", "), name)
		}
	}
	return ""
}
