package definition

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/policy"
)

// one is the definition of a tool.
func one(t *testing.T, text string) Definition {
	t.Helper()
	d, err := Define(KindTool, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// states formats the pins in one line.
func states(p Pins) string {
	var out []string
	for _, d := range p.Definitions {
		out = append(out, fmt.Sprintf("%s %s %s", d.Name, d.State, d.Description))
	}
	return strings.Join(out, ", ")
}

// Only a person may change a person's decision: renewing, forgetting or seeing a
// definition again must not undo it.
func TestPinsAreRenewedAndForgotten(t *testing.T) {
	a, b, c := one(t, `{"name":"t","description":"first"}`), one(t, `{"name":"t","description":"second"}`), one(t, `{"name":"u","description":"first"}`)
	seen := Pins{}.See(a)
	for _, test := range []struct {
		name string
		pins Pins
		want string
	}{
		{"seen", seen, "t seen first"}, {"seen again", seen.See(a), "t seen first"}, {"another is seen", seen.See(b), "t seen first, t waiting second"}, {"another tool", seen.See(c), "t seen first, u seen first"},
		{"renewed", seen.Renew(b), "t seen second"}, {"renewed where one waits", seen.Wait(b).Renew(b), "t seen second"}, {"renewed where nothing was", Pins{}.Renew(b), "t seen second"}, {"renewed beside another tool", seen.See(c).Renew(b), "t seen second, u seen first"},
		{"renewed where one is approved", Pins{}.Approve(a).Renew(b), "t approved first, t waiting second"}, {"renewed where one is rejected", Pins{}.Reject(a).Renew(b), "t rejected first, t waiting second"}, {"renewed where another tool's is approved", Pins{}.Approve(c).See(a).Renew(b), "t seen second, u approved first"},
		{"forgotten", seen.See(c).Forget(a), "u seen first"}, {"another is forgotten", seen.Forget(b), "t seen first"}, {"another tool's is forgotten", seen.See(c).Forget(one(t, `{"name":"v","description":"first"}`)), "t seen first, u seen first"},
		{"what was in use waits", seen.Wait(a), "t waiting first"}, {"what waits is seen", Pins{}.Wait(a).See(a), "t waiting first"}, {"approved in its place", seen.Wait(b).Approve(b), "t approved second"}, {"rejected", seen.Wait(b).Reject(b), "t rejected second, t seen first"},
	} {
		if got := states(test.pins); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	if got := states(seen); got != "t seen first" {
		t.Errorf("the pins themselves changed: %s", got)
	}
	p := Pins{}.Approve(a).Wait(b).See(c).Reject(one(t, `{"name":"v"}`))
	p.Over = []string{"tool"}
	if got := states(p.Decided()); got != "t approved first, v rejected " || p.Decided().Over != nil {
		t.Errorf("decided: %q", got)
	}
	if got := states(p.Undecided()); got != "t waiting second, u seen first" || len(p.Undecided().Over) != 1 {
		t.Errorf("undecided: %q", got)
	}
	if got := states(p.Decided().With(p.Undecided())); got != states(p) {
		t.Errorf("together: %q, want %q", got, states(p))
	}
	both := Pins{Over: []string{"tool"}}.With(Pins{Over: []string{"prompt", "tool"}})
	if slices.Sort(both.Over); len(both.Over) != 2 {
		t.Errorf("over: %v", both.Over)
	}
}

// A person compares the description and then the rest, if they exist.
func TestLinesOfADefinition(t *testing.T) {
	for want, d := range map[string]Definition{"Adds\n{\n  \"name\": \"a\"\n}": one(t, `{"name":"a","description":"Adds"}`), "{\n  \"name\": \"a\"\n}": one(t, `{"name":"a"}`), "Adds": {Kind: KindInstructions, Description: "Adds"}, "": {}} {
		if got := d.Lines(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for text, want := range map[Text]string{
		"": `""`, "a": `"a"`, `"`: `"\""`, `\`: `"\\"`, "\t": `"\t"`, "é": `"é"`, "\x00": `"\u0000"`, "\u202e": `"\u202E"`, "\U000E0041": `"\U000E0041"`, "a\nb": "\"\"\"\na\nb\"\"\"", "\n": "\"\"\"\n\n\"\"\"",
		"a\n\"b\"": "\"\"\"\na\n\"b\\\"\"\"\"", "a\n\"\"\"\"": "\"\"\"\na\n\"\\\"\\\"\\\"\"\"\"", "\"\n": "\"\"\"\n\"\n\"\"\"", "a\n\\": "\"\"\"\na\n\\\\\"\"\"",
	} {
		if got, err := text.MarshalTOML(); err != nil || string(got) != want {
			t.Errorf("%q: %s, want %s (%v)", text, got, want, err)
		}
	}
}

// The difference comes with the words around it, and without equal text far from it.
func TestWhereTextsDiffer(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		a, b string
		x, y part
	}{
		{"", "", part{}, part{}}, {"a", "a", part{0, 1}, part{0, 1}}, {"a", "b", part{0, 1}, part{0, 1}}, {"ab", "ac", part{0, 2}, part{0, 2}}, {"", "abc", part{0, 0}, part{0, 3}},
		{x(300) + "a" + x(300), x(300) + "bc" + x(300), part{44, 557}, part{44, 558}}, {x(256) + "a", x(256) + "b", part{0, 257}, part{0, 257}}, {x(257) + "a", x(257) + "b", part{1, 258}, part{1, 258}}, {"a" + x(257), "b" + x(257), part{0, 257}, part{0, 257}}, {x(600), x(601), part{344, 600}, part{344, 601}},
	} {
		gotX, gotY := differing([]byte(c.a), []byte(c.b))
		if gotX != c.x || gotY != c.y {
			t.Errorf("%d and %d bytes: %v, %v, want %v, %v", len(c.a), len(c.b), gotX, gotY, c.x, c.y)
		}
	}
	d, old := one(t, `{"name":"a","description":"Works in /srv/new"}`), one(t, `{"name":"a","description":"Works in /srv/old"}`)
	given := []policy.Given{{Name: "workspace", Values: []string{"/srv/new"}}}
	was := old.Seen([]policy.Given{{Name: "workspace", Values: []string{"/srv/old"}}}, time.Unix(1, 0))
	if !d.Like(was, given, time.Unix(2, 0)) || d.Like(was, nil, time.Unix(2, 0)) || !d.Like(d, nil, time.Unix(2, 0)) || d.Like(one(t, `{"name":"a","description":"Works elsewhere"}`), given, time.Unix(2, 0)) {
		t.Error("a folder that was given is no change, and everything else is one")
	}
}
