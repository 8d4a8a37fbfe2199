package pack

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mcpen/sandbox/pack/packtest"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func npmRegistryOf(f *packtest.Registry) Registry {
	return Registry{URL: f.URL + "/npm/", Timeout: 5 * time.Second}
}
func pypiRegistryOf(f *packtest.Registry) Registry {
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
