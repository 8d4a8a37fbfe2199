package policy

import (
	"fmt"
	"strings"
	"testing"
)

// A value from the command line is checked like a profile's, at its bounds, and a
// mistake names the option.
func TestWhatIsGivenIsChecked(t *testing.T) {
	p := parse1(t, `version = 1
[params.text]
type = "string"
pattern = "[a-c]+"
default = "a"
[params.free]
type = "string"
default = ""
[params.port]
type = "port"
default = 80
[params.kind]
type = "choice"
choices = ["low", "high"]
default = "low"
[params.dir]
type = "directory"
default = "/srv"
[params.file]
type = "file"
many = true
default = ["/a"]
[params.key]
type = "secret"
default = "env:K"
[server]
command = ["x", "${text}", "${free}", "${port}", "${kind}", "${dir}"]
[filesystem]
read = ["${file}"]
[env.secret]
K = "${key}"
`)
	values := func(n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprint("/", i))
		}
		return out
	}
	for _, c := range []struct {
		name   string
		values []string
		want   string // of the mistake; "" for none
		hint   string
	}{
		{"text", []string{"abc"}, "", ""}, {"text", []string{"abcd"}, `"abcd" does not match "[a-c]+"`, ""}, {"text", []string{""}, "does not match", ""}, {"text", []string{"xa"}, "does not match", ""}, {"text", []string{"a", "b"}, "is given 2 times", ""},
		{"free", []string{strings.Repeat("x", maxText)}, "", ""}, {"free", []string{strings.Repeat("x", maxText+1)}, "longer than 65536 bytes", ""}, {"free", []string{"a\x00"}, "NUL", ""}, {"free", []string{""}, "", ""},
		{"port", []string{"1"}, "", ""}, {"port", []string{"0"}, "is not a port", ""}, {"port", []string{"65536"}, "is not a port", ""}, {"port", []string{"http"}, "is not a port", ""},
		{"kind", []string{"high"}, "", ""}, {"kind", []string{"hig"}, `"hig" is none of low, high`, `did you mean "high"?`},
		{"dir", []string{"/a/../b"}, "", ""}, {"dir", []string{"~eve"}, "another user's home", ""}, {"dir", []string{""}, "empty path", ""}, {"dir", []string{"/a\n"}, "control character", ""}, {"dir", []string{"/" + strings.Repeat("x", 4094)}, "", ""}, {"dir", []string{"/" + strings.Repeat("x", 4095)}, "longer than a path", ""},
		{"file", values(maxList), "", ""}, {"file", values(maxList + 1), "has 4097 values (want 4096 at most)", ""}, {"file", []string{"/a", "~eve", "/b"}, "another user's home", ""},
		{"key", []string{"env:OTHER"}, "", ""}, {"key", []string{"sk-1"}, "is not a reference to a secret", "keep the secret elsewhere and name the place: keyring:mcpen/NAME"},
		{"tex", []string{"a"}, "the profile has no such parameter", `did you mean "text"?`}, {"zzz", []string{"a"}, "the profile has no such parameter", "it has dir, file, free, key, kind, port, text"}, {"a\x1b", []string{"a"}, "the profile has no such parameter", ""},
	} {
		in := machine
		in.Params = map[string][]string{c.name: c.values}
		_, err := Resolve(p, in)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s = %.60q: %.200v", c.name, c.values, err)
			}
			continue
		}
		m, ok := err.(Mistakes)
		if !ok || len(m) != 1 || !strings.Contains(m[0].Text, c.want) || !strings.HasPrefix(m[0].Key, "--set "+strings.Trim(quote(c.name), `"`)) && !strings.HasPrefix(m[0].Key, "--set "+quote(c.name)) || c.hint != "" && m[0].Hint != c.hint {
			t.Errorf("%s = %.60q: %.300v, want %s (%s)", c.name, c.values, err, c.want, c.hint)
		}
	}
	_, err := Resolve(&Profile{Name: "x"}, Input{Params: map[string][]string{"zzz": {"a"}}})
	if m, ok := err.(Mistakes); !ok || m[0].Hint != "" {
		t.Errorf("a profile without parameters: %+v", err)
	}
}

// A misplaced reference must be a mistake and never become empty text: an empty folder
// name would mean the whole parent.
func TestReferencesStandWhereTheyMay(t *testing.T) {
	const params = "version = 1\n[params.one]\ntype = \"string\"\ndefault = \"../x\"\n[params.many]\ntype = \"string\"\nmany = true\ndefault = [\"a\", \"b\"]\n[params.none]\ntype = \"directory\"\nmany = true\ndefault = []\n[params.key]\ntype = \"secret\"\ndefault = \"env:K\"\n[params.dir]\ntype = \"directory\"\ndefault = \"/srv/../opt\"\n[params.need]\ntype = \"string\"\n"
	for rule, want := range map[string]string{
		"[server]\nargs = [\"${on}\"]":                                        "${on} is no parameter of this profile",
		"[server]\nargs = [\"${key}\"]":                                       "${key} is a secret",
		"[env.secret]\nK = \"${key}\"":                                        "",
		"[env.secret]\nK = \"x${key}\"":                                       "${key} is a secret",
		"[env.secret]\nK = \"${key}x\"":                                       "${key} is a secret",
		"[env.secret]\nK = \"${key}${key}\"":                                  "${key} is a secret",
		"[env.set]\nK = \"${key}\"":                                           "${key} is a secret",
		"[server]\nargs = [\"${many}\"]":                                      "",
		"[server]\nargs = [\"x${many}\"]":                                     "${many} holds many values",
		"[server]\nargs = [\"${many}x\"]":                                     "${many} holds many values",
		"[env.set]\nK = \"${many}\"":                                          "${many} holds many values",
		"[server]\nargs = [\"${none}\"]":                                      "",
		"[server]\nargs = [\"${one}\"]":                                       "",
		"[filesystem]\nread = [\"/a/${one}\"]":                                `${one} has ".." in it`,
		"[filesystem]\nread = [\"${dir}/x\"]":                                 "",
		"[server]\ndir = \"/a/${one}\"":                                       `${one} has ".." in it`,
		"[server]\nargs = [\"${need}\"]":                                      "",
		"[server]\nargs = [\"${\"]":                                           `a "${" that starts no parameter's name`,
		"[server]\nargs = [\"$${need}\"]":                                     "",
		"[server]\nargs = [\"" + strings.Repeat("x", maxText+1) + "\"]":       "is longer than 65536 bytes",
		"[server]\nargs = [\"" + strings.Repeat("x", maxText) + "\"]":         "",
		"[server]\nargs = [\"${one}" + strings.Repeat("x", maxText-6) + "\"]": "",
		"[server]\nargs = [\"" + strings.Repeat("${one}", 10) + strings.Repeat("x", maxText-60) + "\"]": "",
		"[server]\nargs = [\"a\\u0000\"]": "has a NUL in it",
		"[params.wide]\ntype = \"string\"\ndefault = \"" + strings.Repeat("y", 100) + "\"\n[server]\nargs = [\"${wide}" + strings.Repeat("x", maxText-100) + "\"]": "",
		"[params.wide]\ntype = \"string\"\ndefault = \"" + strings.Repeat("y", 100) + "\"\n[server]\nargs = [\"${wide}" + strings.Repeat("x", maxText-99) + "\"]":  "grows beyond 65536 bytes",
	} {
		_, err := Parse("p.toml", []byte(params+rule+"\n"), nil)
		each := max(1, strings.Count(rule, "${key}")) // one mistake each
		if m, ok := err.(Mistakes); want == "" && err != nil || want != "" && (!ok || len(m) != each || !strings.Contains(m[0].Text, want)) {
			t.Errorf("%.80s: %.300v, want %q", rule, err, want)
		}
	}
	p := parse1(t, params+"[server]\nargs = [\"${many}\", \"-${need}\", \"${none}\", \"$${x}\"]\n[filesystem]\nread = [\"?${none}\", \"?${dir}\", \"?/b\"]\n")
	if _, err := Resolve(p, machine); err == nil || err.Error() != "p.toml:17:2: params.need: is not given, and has no default" && !strings.Contains(err.Error(), "params.need: is not given, and has no default") || err.(Mistakes)[0].Hint != "--set need=VALUE" || len(err.(Mistakes)) != 1 {
		t.Errorf("not given: %v", err)
	}
	in := machine
	in.Params = map[string][]string{"need": {"n"}, "none": {"/c", "/d"}}
	pol, err := Resolve(p, in)
	if got := fmt.Sprint(pol.Server.Args); err != nil || got != "[a b -n /c /d ${x}]" {
		t.Errorf("%s, %v", got, err)
	}
	var read []string
	for _, f := range pol.Filesystem.Read {
		read = append(read, fmt.Sprint(f.Path, f.Optional))
	}
	if got := fmt.Sprint(read); got != "[/ctrue /dtrue /opttrue /btrue]" {
		t.Errorf("%s", got)
	}
}

// A list that a parameter expands has the same bound as a written one.
func TestListsEndWhereTheySay(t *testing.T) {
	for n, good := range map[int]bool{maxList - 1: true, maxList: false} {
		var values []string
		for i := range n {
			values = append(values, fmt.Sprintf("h%d.example", i))
		}
		for table, rule := range map[string]string{"server": "args = [\"first\", \"${many}\"]", "filesystem": "read = [\"/first\", \"${dirs}\"]"} {
			p := parse1(t, "version = 1\n[params.many]\ntype = \"string\"\nmany = true\n[params.dirs]\ntype = \"directory\"\nmany = true\n["+table+"]\n"+rule+"\n")
			in := machine
			dirs := make([]string, n)
			for i := range dirs {
				dirs[i] = "/srv/" + values[i]
			}
			in.Params = map[string][]string{"many": values, "dirs": dirs}
			if _, err := Resolve(p, in); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "the list grows beyond 4096 elements") {
				t.Errorf("%s of 1+%d: %.200v", table, n, err)
			}
		}
	}
	for n, good := range map[int]bool{maxList: true, maxList + 1: false} {
		_, err := Parse("p.toml", []byte("version = 1\n[tools]\nallow = ["+numbered("\"t%d\",", n)+"]\n"), nil)
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "a list of 4097 elements is too long") {
			t.Errorf("%d tools: %.200v", n, err)
		}
	}
	for n, good := range map[int]bool{maxParams: true, maxParams + 1: false} {
		_, err := Parse("p.toml", []byte("version = 1\n"+numbered("[params.p%d]\ntype = \"string\"\n", n)), nil)
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "257 parameters are too many") {
			t.Errorf("%d parameters: %.200v", n, err)
		}
	}
	for n, good := range map[int]bool{maxRules: true, maxRules + 1: false} {
		_, err := Parse("p.toml", []byte("version = 1\n"+numbered("[tools.rule.t%d]\nconcurrent = 1\n", n)), nil)
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "257 rules are too many") {
			t.Errorf("%d rules: %.200v", n, err)
		}
	}
}

// A wrong declaration of a parameter is a mistake at its own key.
func TestMistakesOfParameters(t *testing.T) {
	for text, want := range map[string]string{
		"[params.a]": "params.a: has no type", "[params.a]\ntype = \"text\"": "is none of string, secret", "[params.A]\ntype = \"string\"": "is not a name for a parameter", "[params.home]\ntype = \"string\"": "every profile has ${home} already", "[params.state]\ntype = \"string\"": "every profile has ${state} already", "[params.workspace]\ntype = \"string\"": "every profile has ${workspace} already",
		"[params]\na = 1": "1 is not a table", "[params.a]\ntype = \"choice\"": "is a choice without choices", "[params.a]\ntype = \"choice\"\nchoices = []": "is a choice without choices", "[params.a]\ntype = \"string\"\nchoices = [\"x\"]": "only a choice has choices", "[params.a]\ntype = \"choice\"\nchoices = [\"x\"]": "",
		"[params.a]\ntype = \"port\"\npattern = \"1\"": "only a string has a pattern", "[params.a]\ntype = \"string\"\npattern = \"(\"": "is not a regular expression", "[params.a]\ntype = \"string\"\npattern = \"" + strings.Repeat("a", 1000) + "\"": "", "[params.a]\ntype = \"string\"\npattern = \"" + strings.Repeat("a", 1001) + "\"": "is not a regular expression",
		"[params.a]\ntype = \"string\"\npattern = \"a|b\"\ndefault = \"ab\"": `"ab" does not match`, "[params.a]\ntype = \"string\"\npattern = \"a|b\"\ndefault = \"b\"": "",
		"[params.a]\ntype = \"string\"\nmany = true\ndefault = \"x\"": "is not a list", "[params.a]\ntype = \"string\"\nmany = true\ndefault = [\"x\", 1]": "1 is not a string", "[params.a]\ntype = \"string\"\ndefault = [\"x\"]": "a list is not a string", "[params.a]\ntype = \"port\"\ndefault = \"80\"": `"80" is not a port`, "[params.a]\ntype = \"port\"\nmany = true\ndefault = [1, 65535]": "", "[params.a]\ntype = \"port\"\nmany = true\ndefault = [0]": "0 is not a port",
		"[params.a]\ntype = \"secret\"\ndefault = 7": "is not a string", "[params.a]\ntype = \"string\"\ndescription = \"a\\nb\"": "has a control character", "[params.a]\ntype = \"string\"\nx = 1": "unknown key",
	} {
		_, err := Parse("p.toml", []byte("version = 1\n"+text+"\n"), nil)
		m, ok := err.(Mistakes)
		if want == "" && err != nil || want != "" && (!ok || len(m) != 1 || !strings.Contains(m[0].Error(), want) || !strings.HasPrefix(m[0].Key, "params.")) {
			t.Errorf("%.70s: %.300v, want %q", text, err, want)
		}
	}
}
