package profiles_test

import (
	"fmt"
	"slices"
	"testing"

	"mcpen/profiles"
	"mcpen/sandbox/policy"
)

// given has a value for every parameter without a default.
var given = map[string]map[string][]string{
	"filesystem": {"dirs": {"/srv/a", "/srv/b"}},
	"github":     {"token": {"keyring:mcpen/github"}},
	"fetch":      {"sites": {"example.com:443", "*.example.org:443"}},
}

func load(ref, from string) (string, []byte, error) {
	data, ok := profiles.Read(ref)
	if !ok {
		return "", nil, fmt.Errorf("no such profile")
	}
	return ref + ".toml", data, nil
}

func resolve(t *testing.T, name string, params map[string][]string) (policy.Policy, error) {
	t.Helper()
	data, ok := profiles.Read(name)
	if !ok {
		t.Fatalf("no profile %q", name)
	}
	p, err := policy.Parse(name+".toml", data, load)
	if err != nil {
		t.Fatalf("a shipped profile has mistakes:\n%v", err)
	}
	if p.Name != name || p.Description == "" {
		t.Errorf("the profile calls itself %q, %q; its file is %q", p.Name, p.Description, name)
	}
	return policy.Resolve(p, policy.Input{
		Params: params, Home: "/home/ada", State: "/home/ada/.local/state/mcpen", Config: "/home/ada/.config/mcpen",
		Workspace: "/home/ada/src/app", Cwd: "/home/ada",
	})
}

func TestShippedProfilesResolve(t *testing.T) {
	bases := []string{"node", "python"}
	for _, name := range profiles.Names() {
		got, err := resolve(t, name, given[name])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if starts := got.Server.Package != ""; starts == slices.Contains(bases, name) {
			t.Errorf("%s: package %q", name, got.Server.Package)
		}
		if got.Limits.Memory == 0 || got.Limits.Processes == 0 || len(got.Require.Layers) != len(policy.DefaultLayers()) {
			t.Errorf("%s: a shipped profile weakens the defaults: %+v %+v", name, got.Limits, got.Require)
		}
	}
}

// A profile that needs something of the user must not start without it.
func TestShippedProfilesAskForWhatTheyNeed(t *testing.T) {
	for name := range given {
		if _, err := resolve(t, name, nil); err == nil {
			t.Errorf("%s resolves without %v", name, given[name])
		}
	}
}

func TestOnlyDeclaredProfilesReachTheNetwork(t *testing.T) {
	want := map[string]int{"github": 2, "fetch": 2}
	for _, name := range profiles.Names() {
		got, err := resolve(t, name, given[name])
		if err != nil || len(got.Network.Allow) != want[name] {
			t.Errorf("%s: reaches %v, %v", name, got.Network.Allow, err)
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
