package install

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/packtest"
)

// A user who installs pays once: one request for each page and archive, and one start
// of the package manager for the whole. If the tree is here, no archive is fetched at
// all.
func TestInstallsOnce(t *testing.T) {
	for _, tc := range []struct {
		ref, tool string
		world     func(*packtest.Registry)
		archives  int
	}{
		{"npm:@demo/server", "npm", packtest.NPMWorld, 4},
		{"npm:parent", "npm", bundlingWorld, 1},
		{"pypi:demo-server", "pip", packtest.PyPIWorld, 2},
		{"pypi:demo-server", "uv", packtest.PyPIWorld, 2},
	} {
		t.Run(tc.tool+" "+tc.ref, func(t *testing.T) {
			f := packtest.New(t, false)
			tc.world(f)
			in, run := newInstaller(t, f)
			if tc.tool == "uv" {
				uv, err := exec.LookPath("uv")
				if err != nil {
					t.Skip("no uv on this machine")
				}
				in.Tools.UV = uv
			}
			at := now
			in.Now = func() time.Time { return at }
			ref := mustRef(t, tc.ref)
			l, tree, err := add(in, ref)
			if err != nil {
				t.Fatal(err)
			}
			tree.Close()
			archive := func(path string) bool { return strings.HasSuffix(path, ".tgz") || strings.HasSuffix(path, ".whl") }
			seen, archives := map[string]int{}, 0
			for _, path := range f.Asked() {
				// npm by itself asks twice for a missing page.
				if seen[path]++; seen[path] > 1 && !strings.HasSuffix(path, ".metadata") && path != "/npm/gone" {
					t.Errorf("%s was asked for again", path)
				}
				if archive(path) {
					archives++
				}
			}
			if archives != tc.archives {
				t.Errorf("%d archives, want %d: %v", archives, tc.archives, f.Asked())
			}
			tools := 0
			for _, job := range run.jobs {
				if strings.Contains(job.Name, tc.tool) {
					tools++
				}
			}
			if want := 1; tools != want && tc.ref != "npm:parent" {
				t.Errorf("%d starts of %s", tools, tc.tool)
			}

			// A moment later: nothing but the page that says which version there is.
			before := len(f.Asked())
			run.jobs = nil
			again, tree, err := add(in, ref)
			if err != nil {
				t.Fatal(err)
			}
			tree.Close()
			if more := f.Asked()[before:]; len(run.jobs) != 0 || slices.ContainsFunc(more, func(p string) bool { return archive(p) || strings.Contains(p, "dep") }) {
				t.Errorf("again: %d jobs, asked for %v", len(run.jobs), more)
			}
			if !sameLock(l, again) {
				t.Errorf("the lock is another:\n%+v\n%+v", l, again)
			}

			// Later the install asks the registry again, which has nothing new.
			at = now.Add(time.Hour)
			before = len(f.Asked())
			again, tree, err = add(in, ref)
			if err != nil {
				t.Fatal(err)
			}
			tree.Close()
			more := f.Asked()[before:]
			// Pip resolves with the wheels, and npm with an archive that others are in.
			if tc.tool != "pip" && tc.ref != "npm:parent" && slices.ContainsFunc(more, archive) {
				t.Errorf("an archive of a tree that is here was fetched: %v", more)
			}
			if !sameLock(l, again) || len(more) < 2 && tc.ref != "npm:parent" {
				t.Errorf("asked for %v; the lock is\n%+v\nand was\n%+v", more, again, l)
			}

			// The lock of a one-go install restores the same elsewhere.
			other, _ := newInstaller(t, f)
			_, tree, err = other.Restore(context.Background(), l)
			if err != nil {
				t.Fatal(err)
			}
			tree.Close()
		})
	}
}

// bundlingWorld is a server that brings a package inside its own archive.
func bundlingWorld(f *packtest.Registry) {
	manifest := map[string]any{"bin": "i.js", "bundleDependencies": []string{"inner"}, "dependencies": map[string]string{"inner": "6.6.6"}}
	f.Publish("parent", "1.0.0", now.Add(-30*day), manifest, map[string]string{"i.js": "#!/usr/bin/env node\n", "node_modules/inner/package.json": `{"name":"inner","version":"6.6.6"}`})
	f.Publish("inner", "6.6.6", now.Add(-30*day), nil, nil)
}

func sameLock(a, b pack.Lock) bool {
	a.Locked, b.Locked = time.Time{}, time.Time{}
	x, err1 := a.Encode()
	y, err2 := b.Encode()
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// An install must not take over a choice by other rules: neither of a younger age nor
// of another registry.
func TestChosenByOtherRulesIsChosenAnew(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	in, _ := newInstaller(t, f)
	in.MinAge = 0
	l, tree, err := add(in, mustRef(t, "npm:@demo/server"))
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
	old := in
	old.MinAge = 3 * day
	held, tree, err := add(old, mustRef(t, "npm:@demo/server"))
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
	left := func(l pack.Lock) string {
		for _, d := range l.Dependencies {
			if d.Path == "node_modules/left" {
				return d.Version
			}
		}
		return ""
	}
	if left(l) != "1.1.0" || left(held) != "1.0.0" {
		t.Errorf("without an age %s, with one %s", left(l), left(held))
	}
}

// Eight that begin at once share one install.
func TestEightInstallsAtOnce(t *testing.T) {
	f := packtest.New(t, false)
	packtest.NPMWorld(f)
	in, run := newInstaller(t, f)
	var all sync.WaitGroup
	var mu sync.Mutex
	trees := map[string]int{}
	for range 8 {
		all.Go(func() {
			_, tree, err := add(in, mustRef(t, "npm:@demo/server"))
			if err != nil {
				t.Error(err)
				return
			}
			tree.Close()
			mu.Lock()
			trees[tree.Hash]++
			mu.Unlock()
		})
	}
	all.Wait()
	archives := 0
	for _, path := range f.Asked() {
		if strings.HasSuffix(path, ".tgz") {
			archives++
		}
	}
	if len(trees) != 1 || archives != 4 || len(run.jobs) != 1 {
		t.Errorf("trees %v, %d archives, %d jobs", trees, archives, len(run.jobs))
	}
}
