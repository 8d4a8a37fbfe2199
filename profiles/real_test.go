//go:build integration

package profiles_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// TestLibrary tries every profile with a package, as its registry gives it today. It
// shows a new user's first experience. The server must start inside with its profile,
// list the tools that it lists outside, meet no refusal of a thing that it needs for
// that, and leave the keys in the home alone. The test also calls many tools.
//
//	go test -tags integration -run "^TestLibrary$/^(git|excel)$" -v ./profiles
//
// PROFILES_HOME keeps locks and packages between runs. If a profile cannot be tried
// here (no chromium, no PostgreSQL), its test fails by name on a machine that is known
// to have everything (MCPEN_HAS_ALL=1), and is skipped elsewhere.
func TestLibrary(t *testing.T) {
	lib := newLibrary(t)
	for _, name := range profiles.Names() {
		if p := parsed(t, name); p.Package() != "" {
			t.Run(name, func(t *testing.T) { lib.try(t, name, p) })
		}
	}
	fmt.Print(lib.table())
}

// library holds the common ground of the profiles' trials.
type library struct {
	bin  string
	home string
	rows []row
	port string // of the page on loopback
}

// row is one line of the table.
type row struct {
	name, version string
	bare, inside  int
	refused       []string
	calls         int
	trouble       string
}

func newLibrary(t *testing.T) *library {
	bin, err := filepath.Abs("../bin/mcpen")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatal("bin/mcpen is not built: make profiles")
	}
	home := os.Getenv("PROFILES_HOME")
	if home == "" {
		home = folder(t)
		t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", home).Run() })
	}
	lib := &library{bin: bin, home: home, port: servePage(t)}
	// A new user has no knowledge of servers and no state of theirs from earlier runs.
	for _, state := range []string{"seen", "servers", "tools"} {
		must(t, os.RemoveAll(filepath.Join(home, ".local/state/mcpen", state)))
	}
	for _, name := range decoys {
		file := filepath.Join(home, name)
		must(t, os.MkdirAll(filepath.Dir(file), 0o700))
		must(t, os.WriteFile(file, []byte("decoy-"+name+"\n"), 0o600))
	}
	return lib
}

// try is one profile, in a workspace of its own.
func (l *library) try(t *testing.T, name string, p *policy.Profile) {
	c := cases[name]
	if c.needs != nil {
		if lack := c.needs(); lack != "" {
			if os.Getenv("MCPEN_HAS_ALL") != "" {
				t.Fatalf("this machine lacks %s", lack)
			}
			t.Skipf("%s is not here", lack)
		}
	}
	s := &session{lib: l, name: name, dir: folder(t), vars: map[string]string{"PORT": l.port}}
	s.vars["DIR"] = s.dir
	s.env = fakes(p)
	if c.setup != nil {
		c.setup(t, s)
	}
	for _, kv := range c.env {
		s.env = append(s.env, s.fill(kv))
	}
	r := row{name: name}
	defer func() { l.rows = append(l.rows, r) }()
	r.trouble = "did not start"
	s.set, s.args = s.words(c.set), s.words(c.args)
	s.install(t)
	planned := s.plan(t)
	r.version = s.version(t)
	want := s.bare(t, planned)
	r.bare = len(want)
	watch := watchDecoys(t, l.home)
	began := time.Now()
	conn := s.inside(t)
	got := conn.tools(t)
	r.inside, r.trouble = len(got), ""
	hidden := hides(t, p, want)
	if diff := differ(want, got, c.differs); diff != "" {
		r.trouble = "other tools"
		t.Errorf("the tools are not those that it lists outside: %s", diff)
	}
	starting := s.refusals(t, began)
	for _, call := range c.calls {
		conn.call(t, s, call)
		r.calls++
	}
	conn.close()
	if c.after != nil {
		c.after(t, s)
	}
	if seen := watch(); len(seen) > 0 {
		t.Errorf("the server opened %q", seen)
	}
	r.refused = starting
	for _, refused := range starting {
		known := func(part string) bool { return strings.Contains(refused, part) }
		if !slices.ContainsFunc(c.refused, known) && !slices.Contains(hidden, strings.TrimPrefix(refused, "tool ")) {
			t.Errorf("it was refused %s at its start", refused)
		}
	}
	if t.Failed() && r.trouble == "" {
		r.trouble = "see above"
	}
}

// table lists the findings, one profile a line.
func (l *library) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-28s %-22s %5s %6s %6s  %s\n", "profile", "version", "bare", "inside", "calls", "refused at the start")
	for _, r := range l.rows {
		fmt.Fprintf(&b, "%-28s %-22s %5d %6d %6d  %s %s\n", r.name, r.version, r.bare, r.inside, r.calls, strings.Join(r.refused, ", "), r.trouble)
	}
	return b.String()
}

// session is one profile that is tried.
type session struct {
	lib  *library
	name string
	dir  string // the workspace
	vars map[string]string
	env  []string // the client's variables for the server, with false secrets
	set  []string
	args []string
}

// fill replaces the names of this try in a text: DIR, PORT, and those of a setup.
func (s *session) fill(text string) string {
	for name, value := range s.vars {
		text = strings.ReplaceAll(text, "$"+name, value)
	}
	return text
}

func (s *session) words(words []string) (out []string) {
	for _, w := range words {
		out = append(out, s.fill(w))
	}
	return out
}

// argv is a command of mcpen for this profile.
func (s *session) argv(command string, flags ...string) []string {
	argv := append([]string{s.lib.bin, command, "--workspace", s.dir}, flags...)
	for _, set := range s.set {
		argv = append(argv, "--set", set)
	}
	return append(append(argv, s.name, "--"), s.args...)
}

func (s *session) command(argv []string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.dir
	cmd.Env = append([]string{"HOME=" + s.lib.home, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "CI=", "USER=ada"}, s.env...)
	for _, kv := range os.Environ() {
		for _, prefix := range []string{"npm_config_", "NPM_CONFIG_", "PIP_", "UV_", "NODE_EXTRA_CA", "SSL_CERT", "GIT_CONFIG_GLOBAL"} {
			if strings.HasPrefix(kv, prefix) {
				cmd.Env = append(cmd.Env, kv)
			}
		}
	}
	return cmd
}

// install locks and installs the package, which no later step waits for.
func (s *session) install(t *testing.T) {
	lock := filepath.Join(s.lib.home, ".config/mcpen/profiles", s.name+".lock")
	if _, err := os.Stat(lock); err == nil {
		return
	}
	c := s.start(t, s.argv("run"))
	c.tools(t)
	c.close()
}

func (s *session) version(t *testing.T) string {
	data, err := os.ReadFile(filepath.Join(s.lib.home, ".config/mcpen/profiles", s.name+".lock"))
	if err != nil {
		t.Fatalf("no lock: %v", err)
	}
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "version = \""); ok {
			return strings.TrimRight(v, "\"\n")
		}
	}
	t.Fatal("the lock names no version")
	return ""
}

func (s *session) plan(t *testing.T) plan.Plan {
	t.Helper()
	cmd := s.command(s.argv("explain", "--json"))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	var p plan.Plan
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	if err != nil {
		t.Fatalf("cannot explain: %v: %s", err, said.String())
	}
	return p
}

// bare starts the same program with the same words and variables outside, with a home
// of its own, and returns its tools.
func (s *session) bare(t *testing.T, p plan.Plan) map[string]string {
	cmd := exec.Command(p.Process.Path, p.Process.Args[1:]...)
	home := folder(t)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "CI="}
	for _, e := range p.Process.Env {
		if own, ok := os.LookupEnv(e.Name); ok && own != "" && bundleVariable(e.Name) {
			e.Value = own // inside it names a place of the sandbox's
		}
		if e.Name != "HOME" && e.Name != "PATH" && !strings.HasPrefix(e.Name, "XDG_") && e.Name != "TMPDIR" || strings.HasPrefix(e.Value, s.lib.home) {
			cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
		}
	}
	if !slices.ContainsFunc(cmd.Env, func(kv string) bool { return strings.HasPrefix(kv, "HOME=") }) {
		cmd.Env = append(cmd.Env, "HOME="+home)
	}
	for _, secret := range p.Process.Secrets {
		for _, kv := range s.env {
			if strings.HasPrefix(kv, secret.Name+"=") {
				cmd.Env = append(cmd.Env, kv)
			}
		}
	}
	c := s.connect(t, cmd)
	defer c.close()
	return c.tools(t)
}

// bundleVariable reports whether a variable names certificates, which have a place of
// their own inside.
func bundleVariable(name string) bool {
	return strings.Contains(name, "CERT") || strings.Contains(name, "CA_BUNDLE") || strings.HasSuffix(name, "CAINFO")
}

func (s *session) inside(t *testing.T) *conn { return s.start(t, s.argv("run")) }

// refusals lists the refusals since a time, and the lines on stdout that are no
// messages. It leaves system calls out: every program has another way, or would list
// other tools.
func (s *session) refusals(t *testing.T, since time.Time) []string {
	t.Helper()
	time.Sleep(300 * time.Millisecond) // for lines written after the answer
	files, err := filepath.Glob(filepath.Join(s.lib.home, ".local/state/mcpen/log", s.name+"*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no log: %v", err)
	}
	var out []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		must(t, err)
		for line := range strings.Lines(string(data)) {
			var e audit.Event
			if json.Unmarshal([]byte(line), &e) != nil || e.Server != s.name || e.Verdict != audit.Refused || e.Time.Before(since) || e.Kind == audit.KindSyscall || e.Kind == audit.KindStdout {
				continue
			}
			if text := string(e.Kind) + " " + e.Subject; !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return out
}

// fakes gives every secret of a profile a value that is none, in the variable that
// its default names.
func fakes(p *policy.Profile) []string {
	var env []string
	for _, q := range p.Params {
		if q.Type != policy.ParamSecret {
			continue
		}
		for _, from := range q.Default {
			name := strings.TrimPrefix(strings.TrimPrefix(from, "?"), "env:")
			env = append(env, name+"=not-a-secret-0123456789abcdef")
		}
	}
	return env
}

// hides takes the tools that the profile does not allow out of those that are listed
// outside, and names them.
func hides(t *testing.T, p *policy.Profile, tools map[string]string) (names []string) {
	t.Helper()
	pol, err := resolve(p, given(p))
	must(t, err)
	matches := func(globs []policy.Glob, name string) bool {
		return slices.ContainsFunc(globs, func(g policy.Glob) bool { ok, err := path.Match(g.Pattern, name); return ok && err == nil })
	}
	for name := range tools {
		if f := pol.Tools.Filter; matches(f.Deny, name) || len(f.Allow) > 0 && !matches(f.Allow, name) {
			names = append(names, name)
			delete(tools, name)
		}
	}
	return names
}

// differ says how two lists of tools are not the same. Where more is expected, only
// the names are compared.
func differ(want, got map[string]string, namesOnly bool) string {
	var out []string
	for name, definition := range want {
		switch inside, ok := got[name]; {
		case !ok:
			out = append(out, "no "+name)
		case inside != definition && !namesOnly:
			out = append(out, fmt.Sprintf("%s is\n%.600s\ninside, and outside\n%.600s", name, inside, definition))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			out = append(out, name+" is new")
		}
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// folder is a folder that a server may be given: not below /tmp, which each has of
// its own.
func folder(t *testing.T) string {
	base, err := os.UserCacheDir()
	must(t, err)
	must(t, os.MkdirAll(base, 0o755))
	dir, err := os.MkdirTemp(base, "mcpen-profiles-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
