package install

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/packtest"
	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/pack/store"
)

var now = packtest.Now

const day = 24 * time.Hour

func npmRegistryOf(f *packtest.Registry) registry.Registry {
	return registry.Registry{URL: f.URL + "/npm/", Timeout: 5 * time.Second}
}
func pypiRegistryOf(f *packtest.Registry) registry.Registry {
	return registry.Registry{URL: f.URL + "/simple/", Timeout: 5 * time.Second}
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
	m := packtest.FindTools(t)
	return Tools{Path: os.Getenv("PATH"), NPM: []string{m.NPM}, Node: m.Node, Python: m.Python, PythonTag: m.PythonTag}
}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	s := &store.Store{Dir: filepath.Join(t.TempDir(), "store")}
	t.Cleanup(func() { // trees are read-only
		filepath.WalkDir(s.Dir, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				os.Chmod(p, 0o700)
			}
			return nil
		})
	})
	return s
}

func newInstaller(t *testing.T, f *packtest.Registry) (*Installer, *plainRun) {
	t.Helper()
	run := &plainRun{}
	in := &Installer{Store: newStore(t), Run: run.run, Tools: testTools(t), Platform: "linux-test", MinAge: 3 * day, Now: func() time.Time { return now }}
	if f != nil {
		in.NPM, in.PyPI = npmRegistryOf(f), pypiRegistryOf(f)
	}
	return in, run
}

// storeIsEmpty fails when an install that failed left anything behind.
func storeIsEmpty(t *testing.T, s *store.Store) {
	t.Helper()
	list, err := s.List()
	if err != nil || len(list) > 0 {
		t.Errorf("the store holds %v, %v", list, err)
	}
	if left, _ := os.ReadDir(filepath.Join(s.Dir, "stage")); len(left) != 0 {
		t.Errorf("left in stage: %v", left)
	}
}

func mustRef(t *testing.T, s string) pack.Ref {
	t.Helper()
	r, err := pack.ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// add resolves and installs.
func add(in *Installer, ref pack.Ref) (pack.Lock, *store.Tree, error) {
	rel, err := in.Resolve(context.Background(), ref)
	if err != nil {
		return pack.Lock{}, nil, err
	}
	return in.Install(context.Background(), rel)
}
