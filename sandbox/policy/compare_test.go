package policy

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// A reviewer must see every right that a profile adds.
func TestCompareTellsWhatIsWider(t *testing.T) {
	const plain = "version = 1\nname = \"p\"\nserver.command = [\"p\"]\n[params.host]\ntype = \"string\"\ndefault = \"a.example\"\n"
	for _, c := range []struct {
		was, is string
		want    string // GIVES for a wider change, "-" or "+", key, text
	}{
		{"", "", ""},
		{"", "[network]\nallow = [\"a.example:443\"]\n", `GIVES + network.allow a.example:443`},
		{"[network]\nallow = [\"a.example:443\"]\n", "", `- network.allow a.example:443`},
		{"[network]\nallow = [\"a.example:443\"]\n", "[network]\nallow = [{ host = \"a.example:443\", private = true }]\n", `- network.allow a.example:443; GIVES + network.allow a.example:443, private`},
		{"[network]\nallow = [{ host = \"a.example:443\", tls = false }]\n", "[network]\nallow = [{ host = \"a.example:443\", private = true, tls = true }]\n", `- network.allow a.example:443, tls = false; GIVES + network.allow a.example:443, private, tls = true`},

		{"[params.x]\ntype = \"string\"\npattern = \"a\"\n", "[params.x]\ntype = \"string\"\n", `GIVES - params.x.pattern a`},
		{"", "[params.x]\ntype = \"string\"\npattern = \"a\"\nenv = \"X\"\n", `GIVES + params.x.env X; + params.x.pattern a`},
		{"", "[limits]\nfile-size = \"1MiB\"\ncpu-time = \"1s\"\ntmp = \"4GiB\"\ntmp-files = 16\nopen-files = 16\nconnections = 1\nconnection-rate = 1\n[wire]\nmax-line = \"1GiB\"\n",
			`- limits.connection-rate 5000; + limits.connection-rate 1; - limits.connections 2048; + limits.connections 1; - limits.cpu-time unlimited; + limits.cpu-time 1000000000; - limits.file-size 1073741824; + limits.file-size 1048576; - limits.open-files 4096; + limits.open-files 16; - limits.tmp 134217728; GIVES + limits.tmp 4294967296; - limits.tmp-files 16384; + limits.tmp-files 16; - wire.max-line 67108864; GIVES + wire.max-line 1073741824`},
		{"", "[client]\nelicitation = false\nroots = false\nlogging = false\n[log]\non-error = \"stop\"\n[install]\npython = \"3.9\"\n",
			`- client.elicitation true; + client.elicitation false; - client.logging true; + client.logging false; - client.roots true; + client.roots false; - install.python ; + install.python 3.9; - log.on-error continue; + log.on-error stop`},
		{"[install]\nmin-age = \"0s\"\n", "", `- install.min-age 0s; + install.min-age 72h0m0s`},
		{"[log]\non-error = \"stop\"\n", "", `- log.on-error stop; GIVES + log.on-error continue`},
		{"[limits]\nmemory = \"unlimited\"\n", "", `- limits.memory unlimited; + limits.memory 2147483648`},
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
	if got := Compare(parse1(t, "version = 1\n[server]\ncommand = [\"p\"]\nargs = [\"a\"]\ndir = \"/d\"\n"), parse1(t, "version = 1\n[server]\ncommand = [\"q\"]\n")); len(got) != 4 || got[0].Wider || got[0].Key != "server.args" || got[1].Wider || !got[2].Wider || got[3].Wider || got[3].Key != "server.dir" {
		t.Errorf("another program: %+v", got)
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

// If Compare missed a key, a profile could widen it without a word.
func TestCompareKnowsEveryKey(t *testing.T) {
	known := map[string]string{"command": "server", "pkg": "server", "args": "server", "dir": "server", "env": "env", "envTables": "of baselines",
		"layers": "require", "without": "require", "tools": "", "prompts": "", "resources": ""}
	covered := "read write deny unprotect protect allow listen proxy connect pins except client findings results validate rules memory fileSize tmp processes openFiles tmpFiles " +
		"connections perSecond cpu cpuTime pty maxLine onError scripts build minAge python"
	// These set times of the shutdown, and the log's content.
	harmless := "finish grace arguments files"
	b := reflect.TypeFor[body]()
	for i := range b.NumField() {
		name := b.Field(i).Name
		if _, ok := known[name]; !ok && !strings.Contains(" "+covered+" "+harmless+" ", " "+name+" ") {
			t.Errorf("does Compare tell of %s?", name)
		}
	}
}
