package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A name that no resolver accepts must be a mistake, not a rule that seems to allow
// something.
func TestHostNamesAtTheirLongest(t *testing.T) {
	label := strings.Repeat("a", 63)
	most := label + "." + label + "." + label + "." + strings.Repeat("b", 61) // 253
	parse := func(host string) error {
		_, err := Parse("p.toml", fmt.Appendf(nil, "version = 1\nname = \"x\"\n[network]\nallow = [%q]\n", host+":443"), nil)
		if err == nil {
			p, _ := Parse("p.toml", fmt.Appendf(nil, "version = 1\nname = \"x\"\n[network]\nallow = [%q]\n", host+":443"), nil)
			_, err = Resolve(p, Input{})
		}
		return err
	}
	for host, want := range map[string]string{
		most: "", most + "b": "longer than 253", "a" + label + ".example": "63 characters", label + ".example": "", "a..example": "empty label", ".example": "", "a.*.example": `"*" elsewhere`, "*.a*.example": `"*" elsewhere`,
		"*.com": "single label", "*.a.example": "", "a_b.example": "", "a.0x7f": "a way to write an address", "a.127": "a way to write an address", "a.0x": "a way to write an address", "a.0xg": "", "a.1a": "",
	} {
		err := parse(host)
		if bad := want != "" || host == ".example"; (err != nil) != bad || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s… (%d characters): %v, want %q", host, len(host), err, want)
		}
	}
}

// Mistakes beyond the bound are counted: a person who fixes the first two hundred has
// to know about the others.
func TestMistakesBeyondTheBoundAreCounted(t *testing.T) {
	for _, n := range []int{maxMistakes - 1, maxMistakes, maxMistakes + 1, maxMistakes + 7} {
		var b strings.Builder
		b.WriteString("version = 1\nname = \"x\"\n")
		for i := range n {
			fmt.Fprintf(&b, "wrong%d = 1\n", i)
		}
		_, err := Parse("p.toml", []byte(b.String()), nil)
		var m Mistakes
		if !errors.As(err, &m) {
			t.Fatal(err)
		}
		want := ""
		if n > maxMistakes {
			want = fmt.Sprintf("and %d more mistakes", n-maxMistakes)
		}
		last := m[len(m)-1].Text
		if (want != "") != (last == want) || len(m) != min(n, maxMistakes+1) && n != maxMistakes {
			t.Errorf("%d mistakes: %d are told, the last %q, want %q", n, len(m), last, want)
		}
	}
}

// The profile accepts the sample value of a hint.
func TestHintsAreValues(t *testing.T) {
	for want, p := range map[string]Param{"env:A-B": {Type: ParamSecret, Name: "a-b"}, "/path": {Type: ParamDirectory}, "8080": {Type: ParamPort}, "low": {Type: ParamChoice, Choices: []string{"low", "high"}}, "VALUE": {Type: ParamString}} {
		if got := p.example(); got != strings.ReplaceAll(want, "A-B", "A_B") {
			t.Errorf("%s: %q, want %q", p.Type, got, want)
		}
	}
	if got := (Param{Type: ParamFile}).example(); got != "/path" {
		t.Errorf("file: %q", got)
	}
	if got := (Param{Type: ParamChoice}).example(); got != "VALUE" {
		t.Errorf("no choices: %q", got)
	}
}

// If a profile has no name, or there is no profile, the name comes from the file.
func TestNamesComeFromTheFile(t *testing.T) {
	for file, want := range map[string]string{"/x/notes.toml": "notes", "notes": "notes", "/x/not a name.toml": "", ".toml": "", "/x/UPPER_ö.toml": ""} {
		p, err := Parse(file, []byte("version = 1\n"), nil)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "cannot stand for it") {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		if err != nil || p.Name != want {
			t.Errorf("%s: %+v, %v", file, p, err)
		}
	}
}

// A relative path in a profile means a different folder in each working directory. Only
// whoever types it on the command line knows which.
func TestRelativePathsAreTheCommandLines(t *testing.T) {
	p, err := Parse("p.toml", []byte("version = 1\nname = \"x\"\n[params.dir]\ntype = \"directory\"\ndefault = \"a/b\"\n[filesystem]\nread = [\"${dir}\"]\n"), nil)
	if err == nil {
		_, err = Resolve(p, Input{Home: "/home/ada", Cwd: "/srv"})
	}
	if err == nil || !strings.Contains(err.Error(), "is relative") {
		t.Errorf("by default: %v", err)
	}
	p, err = Parse("p.toml", []byte("version = 1\nname = \"x\"\n[params.dir]\ntype = \"directory\"\n[filesystem]\nread = [\"${dir}\"]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for cwd, want := range map[string]string{"/srv": "/srv/b", "": "is relative", "rel": "is relative"} {
		pol, err := Resolve(p, Input{Home: "/home/ada", Cwd: cwd, Params: map[string][]string{"dir": {"a/../b"}}})
		if err == nil && (len(pol.Filesystem.Read) != 1 || pol.Filesystem.Read[0].Path != want) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("given in %q: %+v, %v; want %s", cwd, pol.Filesystem.Read, err, want)
		}
	}
}

// Without a known home, "~" is a mistake, and a profile may not name another user's
// home.
func TestHomesThatNobodyKnows(t *testing.T) {
	for _, c := range []struct{ home, path, want string }{{"/home/ada", "~/x", ""}, {"/home/ada", "~", ""}, {"", "~/x", "no home directory is known"}, {"home", "~/x", "no home directory is known"}, {"/home/ada", "~eve/x", "another user's home"}, {"", "/x", ""}} {
		r := &resolver{in: Input{Home: c.home}}
		got, err := r.home(c.path)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got != strings.Replace(c.path, "~", c.home, 1) {
			t.Errorf("%s in the home %q is %q, %v", c.path, c.home, got, err)
		}
	}
}

// A person who decides about a profile reads all its requests, each under its key.
func TestEverythingSaidHasItsKey(t *testing.T) {
	p, err := Parse("p.toml", []byte("version = 1\nname = \"x\"\n[server]\ncommand = [\"a\"]\nargs = [\"b\"]\ndir = \"/c\"\n[filesystem]\nread = [\"/d\"]\nwrite = [\"/e\"]\n"+
		"[network]\nallow = [\"f.example:443\"]\n[env]\npass = [\"G\"]\n[require]\nwithout = [\"seccomp\"]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range p.Said() {
		if s.At == (Pos{}) {
			t.Errorf("%+v stands nowhere", s)
		}
		got[s.Key] = s.Text
	}
	for key, want := range map[string]string{"server.command": "a", "server.args": "b", "server.dir": "/c", "filesystem.read": "/d", "filesystem.write": "/e", "network.allow": "f.example:443", "require.without": "seccomp"} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q; all: %v", key, got[key], want, got)
		}
	}
}
