package policy

import (
	"strings"
	"testing"
)

// A team that pins definitions must not lose that because a profile exempts all of
// them.
func TestPinsExceptStaysWithinTheBaseline(t *testing.T) {
	resolve := func(profile, baseline string) (Policy, error) {
		t.Helper()
		p, err := Parse("p.toml", []byte("version = 1\nname = \"p\"\n"+profile), nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseBaseline("b.toml", []byte("version = 1\n"+baseline), nil)
		if err != nil {
			t.Fatal(err)
		}
		return Resolve(p, Input{Home: "/home/ada", Baselines: []*Profile{b}})
	}
	for _, c := range []struct{ baseline, mistake string }{
		{"[tools]\npins = \"first-use\"\n", `the baseline does not allow that "*" varies`},
		{"[tools]\npins = \"enforce\"\npins-except = [\"news\"]\n", `the baseline does not allow that "*" varies`},
		{"[tools]\npins-except = []\n", `the baseline does not allow that "*" varies`},
		{"[tools]\npins = \"enforce\"\npins-except = [\"*\"]\n", ""},
		{"[tools]\npins = \"warn\"\n", ""},
		{"", ""},
	} {
		_, err := resolve("[tools]\npins-except = [\"*\"]\n", c.baseline)
		if c.mistake == "" && err != nil || c.mistake != "" && (err == nil || !strings.Contains(err.Error(), c.mistake) || !strings.Contains(err.Error(), "p.toml:4:16")) {
			t.Errorf("within %q: %v, want %q", c.baseline, err, c.mistake)
		}
	}
}

// If a baseline denies a server a feature of the client, no profile restores it.
func TestClientStaysWithinTheBaseline(t *testing.T) {
	b, err := ParseBaseline("b.toml", []byte("version = 1\n[client]\nsampling = false\nlogging = false\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse("p.toml", []byte("version = 1\nname = \"p\"\n[client]\nsampling = true\nroots = false\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Resolve(p, Input{Home: "/home/ada", Baselines: []*Profile{b}})
	if err != nil || got.Client != (Client{Elicitation: true}) {
		t.Errorf("%+v, %v", got.Client, err)
	}
	if (Policy{}).Client != (Client{}) || Closed("x").Client != (Client{true, true, true, true}) {
		t.Error("the zero policy lets something pass, or the default does not")
	}
}

// The given values contain no secret, whatever the profile does with it.
func TestGivenHasNoSecret(t *testing.T) {
	p, err := Parse("p.toml", []byte(`version = 1
name = "p"
[params.token]
type = "secret"
[params.root]
type = "directory"
many = true
default = ["/srv/a", "/srv/b"]
[env]
secret = { TOKEN = "${token}" }
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Resolve(p, Input{Home: "/home/ada", Workspace: "/home/ada/src/app", Params: map[string][]string{"token": {"env:TOKEN"}}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range got.Given {
		names = append(names, g.Name+"="+strings.Join(g.Values, ","))
		if g.Declared() != (g.Name == "root") {
			t.Errorf("%s: declared: %v", g.Name, g.Declared())
		}
	}
	if text := strings.Join(names, " "); text != "home=/home/ada root=/srv/a,/srv/b workspace=/home/ada/src/app" {
		t.Errorf("given: %s", text)
	}
}
