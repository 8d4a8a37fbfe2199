package audit_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"mcpen/sandbox/audit"
)

// parsed is the content of a profile with this text.
func parsed(t *testing.T, text string) map[string]any {
	t.Helper()
	var got map[string]any
	if _, err := toml.Decode(text, &got); err != nil {
		t.Fatalf("%q is no TOML: %v", text, err)
	}
	return got
}

// says fails unless both forms of a grant give exactly these values, and the line stays
// one visible line.
func says(t *testing.T, g *audit.Grant, want ...any) {
	t.Helper()
	whole := map[string]any{g.Table: map[string]any{g.Key: want}}
	for _, text := range []string{g.TOML(), g.Line()} {
		if got := parsed(t, text); !reflect.DeepEqual(got, whole) {
			t.Errorf("%q says %v, want %v", text, got, whole)
		}
		if seen := audit.Visible(strings.ReplaceAll(text, "\n", " ")); seen != strings.ReplaceAll(text, "\n", " ") {
			t.Errorf("%q cannot be seen as it is", text)
		}
	}
	if strings.Contains(g.Line(), "\n") || strings.Count(g.TOML(), "\n") != 1 {
		t.Errorf("a grant has one line, or two with its table: %q", g.TOML())
	}
}

// A server chooses names, and a person pastes a line that contains them. The line must
// grant that one place and nothing else.
func TestGrantOfAStrangersName(t *testing.T) {
	roots := audit.Roots{Workspace: "/q", State: "/home/u/.local/state/mcpen/servers/s", Home: "/home/u"}
	for _, c := range []struct{ path, want string }{
		{`/q/.git", "/q/.vscode`, `${workspace}/.git", "/q/.vscode`},
		{`/q/\", "/etc`, `${workspace}/\", "/etc`},
		{"/q", "${workspace}"},
		{"/queue/x", "/queue/x"},
		{"/home/u/.config/x", "~/.config/x"},
		{"/home/user/x", "/home/user/x"},
		{"/home/u/.local/state/mcpen/servers/s/db", "${state}/db"},
		{"/q/${home}/.ssh", "${workspace}/$${home}/.ssh"},
		{"/q/$${home}", "${workspace}/$$${home}"},
		{"/srv/ключ 'a' #b", "/srv/ключ 'a' #b"},
	} {
		g := roots.AllowPath("unprotect", c.path)
		if g == nil {
			t.Errorf("%q has no grant", c.path)
			continue
		}
		says(t, g, c.want)
	}
	for _, path := range []string{
		"/q/**/.git", "/q/*", "/q/a?", "/q/[a]", // patterns, or refused as such
		"/q/a\nunprotect = [\"/q/.git\"]", "/q/a\tb", "/q/\x1b[2J", "/q/\u202egit", "/q/\u200b", "/q/\xff", // invisible
		"", "q", "?/q", // not an absolute path
	} {
		if g := roots.AllowPath("unprotect", path); g != nil {
			t.Errorf("%q is granted by %q, which means something else", path, g.Line())
		}
		if g := roots.AllowSocket(path); g != nil {
			t.Errorf("the socket %q is granted by %q, which means something else", path, g.Line())
		}
	}
}

// A name that a server looks up or sends in TLS is not a rule: "*.com" is a wildcard.
func TestGrantOfAStrangersHost(t *testing.T) {
	for _, host := range []string{"api.example.com:443", "[2001:db8::1]:22", "203.0.113.9:22", "x_y.example:PORT"} {
		says(t, audit.AllowHost(host), host)
	}
	for _, host := range []string{"", "*.com:443", "10.0.0.0/8:22", `a", "b:443`, "a\nb:1", "a b:1", "b\u202ec:1", "\xff:1"} {
		if g := audit.AllowHost(host); g != nil {
			t.Errorf("%q is granted by %q", host, g.Line())
		}
	}
	says(t, audit.AllowRule("*.example.com:443"), "*.example.com:443")
	says(t, audit.AllowRule("n.example:443").With("host", "private", true), map[string]any{"host": "n.example:443", "private": true})
	says(t, audit.AllowRule("n.example:443").With("host", "tls", false), map[string]any{"host": "n.example:443", "tls": false})
	var none *audit.Grant
	if none.With("host", "tls", false) != nil || none.Noted("x") != nil {
		t.Error("no grant became one")
	}
}

func TestGrantOfAnOptionalPath(t *testing.T) {
	g := audit.Roots{}.AllowOptionalPath("deny", "/a/b").Noted("it may be absent")
	says(t, g, "?/a/b")
	if !strings.HasSuffix(g.TOML(), "   # it may be absent") {
		t.Errorf("the remark is not said: %q", g.TOML())
	}
}

// The log stores the value itself beside its line, and returns it.
func TestGrantInTheLog(t *testing.T) {
	for _, g := range []*audit.Grant{
		audit.Roots{}.AllowPath("read", "/a"),
		audit.AllowRule("n.example:443").With("host", "private", true),
		audit.Roots{}.AllowSocket("/run/docker.sock").With("path", "override", "I know"),
	} {
		line, err := audit.Encode(audit.Event{Kind: audit.KindFile, Verdict: audit.Refused, Grant: g})
		if err != nil {
			t.Fatal(err)
		}
		var e audit.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.Hint != g.Line() || !reflect.DeepEqual(e.Grant, g) {
			t.Errorf("the log has %+v with the hint %q, want %+v", e.Grant, e.Hint, g)
		}
	}
}

func FuzzGrant(f *testing.F) {
	for _, s := range []string{`/q/.git", "/q/.vscode`, "/a\\", "/a\x00", "/${a}", "/\u2028", "/'''", "/a]#", "/\U000e0041"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		g := audit.Roots{Home: "/home/u"}.AllowPath("read", path)
		if g == nil {
			return
		}
		got := parsed(t, g.TOML())["filesystem"].(map[string]any)["read"].([]any)
		if len(got) != 1 || !slices.Contains([]string{path, "~" + strings.TrimPrefix(path, "/home/u")}, strings.ReplaceAll(got[0].(string), "$${", "${")) {
			t.Errorf("%q says %q", g.TOML(), got)
		}
		says(t, g, got...)
	})
}
