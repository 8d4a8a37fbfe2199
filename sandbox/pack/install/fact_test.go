package install

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/packtest"
)

// A pull request can lock a package that is an hour old and write any date beside it.
// The registry's date at the time of the install counts.
func TestAgeHoldsForALockFromElsewhere(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	packtest.PyPIWorld(f)
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
	packtest.NPMWorld(f)
	in, _ := newInstaller(t, f)
	l, tree, err := add(in, mustRef(t, "npm:@demo/server"))
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
	mirror := packtest.New(t, false)
	packtest.NPMWorld(mirror)
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

// An index with only HTML lacks nothing but dates: it serves if there is no minimum
// age, and with one the error gives the reason.
func TestHTMLIndex(t *testing.T) {
	f := packtest.New(t, false)
	packtest.PyPIWorld(f)
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
}

// The version must run here: a package's demands on its interpreter count, and so do
// the tags of wheels.
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
	for _, e := range []pack.Ecosystem{pack.NPM, pack.PyPI} {
		if err := in.AskInterpreter(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		i := in.Tools.Interpreter
		if i.Version == "" || e == pack.PyPI && len(i.Tags) == 0 {
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
