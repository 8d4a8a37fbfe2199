package profiles_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mcpen/profiles"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/policy"
)

var update = flag.Bool("update", false, "write the golden files")

// fragments start nothing: they are there to be extended.
var fragments = []string{"chromium", "git-program", "node", "python", "telemetry-off"}

func load(ref, from string) (string, []byte, error) {
	data, ok := profiles.Read(ref)
	if !ok {
		return "", nil, fmt.Errorf("no such profile")
	}
	return ref + ".toml", data, nil
}

func parsed(t *testing.T, name string) *policy.Profile {
	t.Helper()
	file, data, err := load(name, "")
	if err != nil {
		t.Fatalf("no profile %q", name)
	}
	p, err := policy.Parse(file, data, load)
	if err != nil {
		t.Fatalf("a shipped profile has mistakes:\n%v", err)
	}
	return p
}

// given has a value for every parameter without a default.
func given(p *policy.Profile) map[string][]string {
	params := make(map[string][]string)
	for _, q := range p.Params {
		switch {
		case q.Optional:
		case q.Type == policy.ParamDirectory || q.Type == policy.ParamFile:
			params[q.Name] = []string{"/srv/" + q.Name}
		case q.Name == "sites":
			params[q.Name] = []string{"example.com:443", "*.example.org:443"}
		default:
			params[q.Name] = []string{"given"}
		}
	}
	return params
}

func resolve(p *policy.Profile, params map[string][]string) (policy.Policy, error) {
	return policy.Resolve(p, policy.Input{
		Params: params, Home: "/home/ada", State: "/home/ada/.local/state/mcpen", Config: "/home/ada/.config/mcpen",
		Workspace: "/home/ada/src/app", Cwd: "/home/ada",
	})
}

func each(t *testing.T, look func(t *testing.T, name, text string, p *policy.Profile)) {
	t.Helper()
	for _, name := range profiles.Names() {
		text, _ := profiles.Read(name)
		t.Run(name, func(t *testing.T) { look(t, name, string(text), parsed(t, name)) })
	}
}

func TestShippedProfilesResolve(t *testing.T) {
	each(t, func(t *testing.T, name, text string, p *policy.Profile) {
		got, err := resolve(p, given(p))
		if err != nil {
			t.Fatal(err)
		}
		if p.Name != name || p.Description == "" || len(p.Description) > 110 {
			t.Errorf("the profile calls itself %q, %q; its file is %q", p.Name, p.Description, name)
		}
		if fragment := slices.Contains(fragments, name); (got.Server.Package != "") == fragment || fragment && !strings.Contains(text, "starts\n# nothing") && !strings.Contains(text, "starts nothing") {
			t.Errorf("package %q", got.Server.Package)
		}
		if got.Limits.Memory == 0 || got.Limits.Processes == 0 || len(got.Require.Layers) != len(policy.DefaultLayers()) || len(got.Require.Without) > 0 {
			t.Errorf("a shipped profile weakens the defaults: %+v %+v", got.Limits, got.Require)
		}
		if len(got.Install.Scripts) > 0 || got.Install.MinAge != policy.DefaultMinAge {
			t.Errorf("a shipped profile installs with less care: %+v", got.Install)
		}
	})
}

// A profile that needs something of the user must not start without it.
func TestShippedProfilesAskForWhatTheyNeed(t *testing.T) {
	each(t, func(t *testing.T, name, _ string, p *policy.Profile) {
		for _, q := range p.Params {
			if q.Description == "" {
				t.Errorf("%s has no help", q.Name)
			}
			params := given(p)
			if _, required := params[q.Name]; !required {
				continue
			}
			delete(params, q.Name)
			if _, err := resolve(p, params); err == nil {
				t.Errorf("it resolves without %s", q.Name)
			}
		}
	})
}

var (
	secretive = regexp.MustCompile(`(?i)(key|token|secret|passw|pwd|credential|_pass$)`)
	// A name like that which holds no secret.
	plain = []string{"AWS_ACCESS_KEY_ID", "MYSQL_SSL_KEY"}
	tried = regexp.MustCompile(`(?m)^# tried: 20\d\d-\d\d-\d\d, [0-9][0-9A-Za-z.+-]*$`)
)

// A profile takes a secret as a reference, which a client's file can hold without
// holding the secret, and puts it into the variable that the server reads.
func TestShippedSecretsAreTyped(t *testing.T) {
	each(t, func(t *testing.T, name, _ string, p *policy.Profile) {
		got, err := resolve(p, given(p))
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range p.Params {
			if q.Type != policy.ParamSecret {
				continue
			}
			from := ""
			if len(q.Default) == 1 {
				from = strings.TrimPrefix(q.Default[0], "?")
			}
			if i := slices.IndexFunc(got.Env.Secret, func(s policy.SecretFrom) bool { return "env:"+s.Name == from }); i < 0 {
				t.Errorf("%s is from %q, and bound to no variable of that name", q.Name, from)
			}
		}
		for _, e := range got.Env.Pass {
			if secretive.MatchString(e.Name) {
				t.Errorf("%s is passed as if it were no secret", e.Name)
			}
		}
		for _, e := range got.Env.Set {
			if secretive.MatchString(e.Name) && !slices.Contains(plain, e.Name) && !strings.HasSuffix(e.Name, "_ID") {
				t.Errorf("%s is set as if it were no secret", e.Name)
			}
		}
	})
}

// Each host names its source, so that a doubtful reader can look.
func TestShippedHostsHaveASource(t *testing.T) {
	each(t, func(t *testing.T, name, text string, p *policy.Profile) {
		if p.Package() != "" && !tried.MatchString(text) {
			t.Error("it does not say when it was tried, and with which version")
		}
		lines := strings.Split(text, "\n")
		for _, s := range p.Said() {
			if s.Key == "network.allow" && s.At.File == name+".toml" && !strings.Contains(lines[s.At.Line-1], "# source: ") {
				t.Errorf("%s has no source", s.Text)
			}
		}
		if strings.Contains(text, "TODO") {
			t.Error("it is not done")
		}
	})
}

// telemetry are names that servers report to, and that no tool needs.
var telemetry = regexp.MustCompile(`(?i)(telemetry|analytics|posthog|segment\.(io|com)|ingest\..*sentry|agnost\.ai|statsig|amplitude|mixpanel|datadoghq-browser|clearcut|play\.googleapis|bigbrain|^stats\.|^track\.|^events\.|^bf\d|scarf\.sh|desktopcommander\.app|run\.app|onrender\.com)`)

// A user of the library's profiles must not be counted. No profile asks a registry
// either: the lock fixes the package.
func TestShippedProfilesAllowNoTelemetry(t *testing.T) {
	each(t, func(t *testing.T, name, _ string, p *policy.Profile) {
		got, err := resolve(p, given(p))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range got.Network.Allow {
			if telemetry.MatchString(h.Name) || strings.Contains(h.Name, "registry") && h.Name != "registry.opendata.aws" {
				t.Errorf("it reaches %s", h.Name)
			}
		}
		if p.Package() != "" && !slices.ContainsFunc(got.Env.Set, func(e policy.EnvValue) bool { return e.Name == "DO_NOT_TRACK" && e.Value == "1" }) {
			t.Error("it does not extend telemetry-off")
		}
	})
	for _, host := range []string{"us.i.posthog.com", "o1.ingest.us.sentry.io", "telemetry.desktopcommander.app", "api.segment.io", "track.bigbrain.me", "events.mapbox.com", "stats.comet.com", "api.agnost.ai"} {
		if !telemetry.MatchString(host) {
			t.Errorf("%s would pass", host)
		}
	}
}

// A profile reads and changes only the paths of its parameters, the workspace and its
// own state. Of the machine it sees programs, and no user's files.
func TestShippedPathsAreNarrow(t *testing.T) {
	machine := []string{"?/usr/share/zoneinfo", "?/usr/bin/git", "?/usr/lib/git-core", "?/usr/libexec/git-core", "?/usr/share/git-core",
		"?/etc/chromium", "?/etc/chromium.d", "?/etc/fonts"}
	each(t, func(t *testing.T, name, _ string, p *policy.Profile) {
		for _, s := range p.Said() {
			switch s.Key {
			case "filesystem.read":
				if !slices.Contains(machine, s.Text) && !own(p, s.Text) {
					t.Errorf("it reads %s", s.Text)
				}
			case "filesystem.write":
				if !own(p, s.Text) {
					t.Errorf("it changes %s", s.Text)
				}
			case "filesystem.unprotect":
				if name != "git-commit" {
					t.Errorf("it changes %s, which code outside trusts", s.Text)
				}
			case "sockets.connect", "server.command", "require.without":
				t.Errorf("%s: %s", s.Key, s.Text)
			}
		}
	})
}

// own reports whether a path is the workspace, the state, or a parameter's.
func own(p *policy.Profile, text string) bool {
	if text == "${workspace}" || text == "${state}" {
		return true
	}
	return slices.ContainsFunc(p.Params, func(q policy.Param) bool {
		return text == "${"+q.Name+"}" && (q.Type == policy.ParamDirectory || q.Type == policy.ParamFile)
	})
}

// A profile that runs commands or a browser must tell its user the consequences.
func TestShippedProfilesSayWhatTheyMean(t *testing.T) {
	for name, word := range map[string]string{"desktop-commander": "whatever command", "commands": "whatever command", "code-runner": "whatever code",
		"playwright": "own sandbox is off", "chrome-devtools": "own sandbox is off", "puppeteer": "own sandbox is off", "git-commit": "hooks"} {
		if text, ok := profiles.Read(name); !ok || !strings.Contains(string(text), word) {
			t.Errorf("%s does not say %q", name, word)
		}
	}
}

// The library's hosts fit on one page, which a review can read.
func TestWhatTheLibraryReaches(t *testing.T) {
	var b strings.Builder
	for _, name := range profiles.Names() {
		p := parsed(t, name)
		got, err := resolve(p, given(p))
		if err != nil {
			t.Fatal(err)
		}
		hosts := []string{}
		for _, h := range got.Network.Allow {
			hosts = append(hosts, h.String())
		}
		if len(hosts) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(hosts, " "))
		}
	}
	golden := filepath.Join("testdata", "reaches.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != b.String() {
		t.Errorf("the library reaches\n%s\nand %s says\n%s", b.String(), golden, want)
	}
}

// A stranger's package never has the profile of another one, whatever it is called.
func TestAPackageHasItsProfileByItsExactName(t *testing.T) {
	found := make(map[string]string)
	for _, name := range profiles.Names() {
		pkg := parsed(t, name).Package()
		if pkg == "" {
			continue
		}
		ref, err := pack.ParseRef(pkg)
		if err != nil || ref.String() != pkg {
			t.Errorf("%s: the package is %q, and its registry has it as %q (%v)", name, pkg, ref, err)
		}
		of, ok := profiles.For(pkg)
		if !ok {
			t.Errorf("%s is not found by %s", name, pkg)
		}
		text, _ := profiles.Read(name)
		if writes := strings.Contains(string(text), "\npackage = "); writes != (of == name) {
			t.Errorf("%s leads to %s, and %s writes it too", pkg, of, name)
		}
		found[pkg] = of
	}
	if len(found) < 60 {
		t.Errorf("%d servers", len(found))
	}
	for _, stranger := range []string{"", "npm:", "filesystem", "npm:filesystem", "npm:server-filesystem", "npm:@stranger/server-filesystem", "npm:@modelcontextprotocol/server-filesystem2",
		"npm:@modelcontextprotocol/Server-filesystem", "pypi:@modelcontextprotocol/server-filesystem", "npm:mcp-server-git", "pypi:mcp_server_git", "npm:@modelcontextprotocol/server-filesystem\"\n",
		"npm:@modelcontextprotocol/server-filesystem@1.0.0"} {
		if name, ok := profiles.For(stranger); ok {
			t.Errorf("%q is given the profile %s", stranger, name)
		}
	}
}

func TestReadKeepsToItsOwnFiles(t *testing.T) {
	for _, name := range []string{"", "../profiles/node", "nosuch", "node.toml", `..\node`} {
		if _, ok := profiles.Read(name); ok {
			t.Errorf("Read(%q) found something", name)
		}
	}
	if _, ok := profiles.Read("node"); !ok {
		t.Error("Read(node) found nothing")
	}
}
