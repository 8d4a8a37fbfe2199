package policy

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/rogpeppe/go-internal/txtar"
)

// fullDocument is the profile with every key, decoded.
func fullDocument(t *testing.T) map[string]any {
	t.Helper()
	ar, err := txtar.ParseFile("testdata/profiles/full.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range ar.Files {
		if f.Name == "profile.toml" {
			var doc map[string]any
			if err := toml.Unmarshal(f.Data, &doc); err != nil {
				t.Fatal(err)
			}
			return doc
		}
	}
	t.Fatal("no profile")
	return nil
}

func encode(t *testing.T, doc map[string]any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(doc); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// places calls f for every table and every value of a document. f may change the value
// and restore it; set(nil) removes it.
func places(where string, v any, set func(any), f func(where string, v any, set func(any))) {
	f(where, v, set)
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			places(where+"."+k, v[k], func(x any) { v[k] = x }, f)
		}
	case []any:
		for i := range v {
			places(fmt.Sprintf("%s[%d]", where, i), v[i], func(x any) { v[i] = x }, f)
		}
	case []map[string]any:
		for i := range v {
			places(fmt.Sprintf("%s[%d]", where, i), v[i], func(x any) { v[i] = x.(map[string]any) }, f)
		}
	}
}

// If a table ignored unknown keys, the user would believe in a misspelt rule.
func TestUnknownKeysAreFoundInEveryTable(t *testing.T) {
	doc := fullDocument(t)
	if _, err := Parse("p.toml", encode(t, doc), nil); err != nil {
		t.Fatalf("as it is: %v", err)
	}
	tables := 0
	places("", doc, nil, func(where string, v any, _ func(any)) {
		table, ok := v.(map[string]any)
		// A schema may have keywords of its own; JSON Schema defines them.
		if !ok || strings.HasPrefix(where, ".tools.rule.read_file.properties") || strings.Contains(where, "anyOf") {
			return
		}
		tables++
		for _, typo := range []any{int64(1), "one"} {
			if _, text := typo.(string); text && (where == ".env.set" || where == ".env.secret") {
				continue // a variable like any other
			}
			table["zz-typo"] = typo
			_, err := Parse("p.toml", encode(t, doc), nil)
			delete(table, "zz-typo")
			var m Mistakes
			if !errors.As(err, &m) || !slices.ContainsFunc(m, func(m Mistake) bool { return strings.Contains(m.Error(), "zz-typo") }) {
				t.Errorf("an unknown key in %q is not found: %v", where, err)
			}
		}
	})
	if tables < 25 {
		t.Errorf("only %d tables were walked", tables)
	}
}

// A value of a wrong type must not count as absent: no key takes a date, and a text key
// takes no number.
func TestWrongTypesAreFoundAtEveryKey(t *testing.T) {
	doc := fullDocument(t)
	date := time.Date(1979, 5, 27, 7, 32, 0, 0, time.UTC)
	keys := 0
	places("", doc, nil, func(where string, v any, set func(any)) {
		if set == nil || strings.HasPrefix(where, ".tools.rule.") && strings.Count(where, ".") > 3 && !strings.Contains(where, "properties") && !strings.Contains(where, "anyOf") {
			return
		}
		keys++
		wrong := map[string]any{"a date": date, "dates": []any{date}, "a date in a table": map[string]any{"zz": date}, "a date in a table's list": map[string]any{"zz": []any{date}},
			"a date in a list's table": []any{map[string]any{"zz": date}}}
		schema := strings.HasPrefix(where, ".tools.rule.")
		switch v.(type) {
		case string:
			if !schema {
				wrong["a number"] = 1.5
				wrong["true"] = true
			}
		case bool:
			wrong["a text"], wrong["a number"] = "true", int64(1)
		case int64:
			wrong["a text"], wrong["true"] = "zz", true
		case []any:
			wrong["a number"] = int64(7)
		case map[string]any:
			wrong["a number"] = int64(7)
		}
		if where == ".params.port.default" || where == ".limits.cpu" || where == ".tools.rule.read_file.properties.depth.maximum" {
			wrong = map[string]any{"a date": date, "dates": []any{date}}
		}
		delete(wrong, map[bool]string{true: "dates", false: ""}[where == ""])
		for what, x := range wrong {
			if _, isTable := x.(map[string]any); strings.HasPrefix(where, ".tools.rule.") && strings.HasSuffix(where, "]") && strings.Contains(where, "Of[") && !isTable {
				continue // a table in a list of tables is a table
			}
			set(x)
			_, err := Parse("p.toml", encode(t, doc), nil)
			var m Mistakes
			if !errors.As(err, &m) || len(m) == 0 {
				t.Errorf("%s passes as %s: %v", what, where, err)
			}
			set(v)
		}
	})
	if keys < 90 {
		t.Errorf("only %d keys were walked", keys)
	}
}

// The first value that is out of bounds, and the last that is within.
func TestNumbersEndWhereTheySay(t *testing.T) {
	for _, c := range []struct{ table, key, good, bad string }{
		{"limits", "memory", `"1MiB" "unlimited"`, `"1023KiB" "0MiB"`},
		{"limits", "processes", `1 2147483647 "unlimited"`, `0 -1 2147483648 1.5 "1"`},
		{"limits", "open-files", `16 1048576 "unlimited"`, `15 1048577`},
		{"limits", "file-size", `"4096B" "4KiB" "unlimited"`, `"4095B"`},
		{"limits", "tmp", `"4096B" "unlimited"`, `"4095B"`},
		{"limits", "tmp-files", `16 2147483647 "unlimited"`, `15 2147483648`},
		{"limits", "connections", `1 65536 "unlimited"`, `0 65537`},
		{"limits", "connection-rate", `1 1000000 "unlimited"`, `0 1000001`},
		{"limits", "cpu-time", `"1s" "unlimited"`, `"999ms" "0s" "-1s"`},
		{"wire", "max-line", `"64KiB" "1GiB"`, `"65535B" "1073741825B" "unlimited"`},
		{"wire", "finish", `"0s" "24h"`, `"24h1ms" "-1s" "unlimited"`},
		{"wire", "grace", `"0s" "10m"`, `"10m1ms" "-1s" "unlimited"`},
		{"install", "min-age", `"0s" "7d"`, `"-1s" "unlimited"`},
		{"network", "listen", `[1] [65535]`, `[0] [65536] [-1] ["80"]`},
		{"tools.rule.x", "per-minute", `1`, `0 -1`},
		{"tools.rule.x", "concurrent", `1`, `0 -1`},
	} {
		try := func(value string) error {
			_, err := Parse("p.toml", fmt.Appendf(nil, "version = 1\n[%s]\n%s = %s\n", c.table, c.key, value), nil)
			return err
		}
		for _, v := range strings.Fields(c.good) {
			if err := try(v); err != nil {
				t.Errorf("%s = %s: %v", c.key, v, err)
			}
		}
		for _, v := range strings.Fields(c.bad) {
			if try(v) == nil {
				t.Errorf("%s = %s passes", c.key, v)
			}
		}
	}
}

// A rule must not contain values that JSON lacks, or that programs read differently:
// such a value would arrive as null, which allows everything.
func TestRulesHoldWhatJSONHas(t *testing.T) {
	for text, good := range map[string]bool{
		"const = 9007199254740992": true, "const = 9007199254740993": false, "const = -9007199254740992": true, "const = -9007199254740993": false,
		"enum = [1, 9007199254740993]": false, "const = {a = {b = 9007199254740993}}": false, "const = [[9007199254740993]]": false, "const = {a = [{b = 9007199254740993}]}": false,
		"const = nan": false, "const = inf": false, "const = -inf": false, "const = [nan]": false, "const = {a = nan}": false, "const = 1.5": true, "const = true": true,
		"const = 1979-05-27": false, "const = {a = 1979-05-27}": false, "const = [1979-05-27]": false, "const = {a = [1], b = {c = \"d\"}}": true,
	} {
		_, err := Parse("p.toml", []byte("version = 1\n[tools.rule.x]\nproperties.a = {"+text+"}\n"), nil)
		if (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
	p, err := Parse("p.toml", []byte("version = 1\n[tools.rule.x]\nproperties.a.const = {b = [{c = 1}], d = [2, \"e\"]}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := Resolve(p, Input{})
	want := map[string]any{"properties": map[string]any{"a": map[string]any{"const": map[string]any{"b": []any{map[string]any{"c": 1.0}}, "d": []any{2.0, "e"}}}}}
	if err != nil || len(pol.Tools.Rules) != 1 || !reflect.DeepEqual(pol.Tools.Rules[0].Schema["properties"], want["properties"]) {
		t.Errorf("%#v, %v", pol.Tools.Rules, err)
	}
}

// For every key of a baseline, the stricter of two values holds, whoever wrote it.
func TestEveryKeyOfABaselineBounds(t *testing.T) {
	resolved := func(profile, baseline string) (Policy, error) {
		t.Helper()
		p, err := Parse("p.toml", []byte("version = 1\n"+profile), nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseBaseline("b.toml", []byte("version = 1\n"+baseline), nil)
		if err != nil {
			t.Fatal(err)
		}
		return Resolve(p, Input{Baselines: []*Profile{b}})
	}
	modes := func(table, key string, get func(Policy) any, order ...string) {
		for i, mine := range order {
			for j, theirs := range order {
				pol, err := resolved(fmt.Sprintf("[%s]\n%s = %s\n", table, key, mine), fmt.Sprintf("[%s]\n%s = %s\n", table, key, theirs))
				if want := strings.Trim(order[max(i, j)], `"`); err != nil || fmt.Sprint(get(pol)) != want {
					t.Errorf("%s = %s within %s is %v, want %s (%v)", key, mine, theirs, get(pol), want, err)
				}
			}
		}
	}
	modes("tools", "pins", func(p Policy) any { return p.Tools.Pins }, `"off"`, `"warn"`, `"first-use"`, `"enforce"`)
	modes("tools", "findings", func(p Policy) any { return p.Tools.Findings }, `"warn"`, `"hold"`)
	modes("tools", "results", func(p Policy) any { return p.Tools.Results }, `"pass"`, `"show"`, `"strip"`)
	modes("tools", "validate", func(p Policy) any { return p.Tools.Validate }, "false", "true")
	modes("log", "files", func(p Policy) any { return p.Log.Files }, "false", "true")
	modes("log", "on-error", func(p Policy) any { return p.Log.OnError }, `"continue"`, `"stop"`)
	modes("wire", "finish", func(p Policy) any { return p.Wire.Finish }, `"2h0m0s"`, `"2s"`, `"0s"`)
	modes("wire", "grace", func(p Policy) any { return p.Wire.Grace }, `"9m0s"`, `"2s"`, `"0s"`)
	modes("install", "min-age", func(p Policy) any { return p.Install.MinAge }, `"0s"`, `"1h0m0s"`, `"48h0m0s"`)
	modes("wire", "max-line", func(p Policy) any { return fmt.Sprintf("%dKiB", p.Wire.MaxLine/1024) }, `"128KiB"`, `"64KiB"`)
	for _, key := range []string{"per-minute", "concurrent"} {
		modes("tools.rule.x", key, func(p Policy) any {
			if len(p.Tools.Rules) != 1 {
				return p.Tools.Rules
			}
			if key == "concurrent" {
				return p.Tools.Rules[0].Concurrent
			}
			return p.Tools.Rules[0].PerMinute
		}, "9", "2", "1")
	}
	for _, key := range []string{"sampling", "elicitation", "roots", "logging"} {
		get := func(p Policy) any {
			v := reflect.ValueOf(p.Client).FieldByNameFunc(func(n string) bool { return strings.EqualFold(n, key) })
			return fmt.Sprint(v.Interface())
		}
		on, err := resolved("[client]\n"+key+" = true\n", "")
		off, err2 := resolved("[client]\n"+key+" = false\n", "")
		if err != nil || err2 != nil || get(on) == get(off) {
			t.Fatalf("%s: %v, %v", key, get(on), get(off))
		}
		for _, c := range [][2]string{{"true", "false"}, {"false", "true"}, {"false", "false"}} {
			if pol, err := resolved("[client]\n"+key+" = "+c[0]+"\n", "[client]\n"+key+" = "+c[1]+"\n"); err == nil && get(pol) != get(off) {
				t.Errorf("%s = %s within %s: %v", key, c[0], c[1], get(pol))
			}
		}
		if pol, err := resolved("[client]\n"+key+" = true\n", "[client]\n"+key+" = true\n"); err != nil || get(pol) != get(on) {
			t.Errorf("%s: %v, %v", key, get(pol), err)
		}
	}
	for _, c := range []struct{ profile, within, not string }{
		{"[process]\npty = true\n", "[process]\npty = true\n", "[process]\npty = false\n"},
		{"[log]\narguments = true\n", "[log]\narguments = true\n", "[log]\narguments = false\n"},
		{"[install]\nscripts = [\"a\", \"b\"]\n", "[install]\nscripts = [\"a\", \"b\"]\n", "[install]\nscripts = [\"a\"]\n"},
		{"[env]\npass = [\"LANG\"]\n", "[env]\npass = [\"LANG\"]\n", "[env]\npass = [\"TZ\"]\n"},
		{"[env]\nset = { A = \"b\" }\n", "", "[env]\npass = []\n"},
		{"[filesystem]\nread = [\"/srv/a\"]\n", "[filesystem]\nread = [\"/srv\"]\n", "[filesystem]\nread = [\"/srv/a/b\"]\n"},
		{"[filesystem]\nread = [\"/srv/a\"]\n", "[filesystem]\nread = [\"/srv\"]\n", "[filesystem]\ndeny = [\"/srv\"]\n"},
		{"[filesystem]\nwrite = [\"/srv/a\"]\n", "[filesystem]\nwrite = [\"/srv\"]\n", "[filesystem]\nwrite = [\"/srv/ab\"]\n"},
		{"[filesystem]\nwrite = [\"/srv/a\"]\n", "[filesystem]\nwrite = [\"/srv/a\"]\n", "[filesystem]\ndeny = [\"/srv/a\"]\n"},
		{"[filesystem]\nwrite = [\"/srv\"]\nunprotect = [\"/srv/.git\"]\n", "[filesystem]\nunprotect = [\"/srv/.git\"]\n", "[filesystem]\nunprotect = []\n"},
	} {
		if _, err := resolved(c.profile, c.within); err != nil {
			t.Errorf("%q within %q: %v", c.profile, c.within, err)
		}
		if strings.Contains(c.profile, "set =") {
			continue
		}
		if _, err := resolved(c.profile, c.not); err == nil {
			t.Errorf("%q goes beyond %q, and nobody says so", c.profile, c.not)
		}
	}
	for _, text := range []string{"[server]\ncommand = [\"a\"]\n", "[server]\npackage = \"npm:a\"\n", "[server]\nargs = [\"a\"]\n", "[server]\ndir = \"/srv\"\n", "[env]\nset = { A = \"b\" }\n", "[params.a]\ntype = \"string\"\n"} {
		b, err := ParseBaseline("b.toml", []byte("version = 1\n"+text), nil)
		if err == nil {
			_, err = Resolve(&Profile{Name: "x"}, Input{Baselines: []*Profile{b}})
		}
		if err == nil {
			t.Errorf("a baseline says %q, which nobody heeds, and nobody says so", text)
		}
	}
	if pol, err := resolved("[filesystem]\nprotect = [\"mine\"]\n", "[filesystem]\nprotect = [\"theirs\"]\n"); err != nil || len(pol.Filesystem.Protect) != 2 {
		t.Errorf("protected: %+v, %v", pol.Filesystem.Protect, err)
	}
}
