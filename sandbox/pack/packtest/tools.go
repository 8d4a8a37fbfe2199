package packtest

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// Tools are the package managers of this machine.
type Tools struct {
	NPM, Node, Python string
	PythonTag         string // such as "cp311"
}

// FindTools finds them. With -short, or if one is missing, it skips the test.
func FindTools(t *testing.T) Tools {
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
	tools := Tools{NPM: find("npm"), Node: find("node"), Python: find("python3")}
	// The interpreter itself, not a shim that looks for it at every start.
	out, err := exec.Command(tools.Python, "-c", `import sys; print(sys.executable, "cp%d%d" % sys.version_info[:2])`).Output()
	if err != nil {
		t.Fatal(err)
	}
	tools.Python, tools.PythonTag, _ = strings.Cut(strings.TrimSpace(string(out)), " ")
	return tools
}

// NPMBefore reports whether the npm of this machine is older than a version.
func (t Tools) NPMBefore(tb testing.TB, major, minor int) bool {
	tb.Helper()
	out, err := exec.Command(t.NPM, "--version").Output()
	if err != nil {
		tb.Fatal(err)
	}
	var have, of int
	if _, err := fmt.Sscanf(string(out), "%d.%d.", &have, &of); err != nil {
		tb.Fatalf("the version %q: %v", out, err)
	}
	return have < major || have == major && of < minor
}
