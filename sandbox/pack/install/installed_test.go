package install

import (
	"archive/tar"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/packtest"
)

// tarballOf packs a package with an arbitrary package.json.
func tarballOf(files map[string]string) []byte {
	var entries []tar.Header
	var bodies []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entries = append(entries, tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg})
		bodies = append(bodies, files[name])
	}
	return packtest.Tarball(entries, bodies)
}

// A lock that gives a malicious package a harmless name installs and scans clean,
// unless the archive's own name counts.
func TestLockCannotRenameWhatItInstalls(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	packtest.PyPIWorld(f)
	for ref, edits := range map[string][]func(*pack.Dependency){
		"npm:@demo/server": {
			func(d *pack.Dependency) { d.Version, d.From = "9.9.9", "left/-/left-1.0.0.tgz" },
			func(d *pack.Dependency) { d.Name, d.From = "harmless", "left/-/left-1.0.0.tgz" },
		},
		"pypi:demo-server": {
			func(d *pack.Dependency) { d.Version, d.File = "9.9", strings.Replace(d.File, "1.0", "9.9", 1) },
		},
	} {
		in, _ := newInstaller(t, f)
		l, tree, err := add(in, mustRef(t, ref))
		if err != nil {
			t.Fatal(err)
		}
		if found, err := CheckTree(tree, l); err != nil || len(found) != 0 {
			t.Errorf("%s: an honest lock: %v, %v", ref, found, err)
		}
		for i, edit := range edits {
			lying := l
			lying.Dependencies = append([]pack.Dependency{}, l.Dependencies...)
			for j := range lying.Dependencies {
				if d := &lying.Dependencies[j]; d.Path == "node_modules/left" || d.Path == "demo-dep" {
					edit(d)
				}
			}
			// If the tree is there already, and if it is not.
			if _, err := CheckTree(tree, lying); err == nil {
				t.Errorf("%s, edit %d: the tree passes for it", ref, i)
			}
			other, _ := newInstaller(t, f)
			if _, same, err := other.Restore(context.Background(), lying); err == nil {
				same.Close()
				t.Errorf("%s, edit %d: it was installed", ref, i)
			}
			storeIsEmpty(t, other.Store)
		}
		other, _ := newInstaller(t, f)
		_, same, err := other.Restore(context.Background(), l)
		if err != nil {
			t.Fatalf("%s: an honest lock: %v", ref, err)
		}
		same.Close()
		tree.Close()
	}
}

// An archive may differ from the registry's word, or from its own name.
func TestArchiveOfAnotherPackage(t *testing.T) {
	old := now.Add(-30 * day)
	for name, archive := range map[string]map[string]string{
		"another version": {"package.json": `{"name":"left","version":"0.9.0"}`},
		"another name":    {"package.json": `{"name":"right","version":"1.0.0"}`},
		"a second name":   {"package.json": `{"name":"evil","Name":"left","version":"1.0.0"}`},
		"none":            {"package.json": `{}`},
	} {
		f := packtest.New(t, false)
		f.Publish("top", "1.0.0", old, map[string]any{"bin": "i.js", "dependencies": map[string]string{"left": "1.0.0"}}, map[string]string{"i.js": "#!/usr/bin/env node\n"})
		f.Publish("left", "1.0.0", old, nil, nil).Tarball = tarballOf(archive)
		in, _ := newInstaller(t, f)
		if _, tree, err := add(in, mustRef(t, "npm:top")); err == nil {
			tree.Close()
			t.Errorf("%s: installed", name)
		} else if !strings.Contains(err.Error(), "left") {
			t.Errorf("%s: %v", name, err)
		}
		storeIsEmpty(t, in.Store)
	}
}

// A package inside another package runs as well: it is in the lock, in the scan and
// among the vetted packages, and mcpen does not follow a lock that leaves it out.
func TestBundledPackagesAreLocked(t *testing.T) {
	old := now.Add(-30 * day)
	f := packtest.New(t, false)
	manifest := map[string]any{"bin": map[string]string{"top": "i.js"}, "bundleDependencies": []string{"inner"}, "dependencies": map[string]string{"inner": "6.6.6"}}
	files := map[string]string{"i.js": "#!/usr/bin/env node\n", "node_modules/inner/package.json": `{"name":"inner","version":"6.6.6"}`,
		"node_modules/inner/node_modules/@s/deep/package.json": `{"name":"@other/deep","version":"1.2.3"}`}
	f.Publish("top", "1.0.0", old, manifest, files)
	f.Publish("inner", "6.6.6", old, nil, nil)
	in, _ := newInstaller(t, f)
	var vetted []string
	in.Vet = func(l pack.Lock) error {
		for _, d := range l.Dependencies {
			vetted = append(vetted, d.PackageName()+" "+d.Version)
		}
		return nil
	}
	l, tree, err := add(in, mustRef(t, "npm:top"))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	places := map[string]string{}
	for _, d := range l.Dependencies {
		if d.Bundled {
			places[d.Path] = d.PackageName() + " " + d.Version
		}
	}
	const inner, deep = "node_modules/top/node_modules/inner", "node_modules/top/node_modules/inner/node_modules/@s/deep"
	if len(places) != 2 || places[inner] != "inner 6.6.6" || places[deep] != "@other/deep 1.2.3" || !strings.Contains(strings.Join(vetted, ","), "inner 6.6.6,@other/deep 1.2.3") {
		t.Errorf("bundled: %v, vetted: %v", places, vetted)
	}
	read := reread(t, l)
	other, _ := newInstaller(t, f)
	if _, same, err := other.Restore(context.Background(), read); err != nil || same.Hash != tree.Hash {
		t.Errorf("restored: %v", err)
	} else {
		same.Close()
	}
	silent := read
	silent.Dependencies = nil
	for _, d := range read.Dependencies {
		if d.Path != inner {
			silent.Dependencies = append(silent.Dependencies, d)
		}
	}
	third, _ := newInstaller(t, f)
	if _, _, err := third.Restore(context.Background(), silent); err == nil || !strings.Contains(err.Error(), "inner") {
		t.Errorf("a lock without it: %v", err)
	}
	// A lock of the first form does not know of bundled packages: mcpen follows it, and
	// vets the unlisted packages all the same.
	silent.Form, silent.Entry, vetted = 1, nil, nil
	silent.Dependencies = silent.Dependencies[:0:0]
	for _, d := range read.Dependencies {
		if !d.Bundled {
			silent.Dependencies = append(silent.Dependencies, d)
		}
	}
	third.Vet = in.Vet
	if _, same, err := third.Restore(context.Background(), silent); err != nil || !strings.Contains(strings.Join(vetted, ","), "inner 6.6.6") {
		t.Errorf("a lock of the first form: %v, vetted %v", err, vetted)
	} else {
		same.Close()
	}
}

// If one wheel overwrites a file of another, the last one decides which code runs under
// the name of the first.
func TestWheelsDoNotOverwriteEachOther(t *testing.T) {
	old := now.Add(-30 * day)
	for name, tc := range map[string]struct {
		file, content string
		fine          bool
	}{
		"another's module":  {"demo_dep.py", "evil", false},
		"through its data":  {"demo_server-1.0.data/purelib/demo_dep.py", "evil", false},
		"the same content":  {"demo_dep.py", "word = 'dep'\n", true},
		"another dist-info": {"demo_dep-1.0.dist-info/METADATA", "Name: demo-dep\nVersion: 1.0\n", false},
	} {
		f := packtest.New(t, false)
		f.Upload("demo-dep", "1.0", old, nil, map[string]string{"demo_dep.py": "word = 'dep'\n"})
		f.Upload("demo-server", "1.0", old, []string{"demo-dep"}, map[string]string{"demo_server.py": "def main(): pass\n", tc.file: tc.content,
			"DIST-INFO/entry_points.txt": "[console_scripts]\ndemo-server = demo_server:main\n"})
		in, _ := newInstaller(t, f)
		_, tree, err := add(in, mustRef(t, "pypi:demo-server"))
		if (err == nil) != tc.fine {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			tree.Close()
		}
	}
}

// One lock serves a team's Pythons: it has the hashes of all wheels that were old
// enough, and each installs its own.
func TestLockOfAnotherPython(t *testing.T) {
	f := packtest.New(t, false)
	packtest.PyPIWorld(f)
	in, _ := newInstaller(t, f)
	own, other := "demo_dep-1.0-"+in.Tools.PythonTag+"-none-any.whl", "demo_dep-1.0-cp27-none-any.whl"
	f.PyPI["demo-dep"][0].Name = own
	f.Upload("demo-dep", "1.0", now.Add(-30*day), nil, map[string]string{"demo_dep.py": "word = 'of another python'\n"}).Name = other
	f.Upload("demo-dep", "1.0", now.Add(-day), nil, map[string]string{"demo_dep.py": "word = 'young'\n"}).Name = "demo_dep-1.0-cp26-none-any.whl"
	l, tree, err := add(in, mustRef(t, "pypi:demo-server"))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	at := -1
	for i, d := range l.Dependencies {
		if d.Path == "demo-dep" {
			at = i
		}
	}
	d := l.Dependencies[at]
	if d.File != own || len(d.Wheels) != 1 || !strings.HasPrefix(d.Wheels[0], other+" sha256:") {
		t.Fatalf("%+v", d)
	}
	// The lock of a person with the other Python, which knows nothing of this one.
	theirs := d.Others()[0]
	theirs.Wheels = []string{d.File + " " + d.Integrity}
	l.Dependencies = append([]pack.Dependency{}, l.Dependencies...)
	l.Dependencies[at] = theirs
	l.Trees = map[string]string{"linux-test-cp27": "sha256:" + strings.Repeat("a", 64)}
	if _, err := l.Encode(); err != nil {
		t.Fatal(err)
	}
	mate, _ := newInstaller(t, f)
	fresh, same, err := mate.Restore(context.Background(), l)
	if err != nil {
		t.Fatal(err)
	}
	defer same.Close()
	if same.Hash != tree.Hash || len(fresh.Trees) != 2 {
		t.Errorf("restored %s, want %s; trees %v", same.Hash, tree.Hash, fresh.Trees)
	}
	// Their lock lacks the packages that only this Python needs.
	g := packtest.New(t, false)
	g.Upload("mk", "1.0", now.Add(-30*day), []string{`need-it; python_version != "2.7"`}, map[string]string{"mk.py": "def main(): pass\n", "DIST-INFO/entry_points.txt": "[console_scripts]\nmk = mk:main\n"})
	g.Upload("need-it", "1.0", now.Add(-30*day), nil, nil)
	mate, _ = newInstaller(t, g)
	l, whole, err := add(mate, mustRef(t, "pypi:mk"))
	if err != nil || len(l.Dependencies) != 2 {
		t.Fatal(err, l.Dependencies)
	}
	whole.Close()
	l.Dependencies = l.Dependencies[:1]
	l.Trees = nil
	mate, _ = newInstaller(t, g)
	if _, _, err := mate.Restore(context.Background(), l); err == nil || !strings.Contains(err.Error(), "need-it (for mk); lock it again") {
		t.Errorf("a lock without what this Python needs: %v", err)
	}
}
