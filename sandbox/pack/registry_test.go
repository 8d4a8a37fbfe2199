package pack

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeRegistry speaks as much of npm's and of PyPI's registry as the tools ask.
type fakeRegistry struct {
	*httptest.Server
	mu    sync.Mutex
	npm   map[string]map[string]*npmRelease // by name and version
	pypi  map[string][]*wheelFile
	tags  map[string]map[string]string
	asked []string
	token string // demanded where it is not empty
	// answer takes a request over; false leaves it.
	answer func(w http.ResponseWriter, r *http.Request) bool
}

type npmRelease struct {
	date     time.Time
	tarball  []byte
	manifest map[string]any
	host     string // of dist.tarball; "" for the registry's own
}

type wheelFile struct {
	name  string
	date  time.Time
	data  []byte
	meta  string // core metadata
	sha   string // "" for the true one
	extra map[string]any
}

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func newFake(t *testing.T, tls bool) *fakeRegistry {
	t.Helper()
	f := &fakeRegistry{npm: map[string]map[string]*npmRelease{}, pypi: map[string][]*wheelFile{}, tags: map[string]map[string]string{}}
	if tls {
		f.Server = httptest.NewTLSServer(f)
	} else {
		f.Server = httptest.NewServer(f)
	}
	t.Cleanup(f.Close)
	return f
}

func (f *fakeRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.URL.Path)
	answer := f.answer
	f.mu.Unlock()
	if f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	if answer != nil && answer(w, r) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case parts[0] == "npm" && strings.Contains(r.URL.Path, "/-/"):
		name, file, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/npm/"), "/-/")
		for v, rel := range f.npm[name] {
			if strings.HasSuffix(file, "-"+v+".tgz") {
				w.Write(rel.tarball)
				return
			}
		}
	case parts[0] == "npm":
		if f.servePackument(w, strings.Join(parts[1:], "/")) {
			return
		}
	case parts[0] == "simple" && len(parts) == 2:
		if f.serveProject(w, parts[1]) {
			return
		}
	case parts[0] == "files":
		for _, files := range f.pypi {
			for _, file := range files {
				if parts[len(parts)-1] == file.name {
					w.Write(file.data)
					return
				}
				if parts[len(parts)-1] == file.name+".metadata" {
					w.Write([]byte(file.meta))
					return
				}
			}
		}
	}
	http.NotFound(w, r)
}

func (f *fakeRegistry) servePackument(w http.ResponseWriter, name string) bool {
	rels := f.npm[name]
	if rels == nil {
		return false
	}
	versions, dates := map[string]any{}, map[string]string{}
	tags := map[string]string{}
	for v, rel := range rels {
		m := map[string]any{"name": name, "version": v}
		for k, x := range rel.manifest {
			m[k] = x
		}
		sum := sha512.Sum512(rel.tarball)
		host := f.URL
		if rel.host != "" {
			host = rel.host
		}
		_, base := splitScope(name)
		dist := map[string]any{"tarball": host + "/npm/" + name + "/-/" + base + "-" + v + ".tgz", "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]), "unpackedSize": 1000}
		if d, ok := rel.manifest["dist"].(map[string]any); ok {
			for k, x := range d {
				dist[k] = x
			}
		}
		m["dist"] = dist
		versions[v] = m
		dates[v] = rel.date.Format(time.RFC3339)
		if tags["latest"] == "" || rel.date.After(rels[tags["latest"]].date) {
			tags["latest"] = v
		}
	}
	for k, v := range f.tags[name] {
		tags[k] = v
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"name": name, "dist-tags": tags, "versions": versions, "time": dates})
	return true
}

func (f *fakeRegistry) serveProject(w http.ResponseWriter, name string) bool {
	files := f.pypi[name]
	if files == nil {
		return false
	}
	var list []map[string]any
	for _, file := range files {
		sum := sha256.Sum256(file.data)
		sha := hex.EncodeToString(sum[:])
		if file.sha != "" {
			sha = file.sha
		}
		one := map[string]any{"filename": file.name, "url": f.URL + "/files/" + name + "/" + file.name, "hashes": map[string]string{"sha256": sha},
			"upload-time": file.date.Format(time.RFC3339Nano), "size": len(file.data), "yanked": false}
		if file.meta != "" {
			m := sha256.Sum256([]byte(file.meta))
			one["core-metadata"] = map[string]string{"sha256": hex.EncodeToString(m[:])}
		}
		for k, v := range file.extra {
			one[k] = v
		}
		list = append(list, one)
	}
	w.Header().Set("Content-Type", simpleJSON)
	json.NewEncoder(w).Encode(map[string]any{"meta": map[string]string{"api-version": "1.1"}, "name": name, "files": list})
	return true
}

// publish adds an npm version. A file's name is relative to the package.
func (f *fakeRegistry) publish(name, version string, date time.Time, manifest map[string]any, files map[string]string) *npmRelease {
	m := map[string]any{"name": name, "version": version}
	for k, v := range manifest {
		m[k] = v
	}
	pj, _ := json.Marshal(m)
	var entries []tar.Header
	var bodies []string
	add := func(name, body string) {
		entries = append(entries, tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg})
		bodies = append(bodies, body)
	}
	add("package.json", string(pj))
	for _, k := range sortedKeys(files) {
		add(k, files[k])
	}
	rel := &npmRelease{date: date, manifest: manifest, tarball: tarball(entries, bodies)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.npm[name] == nil {
		f.npm[name] = map[string]*npmRelease{}
	}
	f.npm[name][version] = rel
	return rel
}

func tarball(entries []tar.Header, bodies []string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	for i, h := range entries {
		if err := t.WriteHeader(&h); err != nil {
			panic(err)
		}
		if i < len(bodies) {
			t.Write([]byte(bodies[i]))
		}
	}
	t.Close()
	z.Close()
	return b.Bytes()
}

// upload adds a wheel with one module and entry points.
func (f *fakeRegistry) upload(name, version string, date time.Time, requires []string, files map[string]string) *wheelFile {
	dist := strings.ReplaceAll(name, "-", "_")
	info := dist + "-" + version + ".dist-info/"
	meta := fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\nLicense: MIT\nAuthor: Somebody\n", name, version)
	for _, r := range requires {
		meta += "Requires-Dist: " + r + "\n"
	}
	all := map[string]string{info + "METADATA": meta, info + "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
	for k, v := range files {
		all[strings.ReplaceAll(k, "DIST-INFO/", info)] = v
	}
	record := ""
	for _, k := range sortedKeys(all) {
		sum := sha256.Sum256([]byte(all[k]))
		record += fmt.Sprintf("%s,sha256=%s,%d\n", k, base64.RawURLEncoding.EncodeToString(sum[:]), len(all[k]))
	}
	all[info+"RECORD"] = record + info + "RECORD,,\n"
	w := &wheelFile{name: dist + "-" + version + "-py3-none-any.whl", date: date, meta: meta, data: zipFile(all)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pypi[name] = append(f.pypi[name], w)
	return w
}

func zipFile(files map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, k := range sortedKeys(files) {
		h := &zip.FileHeader{Name: k, Method: zip.Deflate}
		h.SetMode(0o644)
		w, _ := z.CreateHeader(h)
		w.Write([]byte(files[k]))
	}
	z.Close()
	return b.Bytes()
}

func (f *fakeRegistry) asks() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func (f *fakeRegistry) npmRegistry() Registry {
	return Registry{URL: f.URL + "/npm/", Timeout: 5 * time.Second}
}
func (f *fakeRegistry) pypiRegistry() Registry {
	return Registry{URL: f.URL + "/simple/", Timeout: 5 * time.Second}
}

// plainRun runs a job as it is, and records it.
type plainRun struct {
	mu   sync.Mutex
	jobs []Job
}

func (p *plainRun) run(ctx context.Context, job Job) error {
	p.mu.Lock()
	p.jobs = append(p.jobs, job)
	p.mu.Unlock()
	cmd := exec.CommandContext(ctx, job.Argv[0], job.Argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = job.Dir, job.Env, job.Stdout, job.Stderr
	return cmd.Run()
}

// testTools finds the machine's own npm and Python.
func testTools(t *testing.T) Tools {
	t.Helper()
	if testing.Short() {
		t.Skip("runs npm and pip: not with -short")
	}
	find := func(name string) string {
		p, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("no %s on this machine", name)
		}
		return p
	}
	tools := Tools{Path: os.Getenv("PATH"), NPM: []string{find("npm")}, Node: find("node"), Python: find("python3")}
	// The interpreter itself, not a shim that looks for it at every start.
	out, err := exec.Command(tools.Python, "-c", `import sys; print(sys.executable, "cp%d%d" % sys.version_info[:2])`).Output()
	if err != nil {
		t.Fatal(err)
	}
	tools.Python, tools.PythonTag, _ = strings.Cut(strings.TrimSpace(string(out)), " ")
	return tools
}

func newInstaller(t *testing.T, f *fakeRegistry) (*Installer, *plainRun) {
	t.Helper()
	run := &plainRun{}
	in := &Installer{Store: newStore(t), Run: run.run, Tools: testTools(t), Platform: "linux-test", MinAge: 3 * day, Now: func() time.Time { return now }}
	if f != nil {
		in.NPM, in.PyPI = f.npmRegistry(), f.pypiRegistry()
	}
	return in, run
}

// storeIsEmpty fails when an install that failed left anything behind.
func storeIsEmpty(t *testing.T, s *Store) {
	t.Helper()
	list, err := s.List()
	if err != nil || len(list) > 0 {
		t.Errorf("the store holds %v, %v", list, err)
	}
	if left, _ := os.ReadDir(filepath.Join(s.Dir, "stage")); len(left) != 0 {
		t.Errorf("left in stage: %v", left)
	}
}
