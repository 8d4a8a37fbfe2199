package pack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mcpen/sandbox/pack/packtest"
)

// A pull request can lock a package that is an hour old and write any date beside
// it. What counts is the date that the registry gives when it is installed.
func TestAgeHoldsForALockFromElsewhere(t *testing.T) {
	f := packtest.New(t, false)
	npmWorld(f)
	pypiWorld(f)
	for ref, young := range map[string]func(time.Time){
		"npm:@demo/server": func(at time.Time) { f.NPM["left"]["1.0.0"].Date = at },
		"pypi:demo-server": func(at time.Time) { f.PyPI["demo-dep"][0].Date = at },
	} {
		author, _ := newInstaller(t, f)
		l, tree, err := add(author, mustRef(t, ref))
		if err != nil {
			t.Fatal(err)
		}
		tree.Close()
		old := now.Add(-30 * day)
		for name, age := range map[string]time.Duration{"an hour": time.Hour, "two days": 2 * day} {
			young(now.Add(-age))
			victim, _ := newInstaller(t, f)
			if _, tree, err := victim.Restore(context.Background(), l); err == nil || !strings.Contains(err.Error(), "younger than") {
				t.Errorf("%s, %s: %v", ref, name, err)
				if err == nil {
					tree.Close()
				}
			}
			storeIsEmpty(t, victim.Store)
			// Who does without an age gets it, and who does not is not given that tree.
			victim.MinAge = 0
			_, tree, err := victim.Restore(context.Background(), l)
			if err != nil {
				t.Fatalf("%s, %s: without an age: %v", ref, name, err)
			}
			tree.Close()
			victim.MinAge = 3 * day
			if _, err := victim.Open(l); err == nil {
				t.Errorf("%s, %s: opened by who wants an age", ref, name)
			}
			// Three days later it is old enough.
			victim.Now = func() time.Time { return now.Add(4 * day) }
			_, tree, err = victim.Restore(context.Background(), l)
			if err != nil {
				t.Fatalf("%s, %s: four days later: %v", ref, name, err)
			}
			tree.Close()
		}
		young(old)
		// A tree of an mcpen that kept no dates: confirmed while it is young.
		if err := os.Remove(filepath.Join(author.Store.Dir, "trees", strings.TrimPrefix(l.Trees[author.platform(l)], "sha256:"), "published")); err != nil {
			t.Fatal(err)
		}
		if _, err := author.Open(l); err == nil || !errors.Is(err, ErrUnconfirmed) {
			t.Errorf("%s: a tree without a date: %v", ref, err)
		}
		asked := f.Asks()
		for range 2 {
			_, tree, err := author.Restore(context.Background(), l)
			if err != nil {
				t.Fatalf("%s: %v", ref, err)
			}
			tree.Close()
		}
		if again := f.Asks(); again == asked {
			t.Errorf("%s: the registry was not asked", ref)
		} else if tree, err := author.Open(l); err != nil || f.Asks() != again {
			t.Errorf("%s: the date was not kept: %v", ref, err)
		} else {
			tree.Close()
		}
	}
}

// A mirror keeps its archives elsewhere than the registry that a lock was made at:
// they are found by the package's name and the lock's hash, at no other address,
// and the credentials go to the registry alone.
func TestLockFindsArchivesOfAMirror(t *testing.T) {
	f := packtest.New(t, false)
	npmWorld(f)
	in, _ := newInstaller(t, f)
	l, tree, err := add(in, mustRef(t, "npm:@demo/server"))
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
	mirror := packtest.New(t, false)
	npmWorld(mirror)
	for name, rels := range mirror.NPM {
		for v, rel := range rels {
			rel.Tarball = f.NPM[name][v].Tarball
			rel.Manifest["dist"] = map[string]any{"tarball": mirror.URL + "/npm/archives/" + strings.ReplaceAll(name, "/", "+") + "/" + v + ".tgz"}
		}
	}
	mirror.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		name, file, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/npm/archives/"), "/")
		if rel := mirror.NPM[strings.ReplaceAll(name, "+", "/")][strings.TrimSuffix(file, ".tgz")]; ok && rel != nil {
			w.Write(rel.Tarball)
			return true
		}
		if strings.Contains(r.URL.Path, "/-/") {
			http.NotFound(w, r)
			return true
		}
		return false
	}
	other, _ := newInstaller(t, mirror)
	if _, tree, err := other.Restore(context.Background(), l); err != nil {
		t.Errorf("from the mirror: %v", err)
	} else {
		tree.Close()
	}
	mirror.NPM["left"]["1.0.0"].Tarball = tarballOf(map[string]string{"package.json": `{"name":"left","version":"1.0.0"}`, "i.js": "evil"})
	third, _ := newInstaller(t, mirror)
	if _, tree, err := third.Restore(context.Background(), l); err == nil {
		tree.Close()
		t.Error("another archive was taken from the mirror")
	}
}

// A lock's address leads nowhere but to an archive of that package.
func TestLockNamesOnlyArchives(t *testing.T) {
	for from, fine := range map[string]bool{
		"": true, "left/-/left-1.0.0.tgz": true, "archives/left/1.0.0.tgz": true, "/download/@s/left/1.0.0/abcdef": true, "deep/left-1.0.0.tar.gz": true,
		"../admin/left-1.0.0.tgz": false, "%2e%2e/left-1.0.0.tgz": false, "left/-/left-1.0.0.tgz?delete=1": false, "//evil.invalid/left-1.0.0.tgz": false,
		"http://evil.invalid/left-1.0.0.tgz": false, "-/npm/v1/tokens": false, "right/-/right-1.0.0.tgz": false, "left": false, "a/./left-1.0.0.tgz": false,
		"left/../../left-1.0.0.tgz": false, `a\left-1.0.0.tgz`: false, "left-1.0.0.tgz#x": false, "left\n-1.0.0.tgz": false,
	} {
		if err := checkFrom(from, "@s/left", "1.0.0"); (err == nil) != fine {
			t.Errorf("%q: %v", from, err)
		}
	}
}

// A registry that drips, or whose document does not end, ends the install and not
// the machine.
func TestEndlessRegistry(t *testing.T) {
	var sent atomic.Int64
	version := `"1.0.%d": {"name": "a", "version": "1.0.%d", "dist": {"tarball": "x"}, "readme": "` + strings.Repeat("x", 1<<16) + `"},`
	for name, tc := range map[string]struct {
		answer func(w io.Writer, i int) error
		want   string
	}{
		"a byte at a time": {func(w io.Writer, i int) error {
			time.Sleep(20 * time.Millisecond)
			_, err := io.WriteString(w, " ")
			return err
		}, "bytes came in"},
		"versions without end": {func(w io.Writer, i int) error {
			if i == 0 {
				io.WriteString(w, `{"name": "a", "versions": {`)
			}
			_, err := fmt.Fprintf(w, version, i, i)
			return err
		}, "larger than"},
		"dates without end": {func(w io.Writer, i int) error {
			if i == 0 {
				io.WriteString(w, `{"name": "a", "time": {`)
			}
			var b strings.Builder
			for j := range 1000 {
				fmt.Fprintf(&b, `"%d.%d":"2024-01-01T00:00:00Z",`, i, j)
			}
			_, err := io.WriteString(w, b.String())
			return err
		}, "of memory"},
		"bad versions without end": {func(w io.Writer, i int) error {
			if i == 0 {
				io.WriteString(w, `{"name": "a", "versions": {`)
			}
			var b strings.Builder
			for j := range 1000 {
				fmt.Fprintf(&b, `"%d.%d":0,`, i, j)
			}
			_, err := io.WriteString(w, b.String())
			return err
		}, "of memory"},
		"one endless text": {func(w io.Writer, i int) error {
			if i == 0 {
				io.WriteString(w, `{"name": "a", "readme": "`)
			}
			_, err := io.WriteString(w, strings.Repeat("x", 1<<16))
			return err
		}, "one part of it"},
	} {
		f := packtest.New(t, false)
		f.Answer = func(w http.ResponseWriter, r *http.Request) bool {
			for i := 0; r.Context().Err() == nil; i++ {
				if tc.answer(w, i) != nil {
					return true
				}
				w.(http.Flusher).Flush()
				sent.Add(1)
			}
			return true
		}
		reg := npmRegistryOf(f)
		reg.Timeout, reg.Whole = 500*time.Millisecond, 2*time.Minute
		client, err := reg.Client()
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, err = FetchPackument(context.Background(), reg, client, "a")
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if grew := int64(after.Sys) - int64(before.Sys); grew > 96<<20 {
			t.Errorf("%s: it took %d MiB", name, grew>>20)
		}
		reg.Whole = 100 * time.Millisecond
		start := time.Now()
		if _, err = FetchPackument(context.Background(), reg, client, "a"); err == nil || time.Since(start) > time.Minute {
			t.Errorf("%s: the whole of a fetch is not bounded: %v", name, err)
		}
		f.CloseClientConnections()
	}
}

// A document whose version names another, or that takes a deprecation back.
func TestPackumentReads(t *testing.T) {
	p, err := readPackument(strings.NewReader(`{"name":"a","extra":[{"deep":{}}],"dist-tags":{"latest":"1.0.0","odd":7},"time":{"1.0.0":"2024-01-01T00:00:00Z","unpublished":{"x":1}},
		"versions":{"1.0.0":{"name":"a","version":"1.0.0","deprecated":"","dist":{},"engines":["node"],"scripts":{"postinstall":"x","test":"y"}},"1.1.0":{"name":"a","version":"9.9.9"},
		"1.2.0":{"name":"a","version":"1.2.0","deprecated":"no more","scripts":[]},"1.3.0":{"name":"a","version":"1.3.0","deprecated":false},"1.4.0":{"name":"b","version":"1.4.0"},"1.5.0":7}}`), "a")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Versions) != 3 || len(p.Bad) != 3 || p.Versions["1.0.0"].Deprecated != "" || p.Versions["1.2.0"].Deprecated != "no more" || p.Versions["1.3.0"].Deprecated != "" {
		t.Errorf("%+v", p)
	}
	if s := p.Versions["1.0.0"].Scripts; len(s) != 1 || s["postinstall"] != "x" || p.Tags["latest"] != "1.0.0" || len(p.Tags) != 1 || len(p.Time) != 1 {
		t.Errorf("%+v", p)
	}
	for _, torn := range []string{``, `[]`, `{"versions":{"1.0.0":{}`, `{"name":"a"`, `{"name":7}`} {
		if _, err := readPackument(strings.NewReader(torn), "a"); err == nil {
			t.Errorf("%q: read", torn)
		}
	}
}

// An index that has only HTML lacks nothing but dates: without an age it serves,
// and with one the reason is said.
func TestHTMLIndex(t *testing.T) {
	f := packtest.New(t, false)
	pypiWorld(f)
	f.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		name, ok := strings.CutPrefix(r.URL.Path, "/simple/")
		files := f.PyPI[strings.Trim(name, "/")]
		if !ok || files == nil {
			return false
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		for _, file := range files {
			fmt.Fprintf(w, "<a href=\"../../files/%s/%s#sha256=%x\" data-requires-python=\"&gt;=3.6\">%s</a><br>\n", name, file.Name, sha256.Sum256(file.Data), file.Name)
		}
		return true
	}
	in, _ := newInstaller(t, f)
	if _, _, err := add(in, mustRef(t, "pypi:demo-server")); err == nil || !strings.Contains(err.Error(), "gives no dates; set install.min-age to 0") {
		t.Errorf("with an age: %v", err)
	}
	in.MinAge = 0
	_, tree, err := add(in, mustRef(t, "pypi:demo-server"))
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
	p, err := readProjectHTML(strings.NewReader(`<!DOCTYPE html><A HREF="/a-1.0-py3-none-any.whl#sha256=00" data-yanked>x</A><a>no</a><a href="b-1.0.tar.gz" data-yanked="bad">y</a>`), "a")
	if err != nil || len(p.Files) != 2 || p.Files[0].yanked() != "yanked" || p.Files[1].yanked() != "yanked: bad" || p.Files[0].Hashes["sha256"] != "00" {
		t.Errorf("%+v, %v", p, err)
	}
}

// The version is the one that runs here: what a package says of its interpreter
// counts, and so do the tags of wheels.
func TestVersionFitsTheInterpreter(t *testing.T) {
	f := packtest.New(t, false)
	old := now.Add(-30 * day)
	engine := func(node string) map[string]any { return map[string]any{"engines": map[string]string{"node": node}} }
	f.Publish("a", "1.0.0", old, engine(">=18"), nil)
	f.Publish("a", "2.0.0", old.Add(time.Hour), engine(">=99"), nil)
	f.Publish("odd", "1.0.0", old, map[string]any{"engines": []string{"node >= 0.8"}}, nil)
	f.Upload("b", "1.0", old, nil, nil)
	f.Upload("b", "2.0", old, nil, nil).Extra = map[string]any{"requires-python": ">=3.99"}
	f.Upload("b", "3.0", old, nil, nil).Name = "b-3.0-cp311-cp311-win_amd64.whl"
	f.Upload("c", "1.0", old, nil, nil).Name = "c-1.0-cp311-cp311-win_amd64.whl"
	for _, v := range []string{"0.1", "1.10", "1.9"} { // the newest is named, not the first
		f.Upload("e", v, old, nil, nil).Extra = map[string]any{"requires-python": "==3.99.*"}
	}
	f.Upload("d", "1.0", old, nil, nil).Name = "d-1.0-py2.py3-none-any.whl"
	in, _ := newInstaller(t, f)
	for _, e := range []Ecosystem{NPM, PyPI} {
		if err := in.AskInterpreter(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		i := in.Tools.Interpreter
		if i.Version == "" || e == PyPI && len(i.Tags) == 0 {
			t.Fatalf("%s: %+v", e, i)
		}
		for ref, want := range map[string]string{"npm:a": "1.0.0", "npm:a@2.0.0": "2.0.0", "npm:odd": "1.0.0", "pypi:b": "1.0", "pypi:d": "1.0", "pypi:c": "a wheel for this machine", "pypi:b==2.0": "needs Python >=3.99", "pypi:e": "1.10 needs Python ==3.99.*"} {
			if !strings.HasPrefix(ref, string(e)) {
				continue
			}
			rel, err := in.Resolve(context.Background(), mustRef(t, ref))
			if got := rel.Ref.Version; got != want && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %q, %v; want %q", ref, got, err, want)
			}
			if notes := strings.Join(rel.Notes, ""); ref == "npm:a" && !strings.Contains(notes, "2.0.0, which needs node >=99") || ref == "npm:a@2.0.0" && !strings.Contains(notes, "needs node >=99") {
				t.Errorf("%s: the reason is not said: %q", ref, rel.Notes)
			}
		}
	}
}

// A document without end is given up after a bounded time and in bounded memory.
func BenchmarkEndlessPackument(b *testing.B) {
	one := `"1.0.%d": {"name": "a", "version": "1.0.%d", "dist": {"tarball": "x"}, "readme": "` + strings.Repeat("x", 1<<16) + `"},`
	var most uint64
	for b.Loop() {
		endless := &repeated{head: `{"name": "a", "versions": {`, text: func(i int) string { return fmt.Sprintf(one, i, i) }}
		if _, err := readPackument(io.LimitReader(endless, maxPackument), "a"); err == nil {
			b.Fatal("it was read")
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}
	b.ReportMetric(float64(most)/(1<<20), "MiB-heap")
	b.ReportMetric(float64(maxPackument)/(1<<20), "MiB-read")
}

// A registry that sends a byte a second is given up after a bounded time, by the
// bounds that hold for everybody, and so is one that sends nothing.
func BenchmarkDrippingRegistry(b *testing.B) {
	for name, head := range map[string]string{"byte": " ", "nothing": ""} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					io.WriteString(w, head)
					w.(http.Flusher).Flush()
					time.Sleep(time.Second)
				}
			}))
			defer server.Close()
			defer server.CloseClientConnections()
			reg := Registry{URL: server.URL + "/"}
			client, err := reg.Client()
			if err != nil {
				b.Fatal(err)
			}
			var m runtime.MemStats
			for b.Loop() {
				if _, err := FetchPackument(context.Background(), reg, client, "a"); err == nil {
					b.Fatal("it was read")
				}
			}
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB-heap")
		})
	}
}

// repeated is a text that goes on as long as somebody reads.
type repeated struct {
	head string
	text func(i int) string
	n    int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.head == "" {
		r.head = r.text(r.n)
		r.n++
	}
	n := copy(p, r.head)
	r.head = r.head[n:]
	return n, nil
}
