package policy

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestTheTighterLimitHolds checks each limit, whether the profile or the baseline is
// tighter.
func TestTheTighterLimitHolds(t *testing.T) {
	for key, values := range map[string]struct{ tight, loose string }{
		"memory":     {`"64MiB"`, `"8GiB"`},
		"processes":  {"8", "9000"},
		"open-files": {"64", "90000"},
		"file-size":  {`"1MiB"`, `"9GiB"`},
		"cpu":        {"0.5", "4"},
		"cpu-time":   {`"10s"`, `"9h"`},
		"tmp":        {`"1MiB"`, `"9GiB"`},
		"tmp-files":  {"16", "90000"},

		"connections":     {"8", "9000"},
		"connection-rate": {"8", "90000"},
	} {
		want := limits(t, key, values.tight, "")
		for _, c := range [][2]string{
			{values.tight, values.loose}, {values.loose, values.tight}, {values.tight, `"unlimited"`}, {`"unlimited"`, values.tight},
			{values.tight, values.tight}, {values.tight, ""},
		} {
			if got := limits(t, key, c[0], c[1]); got != want {
				t.Errorf("%s = %s within %s: %+v", key, c[0], c[1], got)
			}
		}
		// The twin: if neither side has the tight limit, the loose one holds.
		if got := limits(t, key, values.loose, `"unlimited"`); got == want {
			t.Errorf("%s = %s within unlimited: %+v", key, values.loose, got)
		}
	}
	if n := reflect.TypeFor[Limits]().NumField(); n != 10 {
		t.Errorf("%d limits, and this test knows 10", n)
	}
}

// limits resolves a profile with one limit within a baseline with another.
func limits(t *testing.T, key, profile, baseline string) Limits {
	t.Helper()
	text := func(value string) []byte {
		if value == "" {
			return []byte("version = 1\n")
		}
		return fmt.Appendf(nil, "version = 1\n[limits]\n%s = %s\n", key, value)
	}
	p, err := Parse("p.toml", text(profile), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseBaseline("b.toml", text(baseline), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Resolve(p, Input{Baselines: []*Profile{b}})
	if err != nil {
		t.Fatal(err)
	}
	return got.Limits
}

// An empty baseline changes nothing. A baseline that a profile stays within only adds
// refusals.
func TestAnEmptyBaselineBoundsNothing(t *testing.T) {
	p, in, _ := full(t)
	want, err := Resolve(p, in)
	if err != nil {
		t.Fatal(err)
	}
	base, err := ParseBaseline("b.toml", []byte("version = 1\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	in.Baselines = []*Profile{base}
	got, err := Resolve(p, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Sources) != len(want.Sources)+1 {
		t.Errorf("the baseline is not among the sources: %v", got.Sources)
	}
	got.Sources = want.Sources
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// An empty allow list allows nothing; an absent one has no effect.
func TestEmptyListsOfABaselineAllowNothing(t *testing.T) {
	for table, rule := range map[string]string{
		"filesystem": `read = ["/srv/a"]`,
		"network":    `allow = ["a.example:443"]`,
		"sockets":    `connect = ["/srv/s.sock"]`,
		"env":        `pass = ["LANG"]`,
		"install":    `scripts = ["esbuild"]`,
		"tools":      `allow = ["a"]`,
		"prompts":    `allow = ["a"]`,
		"resources":  `allow = ["a"]`,
		"require":    `without = ["seccomp"]`,
	} {
		p, err := Parse("p.toml", fmt.Appendf(nil, "version = 1\n[%s]\n%s\n", table, rule), nil)
		if err != nil {
			t.Fatal(err)
		}
		key, _, _ := strings.Cut(rule, " ")
		for text, allowed := range map[string]bool{
			"":                                     true,
			fmt.Sprintf("[%s]\n%s\n", table, rule): true,
			fmt.Sprintf("[%s]\n%s = []\n", table, key): false,
		} {
			b, err := ParseBaseline("b.toml", []byte("version = 1\n"+text), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Resolve(p, Input{Baselines: []*Profile{b}}); (err == nil) != allowed {
				t.Errorf("%s within %q: %v", rule, text, err)
			}
		}
	}
}

// A baseline also bounds a package without a profile.
func TestABaselineBoundsTheClosedPolicy(t *testing.T) {
	b, err := ParseBaseline("b.toml", []byte("version = 1\n[limits]\nprocesses = 9\n[tools]\npins = \"enforce\"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Resolve(&Profile{Name: "pkg"}, Input{Baselines: []*Profile{b}})
	if err != nil || got.Limits.Processes != 9 || got.Tools.Pins != PinEnforce {
		t.Errorf("%+v, %v", got, err)
	}
}

// With two baselines, a server gets only the rights that both allow.
func TestEveryBaselineHolds(t *testing.T) {
	base := func(text string) *Profile {
		b, err := ParseBaseline("b.toml", []byte("version = 1\n"+text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const get, some, none = "[tools]\nallow = [\"get_*\"]\n", "[tools]\nallow = [\"get_a\", \"put_a\"]\n", "[tools]\nallow = []\n"
	for _, c := range []struct{ first, second, want string }{
		{get, some, "get_a"}, {some, get, "get_a"}, {get, "", "get_*"}, {"", some, "get_a put_a"},
		{get, none, "nothing"}, {none, get, "nothing"}, {some, "[tools]\nallow = [\"x\"]\n", "nothing"}, {"", "", ""},
	} {
		pol, err := Resolve(&Profile{Name: "pkg"}, Input{Baselines: []*Profile{base(c.first), base(c.second)}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range pol.Tools.Allow {
			got = append(got, g.Pattern)
		}
		if pol.Tools.Nothing != (Pos{}) {
			got = append(got, "nothing")
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q and %q allow %q, want %q", c.first, c.second, got, c.want)
		}
	}
	p, err := Parse("p.toml", []byte("version = 1\n[filesystem]\nread = [\"/srv/a\"]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	srv, other := base("[filesystem]\nread = [\"/srv\"]\n"), base("[filesystem]\nread = [\"/opt\"]\n")
	for _, c := range []struct {
		baselines []*Profile
		good      bool
	}{{[]*Profile{srv}, true}, {[]*Profile{srv, srv}, true}, {[]*Profile{srv, other}, false}, {[]*Profile{other, srv}, false}} {
		if _, err := Resolve(p, Input{Baselines: c.baselines}); (err == nil) != c.good {
			t.Errorf("%d baselines: %v", len(c.baselines), err)
		}
	}
}

// Neither a profile nor an option may give up a layer that a baseline requires.
func TestABaselineKeepsItsLayers(t *testing.T) {
	p, err := Parse("p.toml", []byte("version = 1\n[require]\nwithout = [\"seccomp\"]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, good := range map[string]bool{"": true, "[require]\nlayers = [\"seccomp\"]\n": false, "[require]\nlayers = [\"limits\"]\n": true,
		"[require]\nwithout = [\"landlock\"]\n": false, "[require]\nwithout = [\"seccomp\"]\n": true} {
		b, err := ParseBaseline("b.toml", []byte("version = 1\n"+text), nil)
		if err != nil {
			t.Fatal(err)
		}
		for who, try := range map[string]func() error{
			"the profile": func() error { _, err := Resolve(p, Input{Baselines: []*Profile{b}}); return err },
			"the command line": func() error {
				_, err := Resolve(&Profile{Name: "x"}, Input{Baselines: []*Profile{b}, Without: []Layer{LayerSeccomp}})
				return err
			},
		} {
			if err := try(); (err == nil) != good {
				t.Errorf("%s within %q: %v", who, text, err)
			}
		}
	}
}

// A profile must not make a path optional that the baseline hides: the path would
// become visible once it exists.
func TestABaselineHidesWithoutExceptions(t *testing.T) {
	for profile, baseline := range map[string]string{`"?/srv/a"`: `"/srv/a"`, `"/srv/a"`: `"?/srv/a"`, ``: `"/srv/a"`} {
		p, err := Parse("p.toml", []byte("version = 1\n[filesystem]\ndeny = ["+profile+"]\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseBaseline("b.toml", []byte("version = 1\n[filesystem]\ndeny = ["+baseline+"]\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		pol, err := Resolve(p, Input{Baselines: []*Profile{b}})
		if err != nil || len(pol.Filesystem.Deny) != 1 || pol.Filesystem.Deny[0].Optional {
			t.Errorf("%s within %s: %+v, %v", profile, baseline, pol.Filesystem.Deny, err)
		}
	}
}

// The policy must carry each baseline's bounds for whoever follows symlinks. A baseline
// without paths has none. Each list counts by itself: a writable path is readable.
func TestABaselineLeavesItsBounds(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"[filesystem]\ndeny = [\"/x\"]\n": "",
		"[filesystem]\nread = [\"/r\"]\n": "read [/r]",
		"[filesystem]\nread = [\"/r\"]\nwrite = [\"/w\"]\n":                   "read [/r /w], write [/w]",
		"[filesystem]\nwrite = [\"/w\"]\n":                                    "write [/w]",
		"[filesystem]\nunprotect = [\"/u\"]\n":                                "unprotect [/u]",
		"[sockets]\nconnect = [\"/s\"]\n":                                     "connect [/s]",
		"[filesystem]\nread = []\n":                                           "read []",
		"[filesystem]\nwrite = []\nunprotect = []\n[sockets]\nconnect = []\n": "write [], unprotect [], connect []",
	} {
		b, err := ParseBaseline("b.toml", []byte("version = 1\n"+text), nil)
		if err != nil {
			t.Fatal(err)
		}
		pol, err := Resolve(&Profile{Name: "x"}, Input{Baselines: []*Profile{b}})
		if err != nil || len(pol.Bounds) > 1 || (len(pol.Bounds) == 0) != (want == "") {
			t.Errorf("%q: %+v, %v", text, pol.Bounds, err)
			continue
		}
		var got []string
		for _, b := range pol.Bounds {
			for _, l := range []struct {
				name  string
				paths []Path
			}{{"read", b.Read}, {"write", b.Write}, {"unprotect", b.Unprotect}} {
				if l.paths == nil {
					continue
				}
				names := []string{}
				for _, p := range l.paths {
					names = append(names, p.Path)
				}
				got = append(got, fmt.Sprintf("%s %v", l.name, names))
			}
			if b.Connect != nil {
				names := []string{}
				for _, s := range b.Connect {
					names = append(names, s.Path)
				}
				got = append(got, fmt.Sprintf("connect %v", names))
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q: %s, want %s", text, strings.Join(got, ", "), want)
		}
	}
}

// A secret that a baseline names may only come from the baseline's source, optional or
// not, and no other secret may.
func TestABaselineBoundsSecrets(t *testing.T) {
	for _, c := range []struct {
		profile, baseline string
		good              bool
	}{
		{"A = \"env:A\"", "A = \"env:A\"", true}, {"A = \"?env:A\"", "A = \"env:A\"", true}, {"A = \"env:A\"", "A = \"?env:A\"", true}, {"A = \"env:B\"", "A = \"env:A\"", false}, {"A = \"file:/a\"", "A = \"env:A\"", false},
		{"B = \"env:A\"", "A = \"env:A\"", false}, {"A = \"env:A\"", "", false}, {"", "A = \"env:A\"", true}, {"A = \"env:A\"\nB = \"env:B\"", "A = \"env:A\"", false},
	} {
		p := parse1(t, "version = 1\n[env.secret]\n"+c.profile+"\n")
		b, err := ParseBaseline("b.toml", []byte("version = 1\n[env.secret]\n"+c.baseline+"\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Resolve(p, Input{Baselines: []*Profile{b}})
		if (err == nil) != c.good || err != nil && !strings.Contains(err.Error(), "from this secret") {
			t.Errorf("%s within %s: %v", c.profile, c.baseline, err)
		}
	}
	p := parse1(t, "version = 1\n[env.secret]\nA = \"env:A\"\n[env.set]\nC = \"1\"\n")
	b, err := ParseBaseline("b.toml", []byte("version = 1\n[env]\npass = []\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Resolve(p, Input{Baselines: []*Profile{b}}); err != nil {
		t.Errorf("a baseline that says nothing of secrets: %v", err)
	}
}

// Lists that are too long for a pairwise comparison must not pass unchecked.
func TestTooLongToCompareIsRefused(t *testing.T) {
	for _, kind := range []struct{ table, key, format, want string }{{"network", "allow", "\"h%d.a.example:443\",", "network.allow"}, {"tools", "allow", "\"t%d\",", "tools.allow"}} {
		for n, good := range map[int]bool{1024: true, 1025: false} {
			list := func(n int) string {
				return fmt.Sprintf("version = 1\n[%s]\n%s = [", kind.table, kind.key) + numbered(kind.format, n) + "]\n"
			}
			p := parse1(t, list(n))
			b, err := ParseBaseline("b.toml", []byte(list(1024)), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Resolve(p, Input{Baselines: []*Profile{b}})
			if (err == nil) != good || err != nil && !strings.Contains(err.Error(), kind.want+": is too long to compare") {
				t.Errorf("%s, %d: %v", kind.want, n, err)
			}
		}
	}
}

// If the profile has a rule for the same tool, the baseline's rule holds beside it;
// otherwise it holds by itself.
func TestRulesOfABaselineHoldToo(t *testing.T) {
	schema := func(property string) map[string]any { return map[string]any{"required": []any{property}} }
	for _, c := range []struct{ a, b, want ToolRule }{
		{ToolRule{PerMinute: 3, Concurrent: 1}, ToolRule{PerMinute: 2, Concurrent: 4}, ToolRule{PerMinute: 2, Concurrent: 1}},
		{ToolRule{}, ToolRule{PerMinute: 2, Concurrent: 4}, ToolRule{PerMinute: 2, Concurrent: 4}},
		{ToolRule{PerMinute: 3, Concurrent: 1}, ToolRule{}, ToolRule{PerMinute: 3, Concurrent: 1}},
		{ToolRule{Schema: schema("a")}, ToolRule{}, ToolRule{Schema: schema("a")}},
		{ToolRule{}, ToolRule{Schema: schema("b")}, ToolRule{Schema: schema("b")}},
		{ToolRule{Schema: schema("a")}, ToolRule{Schema: schema("b")}, ToolRule{Schema: map[string]any{"allOf": []any{schema("a"), schema("b")}}}},
	} {
		if got := both(c.a, c.b); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v and %+v: %+v", c.a, c.b, got)
		}
	}
	tools := Tools{Rules: []ToolRule{{Tool: "x", PerMinute: 5}, {Tool: "y", PerMinute: 5}}}
	narrowTools(&tools, Tools{Rules: []ToolRule{{Tool: "y", PerMinute: 2}, {Tool: "z", PerMinute: 9}}}, body{})
	if want := []ToolRule{{Tool: "x", PerMinute: 5}, {Tool: "y", PerMinute: 2}, {Tool: "z", PerMinute: 9}}; !reflect.DeepEqual(tools.Rules, want) {
		t.Errorf("%+v", tools.Rules)
	}
}

// Two lists of patterns allow in common each pattern that the other list covers, once.
func TestWhatTwoListsAllow(t *testing.T) {
	list := func(s string) (out []Glob) {
		for _, p := range strings.Fields(s) {
			out = append(out, Glob{Pattern: p})
		}
		return out
	}
	for _, c := range []struct{ a, b, want string }{{"a", "a", "a"}, {"a b", "b c", "b"}, {"get_*", "get_a put", "get_a"}, {"get_a put", "get_*", "get_a"}, {"*", "a b*", "a b*"}, {"a", "b", ""}, {"a", "", ""}, {"get_* x", "get_a* x y", "x get_a*"}} {
		got := covered(list(c.a), list(c.b))
		if len(got) != len(list(c.want)) || len(got) > 0 && !reflect.DeepEqual(got, list(c.want)) {
			t.Errorf("%q and %q: %v, want %q", c.a, c.b, got, c.want)
		}
	}
}

// A pattern that both profile and baseline deny appears once. Prompts and resources are
// each bounded by their own table.
func TestFiltersOfABaselineAreAdded(t *testing.T) {
	get := map[string]func(Policy) Filter{"tools": func(p Policy) Filter { return p.Tools.Filter }, "prompts": func(p Policy) Filter { return p.Prompts }, "resources": func(p Policy) Filter { return p.Resources }}
	for table := range get {
		p := parse1(t, "version = 1\n["+table+"]\nallow = [\"a\", \"b\"]\ndeny = [\"x\", \"y\"]\n")
		b, err := ParseBaseline("b.toml", []byte("version = 1\n["+table+"]\nallow = [\"*\"]\ndeny = [\"y\", \"z\"]\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		pol, err := Resolve(p, Input{Baselines: []*Profile{b}})
		if err != nil {
			t.Fatal(err)
		}
		for other, get := range get {
			var got []string
			for _, g := range get(pol).Deny {
				got = append(got, g.Pattern)
			}
			if want := map[bool]string{true: "x y z"}[other == table]; strings.Join(got, " ") != want || (other == table) != (len(get(pol).Allow) == 2) {
				t.Errorf("[%s] of a baseline: [%s] is %+v", table, other, get(pol))
			}
		}
		wrong, err := ParseBaseline("b.toml", []byte("version = 1\n["+table+"]\nallow = [\"a\"]\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Resolve(p, Input{Baselines: []*Profile{wrong}}); err == nil || !strings.Contains(err.Error(), table+".allow: the baseline does not allow \"b\"") {
			t.Errorf("[%s]: %v", table, err)
		}
	}
}
