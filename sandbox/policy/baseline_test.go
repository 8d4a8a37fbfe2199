package policy

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestTheTighterLimitHolds: whoever wrote it, profile or baseline.
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
		// The twin: without the tight one on either side, the loose one holds.
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

// A baseline that says nothing changes nothing, and one that a profile stays
// within only adds refusals.
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

// An allow list that is there and empty allows nothing; one that is not there
// has no opinion.
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

// A package without a profile is bounded too.
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

// Where there are two baselines, nobody gets what only one of them allows.
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

// A layer that a baseline requires is not given up, whoever says so.
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

// A profile cannot say of what the baseline hides that it may be absent, which would
// let it be seen once it is there.
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
