//go:build integration

package sandbox_test

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
)

// A package manager works with its registry's host alone, and with nothing at
// all it says so at once, and so does the log.
func TestRealPackageManagerReachesItsRegistry(t *testing.T) {
	registry := registryOf(t)
	port := registry.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[registry.Scheme]
	}
	host := registry.Hostname()
	rule := fmt.Sprintf("{ host = %q, private = %t, tls = %t }", host+":"+port, leadsInward(t, host), registry.Scheme == "https")
	// Every answer of the program's is for the test: stdout is the protocol's.
	view := fmt.Sprintf("npm view --no-update-notifier --fetch-retries=0 --registry %q @modelcontextprotocol/server-everything version >&9 2>said; echo $? >&9; sed -n 's/.*code E/E/p' said >&9\n", registry)

	p := held(t)
	r := p.start(p.plan("[network]\nallow = ["+rule+"]\n", view))
	if exit := r.wait(); exit != (sandbox.Exit{}) {
		t.Fatalf("it ended with %+v", exit)
	}
	said := strings.Fields(p.gone())
	if len(said) != 2 || said[1] != "0" || !strings.Contains(said[0], ".") {
		t.Errorf("with its registry allowed it said %q, want a version", said)
	}
	for _, e := range r.events.all() {
		if e.Kind == audit.KindConnect && !strings.HasPrefix(e.Subject, host+":") || e.Verdict == audit.Refused {
			t.Errorf("with its registry allowed: %s %s %s (%s)", e.Kind, e.Verdict, e.Subject, e.Detail)
		}
	}

	p = held(t)
	r = p.start(p.plan("", view))
	r.wait()
	if said := strings.Fields(p.gone()); len(said) < 2 || said[0] == "0" || !slices.Contains([]string{"ENOTFOUND", "ECONNRESET", "ECONNREFUSED"}, said[1]) {
		t.Errorf("with nothing allowed it said %q, want an error that has a name", said)
	}
	if !slices.ContainsFunc(r.events.all(), func(e audit.Event) bool {
		return e.Verdict == audit.Refused && (e.Kind == audit.KindName && e.Subject == host && e.Advice() != "" || e.Kind == audit.KindConnect)
	}) {
		t.Errorf("nobody was told that the registry was refused: %+v", r.events.all())
	}
}

// undiciPackage is the folder in which npm installed undici.
const undiciPackage = "MCPEN_EGRESS_UNDICI"

// undiciReached is as reached, for the HTTP client that most packages bring along.
const undiciReached = `
node     undici    http://allowed.test/        OK
node     undici    https://allowed.test/       OK
node     undici    https://other.test/         ENOTFOUND
node     undici    http://203.0.113.99/        ECONNRESET|UND_ERR_SOCKET
node     undici    http://169.254.169.254/     ECONNRESET|UND_ERR_SOCKET
`

// A package that brings its own HTTP client needs no setting either.
func TestRealUndici(t *testing.T) {
	if os.Getenv(egressStage) == "" {
		registry := registryOf(t)
		dir := t.TempDir()
		for at := dir; at != os.TempDir(); at = filepath.Dir(at) { // the user of the test is another
			if err := os.Chmod(at, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.Command("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", dir, "--registry", registry.String(), "undici@7").CombinedOutput(); err != nil {
			t.Fatalf("cannot install undici: %v\n%s", err, out)
		}
		t.Setenv(undiciPackage, filepath.Join(dir, "node_modules"))
	}
	inOwnNetwork(t, func(t *testing.T, n *ownNetwork) {
		n.install()
		if err := os.CopyFS(filepath.Join(n.pen.project, "node_modules"), os.DirFS(os.Getenv(undiciPackage))); err != nil {
			t.Fatal(err)
		}
		rows := attempts(t, undiciReached)
		text := scriptOf(rows)
		outside := outcomes(outsideOf(t, n.pen.project, n.env(), text))
		n.asked.forget()
		n.pen.start(n.pen.plan(n.profile(), text)).wait()
		inside := outcomes(n.pen.gone())
		for _, row := range rows {
			if got := outside[row.String()]; got != row.outside {
				t.Errorf("%s proves nothing: outside it is told %q", row, got)
			}
			if got := inside[row.String()]; !slices.Contains(strings.Split(row.inside, "|"), got) {
				t.Errorf("%s: told %q, want %s", row, got, row.inside)
			}
		}
		if asked := n.asked.all(); slices.Contains(asked, "other.test") {
			t.Errorf("a name server was asked for %q", asked)
		}
	})
}

// registryOf is the registry of the user's configuration.
func registryOf(t *testing.T) *url.URL {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not here")
	}
	out, err := exec.Command(npm, "config", "get", "registry").Output()
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(strings.TrimSpace(string(out)))
	if err != nil || u.Hostname() == "" {
		t.Fatalf("npm's registry is %q: %v", out, err)
	}
	return u
}

// leadsInward reports whether the registry is on a private network.
func leadsInward(t *testing.T, host string) bool {
	t.Helper()
	list, err := net.DefaultResolver.LookupNetIP(t.Context(), "ip", host)
	if err != nil {
		t.Skipf("needs the registry: %v", err)
	}
	return slices.ContainsFunc(list, netip.Addr.IsPrivate)
}
