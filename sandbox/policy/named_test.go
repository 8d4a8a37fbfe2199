package policy

import (
	"strings"
	"testing"
)

// A variable in a client's entry reaches its server by name. It neither replaces the
// profile's variable nor exceeds a baseline.
func TestVariablesOfTheCommandLine(t *testing.T) {
	p, err := Parse("p.toml", []byte("version = 1\nname = \"p\"\n[env.set]\nLEVEL = \"warn\"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Pass: []string{"LEVEL", "COLOR", "COLOR"}, Secrets: map[string]string{"TOKEN": "?env:TOKEN"}}
	pol, err := Resolve(p, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(pol.Env.Pass) != 1 || pol.Env.Pass[0].Name != "COLOR" || pol.Env.Pass[0].At.String() != "--pass" {
		t.Errorf("passes %+v", pol.Env.Pass)
	}
	if len(pol.Env.Secret) != 1 || pol.Env.Secret[0].From != "?env:TOKEN" || pol.Env.Secret[0].At.String() != "--secret" {
		t.Errorf("secrets %+v", pol.Env.Secret)
	}
	if len(pol.Env.Set) != 1 || pol.Env.Set[0].Value != "warn" {
		t.Errorf("sets %+v", pol.Env.Set)
	}
	base, err := ParseBaseline("b.toml", []byte("version = 1\nname = \"b\"\n[env]\npass = [\"LANG\"]\nsecret = {}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	in.Baselines = []*Profile{base}
	if _, err := Resolve(p, in); err == nil || !strings.Contains(err.Error(), "COLOR") {
		t.Errorf("beyond the baseline: %v", err)
	}
	for _, in := range []Input{{Pass: []string{"A=B"}}, {Pass: []string{""}}, {Secrets: map[string]string{"A B": "env:A"}}, {Secrets: map[string]string{"A": "sk-123"}}} {
		if _, err := Resolve(p, in); err == nil || strings.Contains(err.Error(), "sk-123") {
			t.Errorf("%+v: %v", in, err)
		}
	}
}
