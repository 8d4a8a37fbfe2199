package policy

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// A person who wrote "npx -y PACKAGE ~/docs" gets these folders, and no others, from
// the profile of the package.
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

// What names no variable is no way to start without a secret: a command behind "?"
// would pass those who look for commands.
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

// A client's entry that says where the database is in a variable works as it did. What
// --set says goes before it, and an empty variable is none.
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

// The database of a parameter may be a name of the own network, this machine or an
// address; only a name leads somewhere that has to be said.
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
