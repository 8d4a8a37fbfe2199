package install

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/packtest"
)

// sourceWorld is a server whose dependency has no wheel.
func sourceWorld(f *packtest.Registry) {
	old := now.Add(-30 * day)
	f.Upload("demo-server", "1.0", old, []string{"proxy-tools"}, map[string]string{
		"demo_server.py":             "import proxy_tools\ndef main():\n    print(proxy_tools.name)\n",
		"DIST-INFO/entry_points.txt": "[console_scripts]\ndemo-server = demo_server:main\n"})
	f.Upload("demo-backend", "1.0", old, nil, map[string]string{"demo_backend.py": "kind = 'wheel'\n"})
	f.Source("proxy-tools", "0.1.0", old, []string{"demo-backend >= 1"}, map[string]string{"module.py": "name = 'built'\n",
		"hook.py": "import demo_backend, sys\nprint('the build says', demo_backend.kind)\n"})
	f.Source("proxy-tools", "0.2.0", now.Add(-day), nil, map[string]string{"module.py": "name = 'too young'\n"})
}

// A package without a wheel runs its own code when it is installed: that takes its
// name, happens without network, and comes out the same elsewhere.
func TestBuildsOnlyWhatIsNamed(t *testing.T) {
	for _, tool := range []string{"pip", "uv"} {
		t.Run(tool, func(t *testing.T) {
			f := packtest.New(t, false)
			sourceWorld(f)
			in, run := newInstaller(t, f)
			uv, err := exec.LookPath("uv")
			if tool == "uv" && err != nil {
				t.Skip("no uv on this machine")
			}
			if tool == "uv" {
				in.Tools.UV = uv
			}
			_, _, err = add(in, mustRef(t, "pypi:demo-server"))
			var needs *pack.SourceError
			if !errors.As(err, &needs) || needs.Name != "proxy-tools" {
				t.Fatalf("without its name: %v", err)
			}
			run.jobs = nil
			in.Build = []string{"proxy-tools"}
			l, tree, err := add(in, mustRef(t, "pypi:demo-server"))
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			i := slices.IndexFunc(l.Dependencies, func(d pack.Dependency) bool { return d.Path == "proxy-tools" })
			if i < 0 || !l.Dependencies[i].Built || l.Dependencies[i].File != "proxy_tools-0.1.0.tar.gz" || l.Dependencies[i].Version != "0.1.0" {
				t.Fatalf("lock: %+v", l.Dependencies)
			}
			builds := 0
			for _, job := range run.jobs {
				if strings.HasPrefix(job.Name, "the build of") {
					builds++
					if len(job.Network) != 0 {
						t.Errorf("the build has the network %v", job.Network)
					}
				}
			}
			if builds == 0 {
				t.Error("nothing was built")
			}
			if data, err := os.ReadFile(filepath.Join(tree.Dir, "lib/proxy_tools.py")); err != nil || string(data) != "name = 'built'\n" {
				t.Errorf("installed: %q, %v", data, err)
			}
			read := reread(t, l)

			other, _ := newInstaller(t, f)
			if _, _, err := other.Restore(context.Background(), read); err == nil || !strings.Contains(err.Error(), "install.build") {
				t.Errorf("a lock builds what the profile does not name: %v", err)
			}
			other.Build = in.Build
			// The lock names no wheel that came later.
			f.Upload("proxy-tools", "0.1.0", now.Add(-20*day), nil, map[string]string{"proxy_tools.py": "name = 'another'\n"})
			_, same, err := other.Restore(context.Background(), read)
			if err != nil {
				t.Fatal(err)
			}
			defer same.Close()
			if same.Hash != tree.Hash {
				t.Errorf("restored %s, locked %s", same.Hash, tree.Hash)
			}
			old := l
			old.Dependencies = slices.Clone(l.Dependencies)
			old.Dependencies[i].Built, old.Dependencies[i].File = false, "proxy_tools-0.1.0-py3-none-any.whl"
			if d := pack.DiffLocks(old, l).String(); !strings.Contains(d, "! proxy-tools is built from source now") {
				t.Errorf("an update does not say it: %s", d)
			}
		})
	}
}

// The package itself may be one without wheels; a build that wants an address, or
// that makes another package, is refused.
func TestBuildIsHeldToItsPackage(t *testing.T) {
	f := packtest.New(t, false)
	old := now.Add(-30 * day)
	points := map[string]string{"module.py": "def main(): print('hello')\n", "entry_points.txt": "[console_scripts]\nonly-source = only_source:main\n"}
	f.Source("only-source", "1.0", old, nil, points)
	f.Source("wants-address", "1.0", old, []string{"x @ http://127.0.0.1/x.whl"}, points)
	f.Source("wants-option", "1.0", old, []string{"--index-url=http://127.0.0.1/"}, points)
	f.Source("another", "1.0", old, nil, map[string]string{"module.py": "", "hook.py": "dist = 'requests'\n"})
	f.Source("itself", "1.0", old, []string{"itself"}, points)
	in, _ := newInstaller(t, f)
	if _, _, err := add(in, mustRef(t, "pypi:only-source")); err == nil || !strings.Contains(err.Error(), "no wheel") {
		t.Errorf("without its name: %v", err)
	}
	in.Build = []string{"only-source", "wants-address", "wants-option", "another", "itself"}
	l, tree, err := add(in, mustRef(t, "pypi:only-source"))
	if err != nil {
		t.Fatal(err)
	}
	tree.Close()
	if e, err := EntryOf(tree, l); err != nil || e.Bin != "only-source" {
		t.Errorf("%+v, %v", e, err)
	}
	for name, words := range map[string]string{"wants-address": "no package of the index", "wants-option": "no package of the index", "another": "its build made", "itself": "itself"} {
		if _, _, err := add(in, mustRef(t, "pypi:"+name)); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Somebody who asks for a version that has no wheel is told that, and not that there is
// no such version.
func TestAskedForVersionIsSourceAlone(t *testing.T) {
	f := packtest.New(t, false)
	f.Source("proxy-tools", "0.1.0", now.Add(-60*day), nil, map[string]string{"module.py": "name = 'built'\n"})
	f.Upload("proxy-tools", "0.2.0", now.Add(-30*day), nil, map[string]string{"proxy_tools.py": ""})
	in, _ := newInstaller(t, f)
	var source *pack.SourceError
	if _, err := in.Resolve(context.Background(), mustRef(t, "pypi:proxy-tools==0.1.0")); !errors.As(err, &source) {
		t.Errorf("with its source alone: %v", err)
	}
	var missing *pack.MissingError
	if _, err := in.Resolve(context.Background(), mustRef(t, "pypi:proxy-tools==0.3.0")); !errors.As(err, &missing) {
		t.Errorf("a version that nobody published: %v", err)
	}
	if rel, err := in.Resolve(context.Background(), mustRef(t, "pypi:proxy-tools")); err != nil || rel.Ref.Version != "0.2.0" {
		t.Errorf("%v, %v", rel.Ref, err)
	}
	in.Build = []string{"proxy-tools"}
	if rel, err := in.Resolve(context.Background(), mustRef(t, "pypi:proxy-tools==0.1.0")); err != nil || rel.Ref.Version != "0.1.0" {
		t.Errorf("where it may be built: %v, %v", rel.Ref, err)
	}
}
