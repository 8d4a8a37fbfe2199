package plan

import (
	"slices"
	"testing"

	"mcpen/sandbox/policy"
)

// A server that only reads a repository must not learn the user's identity, and a
// profile's own git settings must not be mixed with the user's.
func TestGitSettings(t *testing.T) {
	settings := []Env{{Name: "user.name", Value: "Ada"}, {Name: "safe.directory", Value: "/srv/a"}}
	read := []policy.Path{{Path: "/usr/bin/git"}}
	for _, c := range []struct {
		name string
		fs   policy.Filesystem
		set  []policy.EnvValue
		want []string
	}{
		{"no git", policy.Filesystem{Read: []policy.Path{{Path: "/srv/a"}}}, nil, nil},
		{"looks", policy.Filesystem{Read: read}, nil,
			[]string{"GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=/srv/a", "GIT_CONFIG_COUNT=1"}},
		{"commits", policy.Filesystem{Read: read, Unprotect: []policy.Path{{Path: "/srv/a/.git"}}}, nil,
			[]string{"GIT_CONFIG_KEY_0=user.name", "GIT_CONFIG_VALUE_0=Ada", "GIT_CONFIG_KEY_1=safe.directory", "GIT_CONFIG_VALUE_1=/srv/a", "GIT_CONFIG_COUNT=2"}},
		{"sets its own", policy.Filesystem{Read: read}, []policy.EnvValue{{Name: "GIT_CONFIG_COUNT", Value: "0"}}, nil},
	} {
		comp := &compiler{host: Host{Git: settings}}
		comp.pol.Filesystem, comp.pol.Env.Set = c.fs, c.set
		var got []string
		for _, e := range comp.git() {
			got = append(got, e.Name+"="+e.Value)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A commit carries the person's name, unless the repository sets another. Git reads the
// system's file before the repository's, and some programs read no variables.
func TestGitIdentityIsInAFile(t *testing.T) {
	settings := []Env{{Name: "user.name", Value: `Ada "the\shepherd" # no comment`}, {Name: "user.email", Value: "ada@example.org"}, {Name: "safe.directory", Value: "/srv/a"}}
	commits := policy.Filesystem{Read: []policy.Path{{Path: "/usr/bin/git"}}, Unprotect: []policy.Path{{Path: "/srv/a/.git"}}}
	for _, c := range []struct {
		name   string
		fs     policy.Filesystem
		set    string
		layers []policy.Layer
		file   string
		env    []string
	}{
		{"commits", commits, "", []policy.Layer{policy.LayerNamespaces}, "[user]\n\tname = \"Ada \\\"the\\\\shepherd\\\" # no comment\"\n[user]\n\temail = \"ada@example.org\"\n",
			[]string{"GIT_CONFIG_SYSTEM", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0", "GIT_CONFIG_COUNT"}},
		{"looks", policy.Filesystem{Read: commits.Read}, "", []policy.Layer{policy.LayerNamespaces}, "", []string{"GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0", "GIT_CONFIG_COUNT"}},
		{"has no /etc", commits, "", nil, "", []string{"GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0", "GIT_CONFIG_KEY_1", "GIT_CONFIG_VALUE_1", "GIT_CONFIG_KEY_2", "GIT_CONFIG_VALUE_2", "GIT_CONFIG_COUNT"}},
		{"reads no system's", commits, "GIT_CONFIG_NOSYSTEM", []policy.Layer{policy.LayerNamespaces}, "", []string{"GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0", "GIT_CONFIG_KEY_1", "GIT_CONFIG_VALUE_1", "GIT_CONFIG_KEY_2", "GIT_CONFIG_VALUE_2", "GIT_CONFIG_COUNT"}},
	} {
		comp := &compiler{host: Host{Git: settings}}
		comp.plan.Layers = c.layers
		comp.pol.Filesystem = c.fs
		if c.set != "" {
			comp.pol.Env.Set = []policy.EnvValue{{Name: c.set, Value: "1"}}
		}
		var env []string
		for _, e := range comp.git() {
			env = append(env, e.Name)
		}
		if got := comp.gitFile(); got != c.file || !slices.Equal(env, c.env) {
			t.Errorf("%s: %q, %q", c.name, got, env)
		}
	}
}
