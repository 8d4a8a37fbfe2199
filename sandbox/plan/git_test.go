package plan

import (
	"slices"
	"testing"

	"mcpen/sandbox/policy"
)

// Who only looks at a repository is not told who the user is, and what a profile
// sets itself is not mixed with what the user's git has.
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
