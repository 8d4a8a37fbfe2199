package confine

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// On a host whose names come from a service, the launcher needs the C library's modules
// and sockets. On any other host it gets neither.
func TestForeignSources(t *testing.T) {
	for text, want := range map[string]bool{
		"": false,
		"passwd: files systemd\nhosts: files dns\n":                        false,
		"hosts:\tfiles dns # mdns4\n":                                      false,
		"  hosts: dns\n":                                                   false,
		"hosts: files mdns4_minimal [NOTFOUND=return] dns\n":               true,
		"hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns": true,
		"hosts: files dns [!UNAVAIL=return]\n":                             true,
	} {
		if got := foreign(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// A change of the nameservers replaces the file. With a rule for the file alone, the
// launcher would then lose its names; a rule for all of /etc would give root's launcher
// the shadow file.
func TestRulesForTheResolversFile(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	etc, run := filepath.Join(dir, "etc"), filepath.Join(dir, "run")
	for _, d := range []string{etc, run} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	plain, link, there := filepath.Join(etc, "plain"), filepath.Join(etc, "link"), filepath.Join(run, "resolv.conf")
	for _, f := range []string{plain, there} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../run/resolv.conf", link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file string
		root bool
		want []Rule
	}{
		{plain, false, []Rule{{Path: plain, Access: Read}, {Path: etc, Access: Read}}},
		{plain, true, []Rule{{Path: plain, Access: Read}}},
		{link, false, []Rule{{Path: link, Access: Read}, {Path: run, Access: Read}}},
		{link, true, []Rule{{Path: link, Access: Read}, {Path: run, Access: Read}}},
		{filepath.Join(etc, "none"), false, []Rule{{Path: filepath.Join(etc, "none"), Access: Read}}},
	} {
		if got := configuration(c.file, c.root); !slices.Equal(got, c.want) {
			t.Errorf("%s, root %v: %v", c.file, c.root, got)
		}
	}
}
