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
	if n := reflect.TypeFor[Limits]().NumField(); n != 8 {
		t.Errorf("%d limits, and this test knows 8", n)
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
