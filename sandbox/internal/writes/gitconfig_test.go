package writes

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A setting that is not read is a program of the server's that git runs.
func TestParseGitConfig(t *testing.T) {
	got := parseGitConfig(`
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
	want := []setting{
		{"core.hookspath", ".githooks"}, {"core.bare", "true"}, {"core.fsmonitor", `id > /tmp/x; "quoted"`}, {"core.sshcommand", "a b"},
		{"include.path", "../other"}, {"includeif.gitdir:~/work/.path", `with "quotes".cfg`}, {`filter.x y"]z.clean`, "sh clean.sh"},
		{"alias.old.st", "status"}, {".", "nothing"},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(setting{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestSettingsLead(t *testing.T) {
	for _, c := range []struct {
		setting setting
		how     names
		paths   []string
	}{
		{setting{"core.hookspath", "team hooks"}, namesPath, []string{"team hooks"}},
		{setting{"include.path", "x.cfg"}, namesConfig, []string{"x.cfg"}},
		{setting{"includeif.onbranch:main.path", "x.cfg"}, namesConfig, []string{"x.cfg"}},
		{setting{"filter.lfs.process", "git-lfs filter-process"}, namesCommand, []string{"git-lfs", "filter-process"}},
		{setting{"core.fsmonitor", "./watch.sh; rm 'x'"}, namesCommand, []string{"./watch.sh", "rm", "x"}},
		{setting{"alias.st", "!sh tools/st.sh"}, namesCommand, []string{"sh", "tools/st.sh"}},
		{setting{"credential.https://x.helper", "./h"}, namesCommand, []string{"./h"}},
		{setting{"user.name", "src"}, namesNothing, nil},
		{setting{"remote.origin.url", "src"}, namesNothing, nil},
		{setting{"remote.origin.url", "ext::sh src/x"}, namesCommand, []string{"ext::sh", "src/x"}},
		{setting{"branch.main.merge", "refs/heads/main"}, namesNothing, nil},
	} {
		how, paths := c.setting.leads()
		if d := cmp.Diff(c.paths, paths); how != c.how || d != "" {
			t.Errorf("%+v: %v, %s", c.setting, how, d)
		}
	}
}

func FuzzParseGitConfig(f *testing.F) {
	f.Add("[a]\nb=c\n")
	f.Add("[a \"b\\\"\"] c = \"d\\")
	f.Add("[")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseGitConfig(text) {
			s.leads()
		}
	})
}
