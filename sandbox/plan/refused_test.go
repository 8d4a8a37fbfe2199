package plan

import (
	"testing"

	"mcpen/sandbox/audit"
)

// A person who reads why something was refused must read what decided: the profile as it
// is, or what was met at the time; and a refusal that is mended must not look open.
func TestRefused(t *testing.T) {
	c, tr := whyCase(t)
	roots := audit.Roots{Workspace: "/home/ada/src/app", Home: "/home/ada"}
	during := func(method string) *audit.Request { return &audit.Request{Method: method} }
	private := audit.AllowRule("api.example.com:443").With("host", "private", true)
	for _, test := range []struct {
		name  string
		event audit.Event
		want  string // as short formats it
		why   string
	}{
		{"read", audit.Event{Kind: audit.KindFile, Subject: "/home/ada/other/x", Grant: roots.AllowPath("read", "/home/ada/other/x")},
			`read- filesystem.read = ["~/other/x"]`, "no rule declares it: nothing of it is there inside"},
		{"read, and declared by now", audit.Event{Kind: audit.KindFile, Subject: "/home/ada/docs/a", Grant: roots.AllowPath("read", "/home/ada/docs/a")}, "read+1", "declared"},
		{"protected", audit.Event{Kind: audit.KindFile, Subject: "/home/ada/src/app/.git/config", Grant: roots.AllowPath("unprotect", "/home/ada/src/app/.git")},
			`write-3 filesystem.unprotect = ["${workspace}/.git"]`, `protected: code outside trusts it, in "/home/ada/src/app/.git", and stays as it is`},
		{"beside the one file", audit.Event{Kind: audit.KindFile, Subject: "/home/ada/one.db", Detail: "no rename replaces it", Grant: roots.AllowPath("write", "/home/ada/ones")},
			`write- filesystem.write = ["~/ones"]`, "no rename replaces it"},
		{"its folder, by now", audit.Event{Kind: audit.KindFile, Subject: "/home/ada/one.db", Grant: roots.AllowPath("write", "/home/ada/src/app")},
			"write+4", "declared as one file: it is changed in place, and neither replaced nor removed"},
		{"looked up", audit.Event{Kind: audit.KindName, Subject: "evil.example", Grant: audit.AllowName("evil.example")}, `look up- network.allow = ["evil.example:PORT"]`, "no rule names it"},
		{"looked up, and named by now", audit.Event{Kind: audit.KindName, Subject: "api.example.com", Grant: audit.AllowName("api.example.com")}, "look up+10", "api.example.com:443"},
		{"looked up by its address", audit.Event{Kind: audit.KindName, Subject: "1.2.0.192.in-addr.arpa", Detail: "an address"}, "look up- never", "no rule names it"},
		{"looked up by its address, with what helps elsewhere", audit.Event{Kind: audit.KindName, Subject: "1.2.0.192.in-addr.arpa", Detail: "an address", Hint: "mcpen review demo"}, "look up- never", "no rule names it"},
		{"leads elsewhere", audit.Event{Kind: audit.KindName, Subject: "api.example.com", Rule: "p.toml:10:1", Detail: "it leads elsewhere", Grant: private},
			`look up-10 network.allow = [{ host = "api.example.com:443", private = true }]`, "it leads elsewhere"},
		{"another port", audit.Event{Kind: audit.KindConnect, Subject: "api.example.com:80", Grant: audit.AllowHost("api.example.com:80")},
			`connect-10 network.allow = ["api.example.com:80"]`, "the rule api.example.com:443 names another port"},
		{"no TLS", audit.Event{Kind: audit.KindConnect, Subject: "api.example.com:443", Rule: "p.toml:10:1", Detail: "it speaks none", Grant: audit.AllowRule("api.example.com:443").With("host", "tls", false)},
			`connect-10 network.allow = [{ host = "api.example.com:443", tls = false }]`, "it speaks none"},
		{"too many", audit.Event{Kind: audit.KindConnect, Subject: "api.example.com:443", Rule: "p.toml:10:1", Detail: "too many"}, "connect-10 never", "too many"},
		{"by a rule that is gone", audit.Event{Kind: audit.KindConnect, Subject: "api.example.com:443", Rule: "p.toml:99:1", Detail: "too many"}, "connect+10", "api.example.com:443, and nothing but TLS with this name"},
		{"a socket", audit.Event{Kind: audit.KindConnect, Subject: "/srv/run/db.sock", Grant: roots.AllowSocket("/srv/run/db.sock")}, `connect- sockets.connect = ["/srv/run/db.sock"]`, "no rule names this socket"},
		{"a variable", audit.Event{Kind: audit.KindVariable, Subject: "A_KEY", Grant: audit.AllowVariable("A_KEY")}, `get- env.secret.A_KEY = "env:A_KEY"`, "no line passes or sets it"},
		{"a tool", audit.Event{Kind: audit.KindTool, Subject: "delete", Grant: audit.AllowNamed("tools", "delete"), Request: during("tools/call")}, `call-20 tools.allow = ["delete"]`, "tools.allow has no pattern that matches it"},
		{"a prompt", audit.Event{Kind: audit.KindTool, Subject: "delete", Request: during("prompts/get")}, "call- mcpen review demo", "waits"},
		{"a call too many", audit.Event{Kind: audit.KindTool, Subject: "get_a", Rule: "p.toml:22:1", Detail: "called too often", Request: during("tools/call")}, "call-22 never", "called too often"},
		{"held", audit.Event{Kind: audit.KindTool, Subject: "get_a", Detail: "waits", Hint: "mcpen review demo", Request: during("tools/call")}, "call- mcpen review demo", "waits"},
	} {
		e := test.event
		if e.Detail == "" {
			e.Detail, e.Hint = "waits", "mcpen review demo"
		}
		q, do, ok := Asked(e)
		if !ok {
			t.Errorf("%s: no question", test.name)
			continue
		}
		if q.Path != "" {
			q.Facts = askOf(q.Path, tr).Facts
		}
		a, err := Refused(c, e, q, do)
		if err != nil {
			t.Fatal(err)
		}
		if got := short(a); got != test.want || a.Decisions[0].Why != test.why {
			t.Errorf("%s:\n got %s: %s\nwant %s: %s", test.name, got, a.Decisions[0].Why, test.want, test.why)
		}
	}
	// A refusal that no question covers ends all the same in what changes it, or in why
	// nothing does.
	for _, test := range []struct{ event, want audit.Event }{ // the subject wanted is the reason why nothing changes it
		{audit.Event{Kind: audit.KindStdout, Subject: "hello"}, audit.Event{Detail: "it is no message of MCP", Subject: "a client reads messages there and nothing else; a server writes such text to stderr"}},
		{audit.Event{Kind: audit.KindLine, Subject: "the server", Detail: "a batch"}, audit.Event{Detail: "a batch", Subject: "the line broke the protocol, which no profile changes"}},
		{audit.Event{Kind: audit.KindFinding, Verdict: audit.Refused, Detail: "masked"}, audit.Event{Detail: "masked", Subject: "no secret of the run reaches the client"}},
		{audit.Event{Kind: audit.KindFinding, Verdict: audit.Held, Server: "demo", Detail: "odd words"}, audit.Event{Detail: "odd words", Hint: "mcpen review demo"}},
		{audit.Event{Kind: audit.KindTool, Subject: "roots/list", Detail: audit.AskedFor + "roots/list"}, audit.Event{Detail: audit.AskedFor + "roots/list", Subject: "what a client is asked for, the client decides"}},
		{audit.Event{Kind: audit.KindSyscall, Subject: "ptrace"}, audit.Event{Detail: "it is not among the system calls that a server may make", Subject: "the list is mcpen's own, and the same for every server"}},
		{audit.Event{Kind: audit.KindConnect, Subject: "anything", Detail: "no address"}, audit.Event{Detail: "no address", Subject: "what the server did decides, and no line of a profile"}},
	} {
		q, do, ok := Asked(test.event)
		if v := Met(test.event, do); ok || v.Allowed || v.Why != test.want.Detail || v.Hint != test.want.Hint || v.Never != test.want.Subject {
			t.Errorf("%+v is asked as %+v, and ends as %+v", test.event, q, v)
		}
	}
	for _, e := range []audit.Event{{Kind: audit.KindSyscall, Subject: "ptrace"}, {Kind: audit.KindLine, Subject: "the server"}, {Kind: audit.KindConnect, Subject: "anything"}, {Kind: audit.KindConnect, Subject: "443"}, {Kind: audit.KindConnect}, {Kind: audit.KindConnect, Subject: "a:0"}, {Kind: audit.KindConnect, Subject: "a:65536"}, {Kind: audit.KindConnect, Subject: "a:x"}, {Kind: audit.KindConnect, Subject: "a:"}, {Kind: audit.KindTool}} {
		if q, _, ok := Asked(e); ok {
			t.Errorf("%s %q is asked as %+v", e.Kind, e.Subject, q)
		}
	}
}

// The rule of a refusal is found again from another folder than the server's, and no
// other file's.
func TestRefusedRuleElsewhere(t *testing.T) {
	for rule, want := range map[string]bool{"/srv/a/p.toml:3:1": true, "p.toml:3:1": true, "./p.toml:3:1": true, "../a/p.toml:3:1": true, "a/p.toml:3:1": true,
		"p.toml:3:2": false, "/p.toml:3:1": false, "b/p.toml:3:1": false, "toml:3:1": false, "": false} {
		if got := sameRule("/srv/a/p.toml:3:1", rule); got != want {
			t.Errorf("%q: %v", rule, got)
		}
	}
}

// A refusal that nobody asks a profile about says why no line helps, or which line decides.
func TestMet(t *testing.T) {
	for _, c := range []struct {
		event audit.Event
		want  string // of Never
	}{
		{audit.Event{Kind: audit.KindConnect, Rule: "p.toml:3:1"}, "the line that is named decides: change it"},
		{audit.Event{Kind: audit.KindConnect}, "what the server did decides, and no line of a profile"},
		{audit.Event{Kind: audit.KindLine, Rule: "p.toml:3:1"}, "the line broke the protocol, which no profile changes"},
		{audit.Event{Kind: audit.KindFinding, Rule: "p.toml:3:1"}, "no secret of the run reaches the client"},
	} {
		if got := Met(c.event, ""); got.Never != c.want || got.Rule != c.event.Rule || got.Do != string(c.event.Kind) {
			t.Errorf("%+v: %+v, want %q", c.event, got, c.want)
		}
	}
}
