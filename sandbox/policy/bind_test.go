package policy

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A person who wrote "npx -y PACKAGE ~/docs" gets these folders, and no others, from
// the package's profile.
func TestBindReadsACommandLineByTheProfilesArguments(t *testing.T) {
	for _, c := range []struct {
		args   string
		line   []string
		params map[string][]string
		rest   []string
		not    bool
	}{
		{args: `["${dirs}"]`, line: []string{"/a", "b"}, params: map[string][]string{"dirs": {"/a", "b"}}, rest: []string{}},
		{args: `["${dirs}"]`, line: []string{"/a", "-v", "/b"}, params: map[string][]string{"dirs": {"/a"}}, rest: []string{"-v", "/b"}},
		{args: `["--repository", "${workspace}"]`, line: []string{"--repository", "/src"}, params: map[string][]string{"workspace": {"/src"}}, rest: []string{}},
		{args: `["--db=${one}.db"]`, line: []string{"--db=x.db", "more"}, params: map[string][]string{"one": {"x"}}, rest: []string{"more"}},
		{args: `["stdio"]`, line: []string{"stdio"}, params: map[string][]string{}, rest: []string{}},

		{args: `[]`, line: []string{"/a"}, not: true},
		{args: `["${dirs}"]`, line: nil, not: true},
		{args: `["${dirs}"]`, line: []string{"--all", "/a"}, not: true},
		{args: `["${one}"]`, line: []string{""}, not: true},
		{args: `["--db", "${one}"]`, line: []string{"--db"}, not: true},
		{args: `["--db", "${one}"]`, line: []string{"--db", "--all"}, not: true},
		{args: `["--db=${one}"]`, line: []string{"--data=x"}, not: true},
		{args: `["${one}", "${one}"]`, line: []string{"a", "b"}, not: true},
		{args: `["${one}${workspace}"]`, line: []string{"a"}, not: true},
		{args: `["${state}"]`, line: []string{"/a"}, not: true},
		{args: `["${home}"]`, line: []string{"/a"}, not: true},
	} {
		p, err := Parse("p.toml", []byte(`version = 1
name = "p"
[params.dirs]
type = "directory"
many = true
[params.one]
type = "string"
[server]
package = "npm:p"
args = `+c.args+"\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		params, rest, ok := p.Bind(c.line)
		if ok == c.not || ok && (!reflect.DeepEqual(params, c.params) || !reflect.DeepEqual(rest, c.rest)) {
			t.Errorf("%s reads %q as %v, %q, %v", c.args, c.line, params, rest, ok)
		}
	}
}

// "?" is only valid before a variable. A command behind "?" would pass checks that look
// for commands.
func TestOnlyAVariableMayBeUnset(t *testing.T) {
	for ref, good := range map[string]bool{"?env:KEY": true, "env:KEY": true, "?env:": false, "??env:KEY": false,
		"?file:/a": false, "?command:true": false, "?keyring:a/b": false, "?": false} {
		p, err := Parse("p.toml", []byte("version = 1\nname = \"p\"\n[params.key]\ntype = \"secret\"\ndefault = \""+ref+"\"\n[env.secret]\nKEY = \"${key}\"\n"), nil)
		if err == nil {
			_, err = Resolve(p, Input{Home: "/home/ada"})
		}
		if (err == nil) != good {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

// A client's entry that names the database in a variable keeps working. --set takes
// precedence, and an empty variable counts as unset.
func TestAVariableGivesAParameter(t *testing.T) {
	p, err := Parse("p.toml", []byte(`version = 1
name = "p"
[params.host]
type = "string"
env = "DB_HOST"
default = "localhost"
[network]
allow = ["${host}:5432"]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.EnvOf(); !reflect.DeepEqual(got, []string{"DB_HOST"}) {
		t.Errorf("EnvOf: %q", got)
	}
	for _, c := range []struct {
		env  string
		set  []string
		want string
	}{{"", nil, "localhost:5432"}, {"db.example", nil, "db.example:5432"}, {"db.example", []string{"other.example"}, "other.example:5432"}} {
		got, err := Resolve(p, Input{Env: map[string]string{"DB_HOST": c.env}, Params: map[string][]string{"host": c.set}})
		if err != nil || len(got.Network.Allow) != 1 || got.Network.Allow[0].String() != c.want {
			t.Errorf("%+v: %v, %v", c, got.Network.Allow, err)
		}
	}
	for text, what := range map[string]string{
		"type = \"string\"\nmany = true\nenv = \"A\"": "holds one value",
		"type = \"secret\"\nenv = \"A\"":              "reference",
		"type = \"string\"\nenv = \"a b\"":            "not the name of a variable",
	} {
		if _, err := Parse("p.toml", []byte("version = 1\nname = \"p\"\n[params.x]\n"+text+"\n"), nil); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The database of a parameter may be a name in the local network, this machine or an
// address. Only a name needs private = true, since only a name resolves to an address.
func TestPrivateIsForTheNamesThatAParameterGives(t *testing.T) {
	const text = "version = 1\nname = \"p\"\n[params.host]\ntype = \"string\"\ndefault = \"localhost\"\n[network]\nallow = [{ host = \"%s:5432\", private = true }]\n"
	p, err := Parse("p.toml", fmt.Appendf(nil, text, "${host}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for host, private := range map[string]bool{"localhost": false, "10.0.0.7": false, "db.internal.example": true} {
		got, err := Resolve(p, Input{Params: map[string][]string{"host": {host}}})
		if err != nil || len(got.Network.Allow) != 1 || got.Network.Allow[0].Private != private {
			t.Errorf("%s: %+v, %v", host, got.Network.Allow, err)
		}
	}
	if _, err := Parse("p.toml", fmt.Appendf(nil, text, "localhost"), nil); err == nil {
		t.Error("private on an address that is written out is no mistake")
	}
}

// Before it is resolved, a profile lists its parameters and the needs of its package
// without any.
func TestAProfileSaysWhatItAsksFor(t *testing.T) {
	const params = "[params.a]\ntype = \"string\"\ndefault = \"x\"\n[params.b]\ntype = \"secret\"\ndefault = \"env:B\"\n"
	p := parse1(t, "version = 1\n"+params+"[server]\npackage = \"npm:p@1\"\nargs = [\"--x=${a}\", \"$${c}\"]\n[env.secret]\nB = \"${b}\"\n[filesystem]\nread = [\"${workspace}/x\"]\n[install]\nscripts = [\"s\"]\nbuild = []\nmin-age = \"5h\"\npython = \"3.12\"\n[network]\nallow = [\"a.example:443\"]\n")
	for name, want := range map[string]bool{"a": true, "b": true, "c": false, "workspace": true, "home": false, "state": false} {
		if p.Asks(name) != want {
			t.Errorf("asks for %s: %v", name, !want)
		}
	}
	if p.Package() != "npm:p@1" || parse1(t, "version = 1\n").Package() != "" {
		t.Errorf("the package is %q", p.Package())
	}
	if got := p.serverArgs(); !reflect.DeepEqual(got, []string{"--x=${a}", "$${c}"}) {
		t.Errorf("arguments: %q", got)
	}
	only := p.InstallOnly()
	pol, err := Resolve(only, Input{})
	want := Closed("p")
	want.Sources, want.Server = p.Sources, Server{Package: "npm:p@1", At: pol.Server.At}
	want.Install.Scripts, want.Install.MinAge, want.Install.Python = []string{"s"}, 5*time.Hour, "3.12"
	if err != nil || !reflect.DeepEqual(pol, want) {
		t.Errorf("got  %+v\nwant %+v (%v)", pol, want, err)
	}
	build := parse1(t, "version = 1\n[server]\npackage = \"pypi:p\"\n[install]\nbuild = [\"S_d.x\"]\n").InstallOnly()
	if pol, err := Resolve(build, Input{}); err != nil || !reflect.DeepEqual(pol.Install.Build, []string{"s-d-x"}) {
		t.Errorf("builds: %q, %v", pol.Install.Build, err)
	}
}

// A command line must never supply a secret: everybody on the machine can read it.
func TestBindTakesNoSecret(t *testing.T) {
	p := parse1(t, "version = 1\n[params.key]\ntype = \"secret\"\ndefault = \"env:K\"\n[params.x]\ntype = \"string\"\n[env.secret]\nK = \"${key}\"\n[server]\npackage = \"npm:p\"\nargs = [\"${x}\"]\n")
	if many, ok := p.given("key"); many || ok {
		t.Error("a secret is given")
	}
	if _, ok := p.given("x"); !ok {
		t.Error("the twin: another parameter is not given")
	}
	if _, ok := p.given("none"); ok {
		t.Error("a parameter that is not there is given")
	}
	params, rest, ok := (&Profile{}).Bind([]string{"a", "b"})
	if ok || params != nil || !reflect.DeepEqual(rest, []string{"a", "b"}) {
		t.Errorf("without arguments: %v, %v, %v", params, rest, ok)
	}
}
