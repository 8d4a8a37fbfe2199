package policy

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// Whoever reviews a profile is told of everything that it gives and did not.
func TestCompareTellsWhatIsWider(t *testing.T) {
	const plain = "version = 1\nname = \"p\"\n[params.host]\ntype = \"string\"\ndefault = \"a.example\"\n[server]\ncommand = [\"p\"]\n"
	for _, c := range []struct {
		was, is string
		want    string // GIVES of what is wider, "-" or "+", key, text
	}{
		{"", "", ""},
		{"", "[network]\nallow = [\"a.example:443\"]\n", `GIVES + network.allow a.example:443`},
		{"[network]\nallow = [\"a.example:443\"]\n", "", `- network.allow a.example:443`},
		{"[network]\nallow = [\"a.example:443\"]\n", "[network]\nallow = [{ host = \"a.example:443\", private = true }]\n", `- network.allow a.example:443; GIVES + network.allow a.example:443, private`},
		{"", "[network]\nproxy = \"http://proxy.example:3128\"\n", `GIVES + network.proxy http://proxy.example:3128`},
		{"", "[network]\nlisten = [9000]\n", `GIVES + network.listen 9000`},
		{"", "[filesystem]\nread = [\"${workspace}\"]\nwrite = [\"${state}\"]\nunprotect = [\"${workspace}/.git\"]\n",
			`GIVES + filesystem.read ${workspace}; GIVES + filesystem.unprotect ${workspace}/.git; GIVES + filesystem.write ${state}`},
		{"", "[filesystem]\ndeny = [\"/a\"]\nprotect = [\"x\"]\n", `+ filesystem.deny /a; + filesystem.protect x`},
		{"[filesystem]\ndeny = [\"/a\"]\nprotect = [\"x\"]\n", "", `GIVES - filesystem.deny /a; GIVES - filesystem.protect x`},
		{"", "[sockets]\nconnect = [\"/run/a\"]\n", `GIVES + sockets.connect /run/a`},
		{"", "[env]\npass = [\"A\"]\nset = { B = \"1\" }\nsecret = { C = \"env:C\" }\n", `GIVES + env.pass.A A; GIVES + env.secret.C env:C; + env.set.B 1`},
		{"", "[tools]\nallow = [\"a\"]\n", `+ tools.allow a`},
		{"[tools]\nallow = [\"a\"]\n", "[tools]\nallow = [\"a\", \"b\"]\n", `GIVES + tools.allow b`},
		{"[tools]\nallow = [\"a\", \"b\"]\n", "[tools]\nallow = [\"b\"]\n", `- tools.allow a`},
		{"[tools]\nallow = [\"a\"]\n", "", `GIVES - tools.allow a`},
		{"[prompts]\nallow = []\n", "", `GIVES - prompts.allow nothing`},
		{"[resources]\ndeny = [\"x\"]\n", "", `GIVES - resources.deny x`},
		{"", "[tools]\npins = \"off\"\nfindings = \"hold\"\nresults = \"strip\"\nvalidate = true\npins-except = [\"t\"]\n",
			`- tools.findings warn; + tools.findings hold; - tools.pins first-use; GIVES + tools.pins off; GIVES + tools.pins-except t; - tools.results pass; + tools.results strip; - tools.validate false; + tools.validate true`},
		{"[tools.rule.a]\nper-minute = 1\n", "", `GIVES - tools.rule.a 1 a minute, 0 at once, arguments map[]`},
		{"", "[limits]\nmemory = \"unlimited\"\nprocesses = 8\n", `- limits.memory 2147483648; GIVES + limits.memory unlimited; - limits.processes 256; + limits.processes 8`},
		{"", "[limits]\ncpu = 2\n", `- limits.cpu 0; + limits.cpu 2`},
		{"", "[client]\nsampling = false\n", `- client.sampling true; + client.sampling false`},
		{"", "[process]\npty = true\n", `- process.pty false; GIVES + process.pty true`},
		{"", "[install]\nmin-age = \"0s\"\nscripts = [\"x\"]\nbuild = [\"y\"]\n", `GIVES + install.build y; - install.min-age 72h0m0s; GIVES + install.min-age 0s; GIVES + install.scripts x`},
		{"", "[require]\nwithout = [\"landlock\"]\n", `GIVES + require.without landlock`},
		{"[require]\nlayers = [\"limits\"]\n", "", `- require.limits true; GIVES + require.limits false`},
	} {
		var got []string
		for _, ch := range Compare(parse1(t, plain+c.was), parse1(t, plain+c.is)) {
			word := map[bool]string{true: "+", false: "-"}[ch.Added]
			if ch.Wider {
				word = "GIVES " + word
			}
			got = append(got, fmt.Sprintf("%s %s %s", word, ch.Key, ch.Text))
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%q to %q:\n got %s\nwant %s", c.was, c.is, text, c.want)
		}
	}
	other := strings.Replace(plain, "a.example", "b.example", 1)
	if got := Compare(parse1(t, plain), parse1(t, other)); len(got) != 2 || !got[1].Wider || got[1].Key != "params.host.default" {
		t.Errorf("another default: %+v", got)
	}
}

func parse1(t *testing.T, text string) *Profile {
	t.Helper()
	p, err := Parse("p.toml", []byte(text), nil)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return p
}

// A key that Compare does not know could be widened without a word.
func TestCompareKnowsEveryKey(t *testing.T) {
	known := map[string]string{"command": "server", "pkg": "server", "args": "server", "dir": "server", "env": "env", "envTables": "of baselines",
		"layers": "require", "without": "require", "tools": "", "prompts": "", "resources": ""}
	covered := "read write deny unprotect protect allow listen proxy connect pins except client findings results validate rules memory fileSize tmp processes openFiles tmpFiles " +
		"connections perSecond cpu cpuTime pty maxLine onError scripts build minAge python"
	// They say how long an end may take, and what of the person's is in the log.
	harmless := "finish grace arguments files"
	b := reflect.TypeFor[body]()
	for i := range b.NumField() {
		name := b.Field(i).Name
		if _, ok := known[name]; !ok && !strings.Contains(" "+covered+" "+harmless+" ", " "+name+" ") {
			t.Errorf("does Compare tell of %s?", name)
		}
	}
}
