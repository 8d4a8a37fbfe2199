package install

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/archive"
	"mcpen/sandbox/pack/mirror"
	"mcpen/sandbox/pack/packtest"
	"mcpen/sandbox/pack/registry"
)

// hostileTarball is a good package and one entry more.
func hostileTarball(h tar.Header, body string) []byte {
	pj := `{"name":"evil","version":"1.0.0","bin":"x.js"}`
	h.Size = int64(len(body))
	if h.Mode == 0 {
		h.Mode = 0o644
	}
	return packtest.Tarball([]tar.Header{{Name: "package/package.json", Mode: 0o644, Size: int64(len(pj)), Typeflag: tar.TypeReg},
		{Name: "package/x.js", Mode: 0o644, Typeflag: tar.TypeReg}, h}, []string{pj, "", body})
}

// Whatever a package's archive holds, there is one error, it names the fault, and
// nothing of the archive reaches the store or a place outside.
func TestHostileTarballs(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	for name, tc := range map[string]struct {
		tarball []byte
		want    string
		whole   bool // tried with npm itself, too
	}{
		"dotdot":         {hostileTarball(tar.Header{Name: "package/../../../../x", Typeflag: tar.TypeReg}, "x"), "leads out", true},
		"absolute":       {hostileTarball(tar.Header{Name: outside, Typeflag: tar.TypeReg}, "x"), "is absolute", false},
		"backslash":      {hostileTarball(tar.Header{Name: `package\..\x`, Typeflag: tar.TypeReg}, "x"), "is absolute", false},
		"symlink out":    {hostileTarball(tar.Header{Name: "package/l", Linkname: "../../../etc", Typeflag: tar.TypeSymlink}, ""), "leads out", true},
		"symlink abs":    {hostileTarball(tar.Header{Name: "package/l", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}, ""), "leads out", false},
		"hard link":      {hostileTarball(tar.Header{Name: "package/l", Linkname: "../../etc/passwd", Typeflag: tar.TypeLink}, ""), "leads out", false},
		"setuid":         {hostileTarball(tar.Header{Name: "package/s", Mode: 0o4755, Typeflag: tar.TypeReg}, "x"), "setuid", true},
		"device":         {hostileTarball(tar.Header{Name: "package/d", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}, ""), "neither", false},
		"fifo":           {hostileTarball(tar.Header{Name: "package/f", Typeflag: tar.TypeFifo}, ""), "neither", false},
		"control":        {hostileTarball(tar.Header{Name: "package/a\nb", Typeflag: tar.TypeReg}, "x"), "no usable name", false},
		"bomb":           {hostileTarball(tar.Header{Name: "package/b", Typeflag: tar.TypeReg}, strings.Repeat("\x00", 3<<20)), "unpacks to more", true},
		"many":           {packtest.Tarball(manyEntries(200), nil), "more than 100 entries", false},
		"not an archive": {[]byte("<html>sign in</html>"), "gzip", false},
		"torn":           {hostileTarball(tar.Header{Name: "package/z", Typeflag: tar.TypeReg}, "x")[:100], "not a", false},
	} {
		t.Run(name, func(t *testing.T) {
			lim := pack.Limits{Unpacked: 2 << 20, ArchiveList: 100}
			file := filepath.Join(t.TempDir(), "a")
			os.WriteFile(file, tc.tarball, 0o600)
			opened, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			oneError(t, archive.Check(opened, "evil-1.0.0.tgz", lim.Filled()), tc.want)
			if !tc.whole {
				return
			}
			f := packtest.New(t, false)
			f.Publish("evil", "1.0.0", now.Add(-30*day), map[string]any{"bin": "x.js"}, map[string]string{"x.js": ""})
			in, _ := newInstaller(t, f)
			in.Limits = lim
			good := f.NPM["evil"]["1.0.0"].Tarball
			f.NPM["evil"]["1.0.0"].Tarball = tc.tarball
			_, _, err = add(in, mustRef(t, "npm:evil"))
			oneError(t, err, tc.want)
			storeIsEmpty(t, in.Store)
			if _, err := os.Lstat(outside); err == nil {
				t.Error("a file was written outside")
			}
			if name != "dotdot" {
				return
			}
			f.NPM["evil"]["1.0.0"].Tarball = good
			_, tree, err := add(in, mustRef(t, "npm:evil"))
			if err != nil {
				t.Fatalf("the honest twin: %v", err)
			}
			tree.Close()
		})
	}
}

func manyEntries(n int) []tar.Header {
	var out []tar.Header
	for i := range n {
		out = append(out, tar.Header{Name: fmt.Sprintf("package/%d", i), Mode: 0o644, Typeflag: tar.TypeReg})
	}
	return out
}

func oneError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatal("installed")
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want %q in it", err, want)
	}
}

func TestHostileWheels(t *testing.T) {
	entry := func(name string, mode fs.FileMode, body string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(mode)
		w, _ := z.CreateHeader(h)
		w.Write([]byte(body))
		z.Close()
		return b.Bytes()
	}
	twice := func() []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for range 2 {
			w, _ := z.Create("a.py")
			w.Write([]byte("x"))
		}
		z.Close()
		return b.Bytes()
	}
	for name, tc := range map[string]struct {
		wheel []byte
		want  string
	}{
		"dotdot":  {entry("../x.py", 0o644, ""), "leads out"},
		"abs":     {entry("/x.py", 0o644, ""), "is absolute"},
		"symlink": {entry("x", 0o777|fs.ModeSymlink, "/etc/passwd"), "neither"},
		"setuid":  {entry("x", 0o755|fs.ModeSetuid, "x"), "setuid"},
		"bomb":    {entry("x", 0o644, strings.Repeat("\x00", 3<<20)), "unpacks to more"},
		"twice":   {twice(), "twice"},
		"html":    {[]byte("<html>"), "zip"},
	} {
		t.Run(name, func(t *testing.T) {
			lim := pack.Limits{Unpacked: 2 << 20}
			file := filepath.Join(t.TempDir(), "a")
			os.WriteFile(file, tc.wheel, 0o600)
			opened, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			oneError(t, archive.Check(opened, "evil-1.0-py3-none-any.whl", lim.Filled()), tc.want)
			if name != "dotdot" && name != "bomb" {
				return
			}
			f := packtest.New(t, false)
			f.Upload("evil", "1.0", now.Add(-30*day), nil, nil).Data = tc.wheel
			in, _ := newInstaller(t, f)
			in.Limits = lim
			_, _, err = add(in, mustRef(t, "pypi:evil"))
			oneError(t, err, tc.want)
			storeIsEmpty(t, in.Store)
		})
	}
}

// The registry's metadata says one thing and its archive is another.
func TestIntegrityMismatch(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	packtest.PyPIWorld(f)
	sum := sha256.Sum256([]byte("another"))
	f.PyPI["demo-dep"][0].SHA = hex.EncodeToString(sum[:])
	left := f.NPM["left"]["1.0.0"]
	left.Manifest["dist"] = map[string]any{"integrity": "sha512-" + base64.StdEncoding.EncodeToString(make([]byte, 64))}
	for _, ref := range []string{"npm:@demo/server", "pypi:demo-server"} {
		in, _ := newInstaller(t, f)
		_, _, err := add(in, mustRef(t, ref))
		oneError(t, err, "was expected")
		storeIsEmpty(t, in.Store)
	}
	left.Manifest["dist"] = map[string]any{"integrity": "", "shasum": strings.Repeat("a", 40)}
	in, _ := newInstaller(t, f)
	_, _, err := add(in, mustRef(t, "npm:@demo/server"))
	oneError(t, err, "no SHA-2 integrity")
	storeIsEmpty(t, in.Store)
}

// A registry that serves other code under a locked version is caught by the lock.
func TestDependencySwappedUnderTheSameVersion(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	packtest.PyPIWorld(f)
	for ref, swap := range map[string]func(){
		"npm:@demo/server": func() {
			f.Publish("left", "1.0.0", now.Add(-30*day), map[string]any{"main": "i.js"}, map[string]string{"i.js": "evil"})
		},
		"pypi:demo-server": func() {
			f.PyPI["demo-dep"] = nil
			f.Upload("demo-dep", "1.0", now.Add(-30*day), nil, map[string]string{"demo_dep.py": "evil"})
		},
	} {
		in, _ := newInstaller(t, f)
		l, tree, err := add(in, mustRef(t, ref))
		if err != nil {
			t.Fatal(err)
		}
		tree.Close()
		other, _ := newInstaller(t, f)
		_, same, err := other.Restore(context.Background(), l)
		if err != nil {
			t.Fatalf("before the swap: %v", err)
		}
		same.Close()
		swap()
		victim, _ := newInstaller(t, f)
		_, _, err = victim.Restore(context.Background(), l)
		if err == nil {
			t.Errorf("%s: the swapped dependency was installed", ref)
		} else if !strings.Contains(err.Error(), "left") && !strings.Contains(err.Error(), "demo") {
			t.Errorf("%s: the error does not name the dependency: %v", ref, err)
		}
		storeIsEmpty(t, victim.Store)
	}
}

// A registry that answers badly gives one clear error and no half of a package.
func TestBadAnswers(t *testing.T) {
	metadata := func(r *http.Request) bool {
		return strings.HasPrefix(r.URL.Path, "/npm/") && !strings.Contains(r.URL.Path, "/-/") || strings.HasPrefix(r.URL.Path, "/simple/")
	}
	archive := func(r *http.Request) bool {
		return strings.Contains(r.URL.Path, "/-/left-") || strings.HasPrefix(r.URL.Path, "/files/demo-dep/") && strings.HasSuffix(r.URL.Path, ".whl")
	}
	html := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html>please sign in</html>")
	}
	for name, tc := range map[string]struct {
		on   func(*http.Request) bool
		do   func(w http.ResponseWriter)
		want string
		tool bool
	}{
		"500 for metadata":  {metadata, func(w http.ResponseWriter) { http.Error(w, "oops", 500) }, "500", false},
		"404 for metadata":  {metadata, func(w http.ResponseWriter) { http.Error(w, "no", 404) }, "cannot find", false},
		"HTML for metadata": {metadata, html, "text/html", false},
		"no JSON": {metadata, func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", registry.SimpleJSON)
			fmt.Fprint(w, `{"name": `)
		}, "cannot read", false},
		"another package": {metadata, func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", registry.SimpleJSON)
			fmt.Fprint(w, `{"name":"b"}`)
		}, `answers for "b"`, false},
		"a hanging registry":  {metadata, nil, "cannot ask", false},
		"500 for an archive":  {archive, func(w http.ResponseWriter) { http.Error(w, "oops", 500) }, "500", false},
		"404 for an archive":  {archive, func(w http.ResponseWriter) { http.Error(w, "no", 404) }, "cannot find", false},
		"HTML for an archive": {archive, html, "was expected", false},
		"a torn archive": {archive, func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100000")
			fmt.Fprint(w, "half")
		}, "cannot fetch", true},
		"an archive that stops coming": {archive, func(w http.ResponseWriter) {
			fmt.Fprint(w, "half")
			w.(http.Flusher).Flush()
		}, "nothing came", false},
		"an endless archive": {archive, func(w http.ResponseWriter) {
			for range 1 << 12 {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		}, "more than the limit", false},
		"a redirect to a private place": {archive, func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://169.254.169.254/latest")
			w.WriteHeader(302)
		}, "not public", false},
	} {
		t.Run(name, func(t *testing.T) {
			f := packtest.New(t, false)
			packtest.NPMWorld(f)
			packtest.PyPIWorld(f)
			f.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				if !tc.on(r) {
					return false
				}
				if tc.do != nil {
					tc.do(w)
				}
				if strings.Contains(name, "hanging") || strings.Contains(name, "stops") {
					<-r.Context().Done()
				}
				return true
			}
			for _, ref := range []string{"npm:@demo/server", "pypi:demo-server"} {
				in, _ := newInstaller(t, f)
				in.NPM.Timeout, in.PyPI.Timeout = 300*time.Millisecond, 300*time.Millisecond
				in.Limits = pack.Limits{Archive: 1 << 20}
				want := tc.want
				if want == "text/html" && strings.HasPrefix(ref, "npm") {
					want = "not a packument"
				}
				// With the tools themselves for a few; with the tools' view for all.
				if tc.tool || tc.on(&http.Request{URL: &url.URL{Path: "/simple/x"}}) {
					_, _, err := add(in, mustRef(t, ref))
					oneError(t, err, want)
					storeIsEmpty(t, in.Store)
					continue
				}
				oneError(t, throughProxy(t, in, mustRef(t, ref).Ecosystem), want)
			}
		})
	}
}

// A package manager that hangs must not keep a client's first start for ever.
func TestToolThatHangsEnds(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	in, _ := newInstaller(t, f)
	run := in.Run
	in.Run = func(ctx context.Context, job Job) error {
		if job.Network != nil {
			<-ctx.Done()
			return ctx.Err()
		}
		return run(ctx, job)
	}
	in.Limits = pack.Limits{Tool: 50 * time.Millisecond}
	_, _, err := add(in, mustRef(t, "npm:@demo/server"))
	oneError(t, err, "did not end within 50ms")
	storeIsEmpty(t, in.Store)
	in.Run, in.Limits = run, pack.Limits{}
	if _, _, err := add(in, mustRef(t, "npm:@demo/server")); err != nil {
		t.Errorf("one that ends: %v", err)
	}
}

// One bad moment of a registry among a hundred requests must not end an install.
func TestOneBadMomentIsForgiven(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	var mu sync.Mutex
	failed := map[string]bool{}
	f.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		again := failed[r.URL.Path]
		failed[r.URL.Path] = true
		mu.Unlock()
		switch {
		case again:
			return false
		case strings.HasSuffix(r.URL.Path, "/left"):
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case strings.Contains(r.URL.Path, "/-/right"):
			w.Header().Set("Content-Length", "100000")
			fmt.Fprint(w, "half")
			return true
		}
		return false
	}
	in, _ := newInstaller(t, f)
	_, tree, err := add(in, mustRef(t, "npm:@demo/server"))
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
}

// throughProxy fetches a package's page and one archive as a tool does, and gives the
// error with which the install would end if the tool made nothing of it.
func throughProxy(t *testing.T, in *Installer, e pack.Ecosystem) error {
	t.Helper()
	reg, page := in.NPM, "left"
	if e == pack.PyPI {
		reg, page = in.PyPI, "demo-dep/"
	}
	p, err := mirror.Start(mirror.Config{Registry: reg, Ecosystem: e, Limits: in.Limits, Before: now.Add(-2 * day), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, u := range []string{page, "file/0/" + map[pack.Ecosystem]string{pack.NPM: "left-1.0.0.tgz", pack.PyPI: "demo_dep-1.0-py3-none-any.whl"}[e]} {
		res, err := http.Get(p.Base() + u)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if (u == page) != (res.StatusCode == 200) {
			t.Errorf("%s: %s", u, res.Status)
		}
	}
	return p.Verdict(errors.New("the tool failed"))
}

// An index page must not be able to make this machine fetch from its own network.
func TestIndexCannotNamePrivateHosts(t *testing.T) {
	other := packtest.New(t, false)
	other.Upload("thing", "1.0", now.Add(-30*day), nil, nil)
	f := packtest.New(t, false)
	f.Upload("thing", "1.0", now.Add(-30*day), nil, nil).Extra = map[string]any{"url": other.URL + "/files/thing/thing-1.0-py3-none-any.whl"}
	in, _ := newInstaller(t, f)
	in.PyPI.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil } // as with no proxy in the environment
	_, _, err := add(in, mustRef(t, "pypi:thing"))
	oneError(t, err, "not served by https")
	f.PyPI["thing"][0].Extra["url"] = strings.Replace(other.URL, "http:", "https:", 1) + "/files/thing/thing-1.0-py3-none-any.whl"
	f.PyPI["thing"][0].Meta = ""
	// Another address of the same loopback, so that it is not the registry's host.
	f.PyPI["thing"][0].Extra["url"] = strings.Replace(f.PyPI["thing"][0].Extra["url"].(string), "127.0.0.1", "127.0.0.2", 1)
	_, _, err = add(in, mustRef(t, "pypi:thing"))
	oneError(t, err, "not public")
	if other.Asks() != 0 {
		t.Errorf("the other host was asked: %v", other.Asks())
	}
}

// A package from outside the registry cannot be locked, even if the job could reach it.
func TestDependenciesFromElsewhere(t *testing.T) {
	other := packtest.New(t, false)
	packtest.NPMWorld(other)
	outside := "it does not come from the registry"
	if packtest.FindTools(t).NPMBefore(t, 10, 0) {
		outside = "npm install failed" // by a fault of its own
	}
	for name, tc := range map[string]struct{ spec, want string }{
		"git":     {"git+https://127.0.0.1:1/x.git", "npm install failed"},
		"tarball": {other.URL + "/npm/left/-/left-1.0.0.tgz", `"node_modules/x": it does not come from the registry`},
		"file":    {"file:../../../../etc", outside},
		"another": {"1.0.0", ""},
	} {
		f := packtest.New(t, false)
		f.Publish("top", "1.0.0", now.Add(-30*day), map[string]any{"bin": "x.js", "dependencies": map[string]string{"x": tc.spec}}, map[string]string{"x.js": ""})
		f.Publish("x", "1.0.0", now.Add(-30*day), nil, nil)
		in, _ := newInstaller(t, f)
		_, tree, err := add(in, mustRef(t, "npm:top"))
		if tc.want == "" {
			if err != nil {
				t.Fatalf("the twin from the registry: %v", err)
			}
			tree.Close()
			continue
		}
		t.Run(name, func(t *testing.T) { oneError(t, err, tc.want) })
		storeIsEmpty(t, in.Store)
	}
	if other.Asks() == 0 {
		t.Error("nothing was tried: the other host was not reached")
	}
}

// A mirror leaves the address of its origin in its documents. mcpen still takes the
// tarball from the mirror, and never asks a host of a package's choice.
func TestTarballsComeFromTheRegistry(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	for _, rels := range f.NPM {
		for _, rel := range rels {
			rel.Host = "https://upstream.invalid"
		}
	}
	in, _ := newInstaller(t, f)
	_, tree, err := add(in, mustRef(t, "npm:@demo/server"))
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
	f.NPM["left"]["1.0.0"].Manifest["dist"] = map[string]any{"tarball": "https://upstream.invalid/elsewhere.tgz"}
	other, _ := newInstaller(t, f)
	_, _, err = add(other, mustRef(t, "npm:@demo/server"))
	oneError(t, err, "on another host")
}
