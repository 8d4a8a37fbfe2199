package gitconfig

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// If a setting is missed, git runs a program that the server wrote.
func TestParseGitConfig(t *testing.T) {
	got := Parse(`
# a comment
[core]
	hooksPath = .githooks ; and why
	bare
	FsMonitor = "id > /tmp/x; \"quoted\""
	sshCommand = a \
b
[include] path = ../other
[includeIf "gitdir:~/work/"]
	path = "with \"quotes\".cfg"
[filter "x y\"]z"] clean = sh clean.sh
[alias.old] st = status
[] = nothing
[unclosed
`)
	want := []Setting{
		{"core.hookspath", ".githooks"}, {"core.bare", "true"}, {"core.fsmonitor", `id > /tmp/x; "quoted"`}, {"core.sshcommand", "a b"},
		{"include.path", "../other"}, {"includeif.gitdir:~/work/.path", `with "quotes".cfg`}, {`filter.x y"]z.clean`, "sh clean.sh"},
		{"alias.old.st", "status"}, {".", "nothing"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestSettingsLead(t *testing.T) {
	for _, c := range []struct {
		setting Setting
		how     Names
		paths   []string
	}{
		{Setting{"core.hookspath", "team hooks"}, Path, []string{"team hooks"}},
		{Setting{"include.path", "x.cfg"}, Config, []string{"x.cfg"}},
		{Setting{"includeif.onbranch:main.path", "x.cfg"}, Config, []string{"x.cfg"}},
		{Setting{"filter.lfs.process", "git-lfs filter-process"}, Command, []string{"git-lfs", "filter-process"}},
		{Setting{"core.fsmonitor", "./watch.sh; rm 'x'"}, Command, []string{"./watch.sh", "rm", "x"}},
		{Setting{"alias.st", "!sh tools/st.sh"}, Command, []string{"sh", "tools/st.sh"}},
		{Setting{"credential.https://x.helper", "./h"}, Command, []string{"./h"}},
		{Setting{"user.name", "src"}, Nothing, nil},
		{Setting{"remote.origin.url", "src"}, Nothing, nil},
		{Setting{"remote.origin.url", "ext::sh src/x"}, Command, []string{"ext::sh", "src/x"}},
		{Setting{"branch.main.merge", "refs/heads/main"}, Nothing, nil},
	} {
		how, paths := c.setting.Leads()
		if d := cmp.Diff(c.paths, paths); how != c.how || d != "" {
			t.Errorf("%+v: %v, %s", c.setting, how, d)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[a]\nb=c\n")
	f.Add("[a \"b\\\"\"] c = \"d\\")
	f.Add("[")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range Parse(text) {
			s.Leads()
		}
	})
}
