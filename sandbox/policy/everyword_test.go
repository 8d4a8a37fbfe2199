package policy

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// resolved parses and resolves the text of a profile and returns the policy or the
// mistakes.
func resolved(text string, in Input) (Policy, error) {
	p, err := Parse("p.toml", []byte("version = 1\n"+text), nil)
	if err != nil {
		return Policy{}, err
	}
	return Resolve(p, in)
}

// A misspelt word invalidates a rule of arguments. The check goes through every place
// that may hold a schema, however deep, and through no place that holds something else.
func TestEveryWordOfARuleIsKnown(t *testing.T) {
	const one, list, named = `{%s}`, `[{}, {%s}]`, `{a = {}, b = {%s}}`
	words := map[string]string{
		"additionalProperties": one, "contains": one, "else": one, "if": one, "items": one, "not": one, "propertyNames": one, "then": one, "unevaluatedItems": one, "unevaluatedProperties": one,
		"allOf": list, "anyOf": list, "oneOf": list, "prefixItems": list,
		"$defs": named, "dependentSchemas": named, "patternProperties": named, "properties": named,
	}
	plain := map[string]string{
		"$comment": `"x"`, "$ref": "\"#/$defs/a\"\n\"$defs\" = {a = {}}", "const": `{zz = 1}`, "dependentRequired": `{a = ["b"]}`, "description": `"x"`, "enum": `[{zz = 1}]`, "exclusiveMaximum": "1", "exclusiveMinimum": "1",
		"maxContains": "1", "maxItems": "1", "maxLength": "1", "maxProperties": "1", "maximum": "1", "minContains": "1", "minItems": "1", "minLength": "1", "minProperties": "1", "minimum": "1", "multipleOf": "1",
		"pattern": `"x"`, "required": `["a"]`, "title": `"x"`, "type": `"object"`, "uniqueItems": "true",
	}
	for w := range schemaWords {
		if words[w] == "" && plain[w] == "" {
			t.Errorf("no row for %s", w)
		}
	}
	for w, shape := range words {
		for inner, good := range map[string]bool{"": true, "minLength = 1": true, "minLenght = 1": false, `not = {minLenght = 1}`: false} {
			_, err := resolved("[tools.rule.t]\n\""+w+"\" = "+fmt.Sprintf(shape, inner)+"\n", Input{})
			if (err == nil) != good {
				t.Errorf("%s with %q: %v", w, inner, err)
			}
		}
	}
	for w, text := range plain {
		pol, err := resolved("[tools.rule.t]\n\""+w+"\" = "+text+"\n", Input{})
		if err != nil || len(pol.Tools.Rules) != 1 || pol.Tools.Rules[0].Schema[w] == nil {
			t.Errorf("%s = %s: %+v, %v", w, text, pol.Tools.Rules, err)
		}
	}
}

// A rule that says nothing about arguments has no schema, and one with a mistake
// reports only that mistake.
func TestARuleOfTimesAloneHasNoSchema(t *testing.T) {
	pol, err := resolved("[tools.rule.t]\nper-minute = 1\n", Input{})
	if err != nil || len(pol.Tools.Rules) != 1 || pol.Tools.Rules[0].Schema != nil {
		t.Errorf("%+v, %v", pol.Tools.Rules, err)
	}
	for text, want := range map[string]string{
		"[tools.rule.t]\nminLenght = 1\ntype = 7\n":                     "is no word of JSON Schema",
		"[tools.rule.\"\"]\nper-minute = 1\n":                           "is not the name of a tool",
		"[tools.rule." + strings.Repeat("a", 513) + "]\nper-minute=1\n": "is not the name of a tool",
	} {
		_, err := resolved(text, Input{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "p.toml:") != 1 {
			t.Errorf("%.60q: %v, want the one mistake %q", text, err, want)
		}
	}
	if _, err := resolved("[tools.rule."+strings.Repeat("a", 512)+"]\nper-minute=1\n", Input{}); err != nil {
		t.Errorf("the longest name: %v", err)
	}
}

// A path that only starts like one of the host's sockets, or is a neighbour of one, is
// a service like any other. A profile that names it is not refused.
func TestWhatLiesBesideSocketsOfTheHost(t *testing.T) {
	for _, p := range strings.Fields(`
		/run/user/1000/.docker/x /run/user/1000/podman/x /run/user/1000/buildkit/x /run/user/1000/crio/x /run/user/1000/.colima/x /run/user/1000/.lima/x
		/run/user/1000/.rd/x /run/user/1000/.orbstack/x /run/user/1000/lxd/x /run/user/1000/incus/x /run/user/1000/kubelet/x /run/user/1000/supervisor/x
		/run/user/1000/nscd/x /run/user/1000/avahi-daemon/x /run/user/1000/gnupg/x /run/user/1000/gcr/x /run/user/1000/.1password/x /run/user/1000/i3/x
		/run/user/1000/pulse/x /run/user/1000/pulse-1/x /run/user/1000/x /run/user/1000/fish.x/x
		/srv/x.sock /srv/ssh /srv/socket /srv/native /srv/cli /srv/bus /srv/unix.socket /srv/S.x /srv/private
		/srv/systemd/x /srv/ssh-abc/x /srv/podman/x /tmp/x /tmp/abc/x
		/srv/xdocker.sock /srv/docker.sockx /srv/xbuildkitd.sock /srv/buildkitd.sockx /srv/xcrio.sock /srv/initctlx /srv/xinitctl /srv/xwayland-0
	`) {
		if why, known := HostSocket(p); known {
			t.Errorf("%s: %s", p, why)
		}
	}
	for _, p := range []string{"/run/user/1000/bus", "/run/user/0/bus", "/run/user/1000/pulse/native", "/run/user/1000/systemd/private", "/tmp/ssh-abc/x"} {
		if _, known := HostSocket(p); !known {
			t.Errorf("the twin %s is nobody's", p)
		}
	}
}

// Refuse explains the refusal of every place.
func TestEveryBanSaysWhy(t *testing.T) {
	for place, why := range map[string]string{
		"/": "whole machine", "/etc": "configuration", "/usr": "programs", "/bin": "programs", "/sbin": "programs", "/lib": "programs", "/lib64": "programs", "/boot": "kernel", "/proc": "/proc of its own", "/sys": "settings", "/dev": "devices",
		"/run": "sockets of the machine's services", "/var": "state", "/var/run": "sockets of the machine's services", "/run/user/1000": "sockets of the session", "/var/run/user/1000": "sockets of the session", "/tmp": "a /tmp of its own", "/var/tmp": "a /tmp of its own",
	} {
		if err := machine.Refuse("p", place, !strings.HasSuffix(place, "/1000")); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", place, err, why)
		}
	}
}

// Bind takes a command line for the profile's only if every word agrees.
func TestBindStopsAtAWordThatIsNotTheProfiles(t *testing.T) {
	p := parse1(t, "version = 1\n[params.dirs]\ntype = \"directory\"\nmany = true\n[params.one]\ntype = \"string\"\n[server]\npackage = \"npm:p\"\nargs = [\"serve\", \"--db=${one}.db\", \"${dirs}\"]\n")
	for line, want := range map[string]string{
		"serve --db=a.db /x /y -v more": "map[dirs:[/x /y] one:[a]] [-v more]",
		"server --db=a.db /x":           "",
		"--db=a.db /x":                  "",
		"serve --db=a.sql /x":           "", // another suffix
		"serve --db=a.db -x":            "",
		"serve --db=a.db --db=b.db /x":  "", // a parameter has one value
		"serve --db=.db /x":             "", // the value is empty
		"serve":                         "",
	} {
		params, rest, ok := p.Bind(strings.Fields(line))
		got := ""
		if ok {
			got = fmt.Sprint(params, rest)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	one := parse1(t, "version = 1\n[params.one]\ntype = \"string\"\n[server]\npackage = \"npm:p\"\nargs = [\"${one}\"]\n")
	if params, rest, ok := one.Bind([]string{"a", "b"}); !ok || fmt.Sprint(params, rest) != "map[one:[a]] [b]" {
		t.Errorf("one value: %v, %v, %v", params, rest, ok)
	}
}

// A word that only looks like a reference to a parameter stays a word.
func TestOnlyReferencesAreFilledIn(t *testing.T) {
	in := machine
	in.Params = map[string][]string{"many": {"a", "b"}}
	pol, err := resolved("[params.many]\ntype = \"string\"\nmany = true\n[server]\npackage = \"npm:p\"\nargs = [\"many\", \"${many}\", \"{many}\", \"$${many}\"]\n", in)
	if want := []string{"many", "a", "b", "{many}", "${many}"}; err != nil || !slices.Equal(pol.Server.Args, want) {
		t.Errorf("%q, %v, want %q", pol.Server.Args, err, want)
	}
	in.Params = nil
	pol, err = resolved("[params.many]\ntype = \"string\"\nmany = true\ndefault = []\n[params.other]\ntype = \"string\"\ndefault = \"x\"\n[server]\npackage = \"npm:p\"\nargs = [\"${many}\", \"${other}\"]\n", in)
	if err != nil || slices.ContainsFunc(pol.Given, func(g Given) bool { return g.Name == "many" }) || !slices.ContainsFunc(pol.Given, func(g Given) bool { return g.Name == "other" }) {
		t.Errorf("a parameter without values was given: %+v, %v", pol.Given, err)
	}
	// One mistake is reported once.
	_, err = resolved("[server]\npackage = \"npm:p\"\nargs = [\"${nope}\\u0000\"]\n", machine)
	if err == nil || strings.Count(err.Error(), "p.toml:") != 1 {
		t.Errorf("%v", err)
	}
	_, err = resolved("[server]\npackage = \"npm:p\"\nargs = [\"x\\u0000\"]\n", machine)
	if err == nil || !strings.Contains(err.Error(), "has a NUL in it") {
		t.Errorf("%v", err)
	}
}

// A baseline's mention of the workspace has no effect if there is none. It is no
// mistake of the person.
func TestABaselineWithoutAWorkspace(t *testing.T) {
	base, err := ParseBaseline("b.toml", []byte("version = 1\n[filesystem]\nread = [\"${workspace}\", \"${state}\", \"/srv/a\"]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, good := range map[string]bool{"": true, "[filesystem]\nread = [\"/srv/a\"]\n": true, "[filesystem]\nread = [\"/srv/b\"]\n": false} {
		if _, err := resolved(text, Input{Baselines: []*Profile{base}}); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
	// Resolve refuses a profile that is no baseline among the baselines.
	for _, text := range []string{"[server]\ncommand = [\"x\"]\n", "[server]\npackage = \"npm:p\"\n", "[server]\npackage = \"npm:p\"\nargs = [\"x\"]\n", "[env.set]\nA = \"b\"\n", "[params.x]\ntype = \"string\"\ndefault = \"a\"\n"} {
		if _, err := resolved("", Input{Baselines: []*Profile{parse1(t, "version = 1\n"+text)}}); err == nil || !strings.Contains(err.Error(), "a baseline ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A path that a list names twice is optional only if both entries are.
func TestAPathThatIsThereTwice(t *testing.T) {
	in := machine
	for words, want := range map[string]string{
		`"/srv/a", "?/srv/a"`: "[{/srv/a false}]", `"?/srv/a", "/srv/a"`: "[{/srv/a false}]", `"?/srv/a", "?/srv/./a"`: "[{/srv/a true}]", `"?/srv/a", "?/srv/b"`: "[{/srv/a true} {/srv/b true}]",
	} {
		pol, err := resolved("[filesystem]\nread = ["+words+"]\n", in)
		type rule struct {
			Path     string
			Optional bool
		}
		var got []rule
		for _, p := range pol.Filesystem.Read {
			got = append(got, rule{p.Path, p.Optional})
		}
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v, want %s", words, got, err, want)
		}
	}
}

// A host that the profile and a parameter both name gives one rule. A list that a
// parameter lengthens has the same limit as one written out.
func TestHostsOfAParameter(t *testing.T) {
	const text = "[params.many]\ntype = \"string\"\nmany = true\n[network]\nallow = [\"first.example:443\", \"${many}\", \"last.example:443\"]\n"
	in := machine
	in.Params = map[string][]string{"many": {"a.example:443", "first.example:443", "A.example:443"}}
	pol, err := resolved(text, in)
	var got []string
	for _, h := range pol.Network.Allow {
		got = append(got, h.Name)
	}
	if err != nil || fmt.Sprint(got) != "[first.example a.example last.example]" {
		t.Errorf("%v, %v", got, err)
	}
	for n, good := range map[int]bool{maxList - 2: true, maxList - 1: false} {
		var many []string
		for i := range n {
			many = append(many, fmt.Sprintf("h%d.example:443", i))
		}
		in.Params["many"] = many
		_, err := resolved(text, in)
		if (err == nil) != good || err != nil && strings.Count(err.Error(), "the list grows beyond") != 1 {
			t.Errorf("%d hosts: %.300v", n+2, err)
		}
	}
}

// An invalid proxy is a mistake; it does not mean "no proxy".
func TestAProxyThatIsNone(t *testing.T) {
	for _, text := range []string{`"ftp://proxy.example:21"`, `"http://"`, `"http://proxy.example:0"`, `7`, `""`} {
		if _, err := resolved("[network]\nproxy = "+text+"\n", machine); err == nil {
			t.Errorf("proxy = %s passes", text)
		}
	}
	if (Proxy{}).said() != ProxyEnvironment || (Proxy{Via: ProxyNone}).said() != ProxyNone {
		t.Error("the words for no proxy of the profile's")
	}
	base := func(s string) *Profile {
		p, err := ParseBaseline("b.toml", []byte("version = 1\n[network]\nproxy = \""+s+"\"\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	_, err := resolved("", Input{Baselines: []*Profile{base("environment"), base("none")}})
	if err == nil || !strings.Contains(err.Error(), "another baseline says") || !strings.Contains(err.Error(), quote(ProxyEnvironment)) {
		t.Errorf("two baselines that disagree: %v", err)
	}
}

// A secret on the command line with a bad name is reported once.
func TestASecretWithABadName(t *testing.T) {
	in := machine
	in.Secrets = map[string]string{"A-B": "env:X"}
	_, err := resolved("", in)
	if err == nil || strings.Count(err.Error(), "\n") > 0 || !strings.Contains(err.Error(), "is no name of a variable") {
		t.Errorf("%v", err)
	}
	in.Secrets = map[string]string{"A": "nowhere:X"}
	if _, err := resolved("", in); err == nil {
		t.Error("a secret from nowhere")
	}
	in.Secrets = map[string]string{"A": "env:X"}
	pol, err := resolved("[env.secret]\nA = \"env:Y\"\n", in)
	if err != nil || len(pol.Env.Secret) != 1 {
		t.Errorf("a variable that is there twice: %+v, %v", pol.Env.Secret, err)
	}
}

// Each statement about a profile before trust names its place in the file.
func TestSaidHasItsPlaces(t *testing.T) {
	p := parse1(t, "version = 1\n[server]\npackage = \"npm:p\"\ndir = \"/srv\"\n[sockets]\nconnect = [\"/srv/a.sock\"]\n[network]\nallow = [\"a.example:443\"]\n[require]\nwithout = [\"landlock\"]\n")
	var keys []string
	for _, s := range p.Said() {
		keys = append(keys, s.Key+" "+s.Text)
		if s.At.Line == 0 || s.At.File == "" {
			t.Errorf("%s stands nowhere: %+v", s.Key, s.At)
		}
	}
	if want := []string{"server.package npm:p", "server.dir /srv", "network.allow a.example:443", "sockets.connect /srv/a.sock", "require.without landlock"}; !reflect.DeepEqual(keys, want) {
		t.Errorf("%q, want %q", keys, want)
	}
	if got := (Pos{}).String() + " " + (Pos{File: "f"}).String() + " " + (Pos{"f", 1, 2}).String(); got != "default f f:1:2" {
		t.Errorf("places print as %s", got)
	}
	if _, err := Parse("p.toml", make([]byte, MaxFile+1), nil); err == nil || !strings.HasPrefix(err.Error(), "p.toml:1:1: ") {
		t.Errorf("a profile that is too large: %v", err)
	}
}

// Days end where Go's time.Duration does: nobody waits for a century.
func TestDaysEnd(t *testing.T) {
	for text, good := range map[string]bool{"0d": true, "36500d": true, "36501d": false, "65535d": false, "65536d": false, "d": false, "-1d": false, "1.5d": false, "1dd": false} {
		if _, err := parseDuration(text); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A higher limit on cores counts as wider, a lower one does not.
func TestCompareOfCores(t *testing.T) {
	for _, c := range []struct {
		was, is string
		wider   bool
	}{{"1", "2", true}, {"2", "1", false}, {"0.5", "0.6", true}, {"1", "\"unlimited\"", true}, {"\"unlimited\"", "1", false}} {
		p, q := parse1(t, "version = 1\n[limits]\ncpu = "+c.was+"\n"), parse1(t, "version = 1\n[limits]\ncpu = "+c.is+"\n")
		wider := false
		for _, ch := range Compare(p, q) {
			wider = wider || ch.Wider
		}
		if wider != c.wider {
			t.Errorf("%s, then %s: wider %v", c.was, c.is, wider)
		}
	}
}

// A profile may name a layer once, in one of the two lists.
func TestALayerIsRequiredOrNot(t *testing.T) {
	for text, want := range map[string]string{
		"layers = [\"limits\"]\nwithout = [\"landlock\"]\n":   "",
		"layers = [\"landlock\"]\nwithout = [\"landlock\"]\n": "is in require.layers too",
		"layers = [\"landlock\", \"landlock\"]\n":             "is there twice",
	} {
		_, err := resolved("[require]\n"+text, machine)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	// A profile that goes without a layer does not inherit the requirement of it.
	load := loadFrom(map[string][]byte{"base.toml": []byte("version = 1\n[require]\nlayers = [\"limits\", \"landlock\"]\nwithout = [\"seccomp\"]\n")})
	p, err := Parse("p.toml", []byte("version = 1\nextends = [\"base.toml\"]\n[require]\nwithout = [\"landlock\"]\nlayers = [\"seccomp\"]\n"), load)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := Resolve(p, machine)
	if got := fmt.Sprint(pol.Require.Layers); err != nil || strings.Contains(got, "landlock") || !strings.Contains(got, "limits") || !strings.Contains(got, "seccomp") {
		t.Errorf("%s, %v", got, err)
	}
}

// An IPv4 address mapped into IPv6 never counts as public.
func TestMappedAddressesAreNotPublic(t *testing.T) {
	for _, a := range []string{"::ffff:8.8.8.8", "::ffff:10.0.0.1", "::ffff:127.0.0.1"} {
		if got := ClassifyAddress(netip.MustParseAddr(a)); got == AddressPublic {
			t.Errorf("%s is public", a)
		}
	}
}

// A baseline's bound on the grace also bounds the grace in a hurry. A network lies
// within itself.
func TestABaselineInAHurry(t *testing.T) {
	base := func(text string) Input {
		b, err := ParseBaseline("b.toml", []byte("version = 1\n"+text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return Input{Baselines: []*Profile{b}}
	}
	pol, err := resolved("", base("[wire]\ngrace = \"1ms\"\n"))
	if err != nil || pol.Wire.Grace != time.Millisecond || pol.Wire.Rush != time.Millisecond {
		t.Errorf("grace %v, in a hurry %v, %v", pol.Wire.Grace, pol.Wire.Rush, err)
	}
	for rule, good := range map[string]bool{"10.1.0.0/16:443": true, "10.1.2.0/24:443": true, "10.0.0.0/8:443": false, "10.2.0.0/16:443": false} {
		rule := func(net string) string { return "[network]\nallow = [\"" + net + "\"]\n" }(rule)
		if _, err := resolved(rule, base("[network]\nallow = [\"10.1.0.0/16:443\"]\n")); (err == nil) != good {
			t.Errorf("%s: %v", rule, err)
		}
	}
	// A layer that a baseline requires is required, and the profile may go without
	// another one only if the baseline does not require it.
	pol, err = resolved("[require]\nwithout = [\"landlock\"]\n", base("[require]\nlayers = [\"limits\"]\n"))
	if got := fmt.Sprint(pol.Require.Layers); err != nil || !strings.Contains(got, "limits") || strings.Contains(got, "landlock") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err = resolved("[require]\nwithout = [\"landlock\"]\n", base("[require]\nlayers = [\"landlock\"]\n")); err == nil {
		t.Error("the baseline's layer is gone")
	}
}

// Secrets are sorted by name, whether the profile or the command line names them.
func TestSecretsAreInOrder(t *testing.T) {
	in := machine
	in.Secrets = map[string]string{"M": "env:M"}
	pol, err := resolved("[env.secret]\nZ = \"env:Z\"\nA = \"env:A\"\n", in)
	var got []string
	for _, s := range pol.Env.Secret {
		got = append(got, s.Name)
	}
	if err != nil || len(got) != 3 || got[0] != "A" || !slices.Contains(got, "M") || !slices.Contains(got, "Z") {
		t.Errorf("%v, %v", got, err)
	}
}

// A size is printed in the largest unit that holds it whole.
func TestSizesPrintWhole(t *testing.T) {
	for n, want := range map[Size]string{0: "0B", 1: "1B", 1023: "1023B", 1024: "1KiB", 1025: "1025B", 1 << 20: "1MiB", 1 << 30: "1GiB", 3 << 29: "1536MiB", 1 << 40: "1024GiB"} {
		if got := n.String(); got != want && !(n == 1<<40 && got == "1TiB") {
			t.Errorf("%d: %s, want %s", int64(n), got, want)
		}
	}
}

// A value of the wrong kind is a mistake with its place and hides no other mistake.
// Only a limit that may be absent takes "unlimited".
func TestWhatIsNoValueIsToldWhereItStands(t *testing.T) {
	for text, want := range map[string]string{
		"[network]\nallow = [7, \"a.example:443\", \"a.example:443\"]\n": "p.toml:3:30",
		"[network]\nlisten = [\"80\"]\n":                                 "is not a port",
		"[network]\nlisten = [0]\n":                                      "is not a port",
		"[network]\nlisten = [65536]\n":                                  "is not a port",
		"[limits]\nmemory = \"1TiB\"\n":                                  "",
		"[limits]\nopen-files = \"none\"\n":                              "limits.open-files",
		"[wire]\nmax-line = \"unlimited\"\n":                             "wire.max-line",
		"[tools.rule]\nt = 5\n":                                          "tools.rule.t",
		"name = 7\n":                                                     "p.toml:2:8",
		"[params.x]\ntype = \"string\"\nenv = 7\n":                       "params.x.env",
	} {
		_, err := resolved(text, machine)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Parse("p.toml", []byte("name = \"p\"\n"), nil); err == nil || !strings.HasPrefix(err.Error(), "p.toml:1:1: ") {
		t.Errorf("no version: %v", err)
	}
}
