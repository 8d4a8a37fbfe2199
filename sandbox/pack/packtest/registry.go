// Package packtest is a registry on the loopback, for tests of installs: it speaks as
// much of npm's and of PyPI's protocols as the tools ask.
package packtest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Registry is one. A test may change its content while nobody asks, and Answer under Mu
// at any time.
type Registry struct {
	*httptest.Server
	Mu   sync.Mutex
	NPM  map[string]map[string]*Release // by name and version
	PyPI map[string][]*Wheel
	Tags map[string]map[string]string
	// Token is demanded of every request where it is not empty.
	Token string
	// Answer takes a request over; false leaves it.
	Answer func(w http.ResponseWriter, r *http.Request) bool

	asked []string
}

// Release is an npm version.
type Release struct {
	Date     time.Time
	Tarball  []byte
	Manifest map[string]any
	Host     string // of dist.tarball; "" for the registry's own
}

// Wheel is a file of a PyPI project.
type Wheel struct {
	Name  string
	Date  time.Time
	Data  []byte
	Meta  string // core metadata
	SHA   string // "" for the true one
	Extra map[string]any
}

// New starts a registry that ends with the test.
func New(t *testing.T, tls bool) *Registry {
	t.Helper()
	f := &Registry{NPM: map[string]map[string]*Release{}, PyPI: map[string][]*Wheel{}, Tags: map[string]map[string]string{}}
	if tls {
		f.Server = httptest.NewTLSServer(f)
	} else {
		f.Server = httptest.NewServer(f)
	}
	t.Cleanup(f.Close)
	return f
}

// ServeHTTP answers a tool.
func (f *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.Mu.Lock()
	f.asked = append(f.asked, r.URL.Path)
	answer := f.Answer
	f.Mu.Unlock()
	if f.Token != "" && r.Header.Get("Authorization") != "Bearer "+f.Token {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	if answer != nil && answer(w, r) {
		return
	}
	f.Mu.Lock()
	defer f.Mu.Unlock()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case parts[0] == "npm" && strings.Contains(r.URL.Path, "/-/"):
		name, file, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/npm/"), "/-/")
		for v, rel := range f.NPM[name] {
			if strings.HasSuffix(file, "-"+v+".tgz") {
				w.Write(rel.Tarball)
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
		for _, files := range f.PyPI {
			for _, file := range files {
				if parts[len(parts)-1] == file.Name {
					w.Write(file.Data)
					return
				}
				if parts[len(parts)-1] == file.Name+".metadata" {
					w.Write([]byte(file.Meta))
					return
				}
			}
		}
	}
	http.NotFound(w, r)
}

func (f *Registry) servePackument(w http.ResponseWriter, name string) bool {
	rels := f.NPM[name]
	if rels == nil {
		return false
	}
	versions, dates := map[string]any{}, map[string]string{}
	tags := map[string]string{}
	for v, rel := range rels {
		m := map[string]any{"name": name, "version": v}
		for k, x := range rel.Manifest {
			m[k] = x
		}
		sum := sha512.Sum512(rel.Tarball)
		host := f.URL
		if rel.Host != "" {
			host = rel.Host
		}
		base := name[strings.LastIndexByte(name, '/')+1:]
		dist := map[string]any{"tarball": host + "/npm/" + name + "/-/" + base + "-" + v + ".tgz", "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]), "unpackedSize": 1000}
		if d, ok := rel.Manifest["dist"].(map[string]any); ok {
			for k, x := range d {
				dist[k] = x
			}
		}
		m["dist"] = dist
		versions[v] = m
		dates[v] = rel.Date.Format(time.RFC3339)
		if tags["latest"] == "" || rel.Date.After(rels[tags["latest"]].Date) {
			tags["latest"] = v
		}
	}
	for k, v := range f.Tags[name] {
		tags[k] = v
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"name": name, "dist-tags": tags, "versions": versions, "time": dates})
	return true
}

func (f *Registry) serveProject(w http.ResponseWriter, name string) bool {
	files := f.PyPI[name]
	if files == nil {
		return false
	}
	var list []map[string]any
	for _, file := range files {
		sum := sha256.Sum256(file.Data)
		sha := hex.EncodeToString(sum[:])
		if file.SHA != "" {
			sha = file.SHA
		}
		one := map[string]any{"filename": file.Name, "url": f.URL + "/files/" + name + "/" + file.Name, "hashes": map[string]string{"sha256": sha},
			"upload-time": file.Date.Format(time.RFC3339Nano), "size": len(file.Data), "yanked": false}
		if file.Meta != "" {
			m := sha256.Sum256([]byte(file.Meta))
			one["core-metadata"] = map[string]string{"sha256": hex.EncodeToString(m[:])}
		}
		for k, v := range file.Extra {
			one[k] = v
		}
		list = append(list, one)
	}
	w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
	json.NewEncoder(w).Encode(map[string]any{"meta": map[string]string{"api-version": "1.1"}, "name": name, "files": list})
	return true
}

// Publish adds an npm version. A file's name is relative to the package.
func (f *Registry) Publish(name, version string, date time.Time, manifest map[string]any, files map[string]string) *Release {
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
	for _, k := range slices.Sorted(maps.Keys(files)) {
		add(k, files[k])
	}
	rel := &Release{Date: date, Manifest: manifest, Tarball: Tarball(entries, bodies)}
	f.Mu.Lock()
	defer f.Mu.Unlock()
	if f.NPM[name] == nil {
		f.NPM[name] = map[string]*Release{}
	}
	f.NPM[name][version] = rel
	return rel
}

// Tarball packs entries with their contents.
func Tarball(entries []tar.Header, bodies []string) []byte {
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

// Upload adds a wheel with one module and entry points.
func (f *Registry) Upload(name, version string, date time.Time, requires []string, files map[string]string) *Wheel {
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
	for _, k := range slices.Sorted(maps.Keys(all)) {
		sum := sha256.Sum256([]byte(all[k]))
		record += fmt.Sprintf("%s,sha256=%s,%d\n", k, base64.RawURLEncoding.EncodeToString(sum[:]), len(all[k]))
	}
	all[info+"RECORD"] = record + info + "RECORD,,\n"
	w := &Wheel{Name: dist + "-" + version + "-py3-none-any.whl", Date: date, Meta: meta, Data: Zip(all)}
	f.Mu.Lock()
	defer f.Mu.Unlock()
	f.PyPI[name] = append(f.PyPI[name], w)
	return w
}

// Source adds a source distribution that a backend of its own builds, which is in
// the archive and needs nothing else, with one module.
func (f *Registry) Source(name, version string, date time.Time, requires []string, files map[string]string) *Wheel {
	dist := strings.ReplaceAll(name, "-", "_")
	root := dist + "-" + version + "/"
	quoted := []string{}
	for _, r := range requires {
		quoted = append(quoted, fmt.Sprintf("%q", r))
	}
	all := map[string]string{"pyproject.toml": fmt.Sprintf("[build-system]\nrequires = [%s]\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n", strings.Join(quoted, ", ")),
		"backend.py": fmt.Sprintf(backend, name, dist, version), "PKG-INFO": "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n"}
	maps.Copy(all, files)
	var entries []tar.Header
	var bodies []string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		entries = append(entries, tar.Header{Name: root + k, Mode: 0o644, Size: int64(len(all[k])), Typeflag: tar.TypeReg})
		bodies = append(bodies, all[k])
	}
	w := &Wheel{Name: dist + "-" + version + ".tar.gz", Date: date, Data: Tarball(entries, bodies)}
	f.Mu.Lock()
	defer f.Mu.Unlock()
	f.PyPI[name] = append(f.PyPI[name], w)
	return w
}

const backend = `import base64, hashlib, os, zipfile
name, dist, version = "%s", "%s", "%s"
def build_wheel(directory, config_settings=None, metadata_directory=None):
    if os.path.exists("hook.py"):
        exec(open("hook.py").read(), globals())
    file = dist + "-" + version + "-py3-none-any.whl"
    info = dist + "-" + version + ".dist-info/"
    files = {dist + ".py": open("module.py").read(),
        info + "METADATA": "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n",
        info + "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    if os.path.exists("entry_points.txt"):
        files[info + "entry_points.txt"] = open("entry_points.txt").read()
    record = info + "RECORD,,\n"
    for n, text in files.items():
        sum = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record += n + ",sha256=" + sum + "," + str(len(text)) + "\n"
    files[info + "RECORD"] = record
    with zipfile.ZipFile(os.path.join(directory, file), "w") as z:
        for n, text in files.items():
            z.writestr(n, text)
    return file
`

// Zip packs files by their names.
func Zip(files map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, k := range slices.Sorted(maps.Keys(files)) {
		h := &zip.FileHeader{Name: k, Method: zip.Deflate}
		h.SetMode(0o644)
		w, _ := z.CreateHeader(h)
		w.Write([]byte(files[k]))
	}
	z.Close()
	return b.Bytes()
}

// Asked are the paths of all requests, in order.
func (f *Registry) Asked() []string {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	return slices.Clone(f.asked)
}

// Asks is how many requests there were.
func (f *Registry) Asks() int {
	f.Mu.Lock()
	defer f.Mu.Unlock()
	return len(f.asked)
}
