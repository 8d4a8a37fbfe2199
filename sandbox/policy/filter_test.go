package policy

import (
	"strings"
	"testing"
)

// A rule that matches one name too many allows a host that nobody allowed.
func TestARuleNamesWhatItSays(t *testing.T) {
	name := func(s string) Host { return Host{Kind: HostName, Name: s, First: 443, Last: 443} }
	wild := func(s string) Host { return Host{Kind: HostWildcard, Name: s, First: 443, Last: 443} }
	for _, c := range []struct {
		rule     Host
		name     string
		ok, long bool
	}{
		{name("a.example"), "a.example", true, false}, {name("a.example"), "b.a.example", false, false}, {name("a.example"), "example", false, false}, {name("a.example"), "A.example", false, false},
		{name("a.example"), "a.example.", false, false}, {name(""), "", false, false}, {name("a.example"), "", false, false},
		{wild("a.example"), "b.a.example", true, false}, {wild("a.example"), "a.example", false, false}, {wild("a.example"), ".a.example", false, false}, {wild("a.example"), "ba.example", false, false},
		{wild("a.example"), "b.a.example.evil", false, false}, {wild(""), "b.", false, false}, {wild(""), "b", false, false}, {wild(""), "", false, false},
		{wild("a.example"), "1.2.3.4.a.example", true, false}, {wild("a.example"), "1.2.3.4.5.a.example", false, true},
		{wild("a.example"), strings.Repeat("x", WildcardExtra) + ".a.example", true, false}, {wild("a.example"), strings.Repeat("x", WildcardExtra+1) + ".a.example", false, true},
		{Host{Kind: HostCIDR, Name: "10.0.0.0/8"}, "10.0.0.0/8", false, false}, {Host{Kind: HostLocal, Name: "localhost"}, "localhost", false, false}, {AnyHost(), "a.example", false, false}, {Host{}, "", false, false},
	} {
		if ok, long := c.rule.Names(c.name); ok != c.ok || long != c.long {
			t.Errorf("%s %q names %q: %v, too long %v", c.rule.Kind, c.rule.Name, c.name, ok, long)
		}
	}
}

// A trial whose user allows it reaches every public host, on every port, with any
// protocol.
func TestAnyHostIsEveryPort(t *testing.T) {
	h := AnyHost()
	if h.Kind != HostAny || h.First != 1 || h.Last != 65535 || h.Demanded(443) || h.Checked(443) || h.Private {
		t.Errorf("%+v", h)
	}
}

// A deny pattern blocks exactly the tools that it matches.
func TestPatternsMatchWholeNames(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "anything", true}, {"**", "", true}, {"a", "a", true}, {"a", "", false}, {"a", "ab", false}, {"a", "ba", false}, {"A", "a", false},
		{"?", "a", true}, {"?", "", false}, {"?", "ab", false}, {"?", "ü", true}, {"??", "ü", false}, {"a?", "a", false}, {"a?", "ab", true},
		{"read_*", "read_", true}, {"read_*", "read_file", true}, {"read_*", "read", false}, {"read_*", "xread_file", false}, {"*_file", "read_file", true}, {"*_file", "read_files", false},
		{"a*b*c", "abc", true}, {"a*b*c", "axxbyyc", true}, {"a*b*c", "acb", false}, {"a*b", "abab", true}, {"a*b", "aba", false}, {"*a*", "bab", true}, {"*a*", "bbb", false},
		{"*ab", "aab", true}, {"*aab", "aaaab", true}, {"*?", "", false}, {"*?", "a", true}, {"a***", "a", true}, {"a*?", "a", false}, {"*é", "café", true}, {"[a]", "a", false}, {"[a]", "[a]", true}, {`\*`, `\x`, true},
	} {
		if got := Match(c.pattern, c.name); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.name, got)
		}
	}
	long := strings.Repeat("a", 512)
	if Match(strings.Repeat("a*", 256)+"b", long) {
		t.Error("a long pattern matches what it does not")
	}
}

// A hidden name comes with the line that hides it: deny goes before allow, and an empty
// allow list hides everything.
func TestAFilterHides(t *testing.T) {
	at := func(line int) Pos { return Pos{File: "p.toml", Line: line, Col: 1} }
	for _, c := range []struct {
		name   string
		filter Filter
		at     Pos
		deny   string
		hidden bool
	}{
		{"no filter", Filter{}, Pos{}, "", false},
		{"denied", Filter{Deny: []Glob{{"x", at(1)}, {"get_*", at(2)}}}, at(2), "get_*", true},
		{"another is denied", Filter{Deny: []Glob{{"x", at(1)}}}, Pos{}, "", false},
		{"allowed", Filter{Allow: []Glob{{"x", at(1)}, {"get_*", at(2)}}}, Pos{}, "", false},
		{"another is allowed", Filter{Allow: []Glob{{"x", at(3)}, {"y", at(4)}}}, at(3), "", true},
		{"allowed and denied", Filter{Allow: []Glob{{"get_a", at(1)}}, Deny: []Glob{{"get_a", at(2)}}}, at(2), "get_a", true},
		{"nothing", Filter{Nothing: at(7)}, at(7), "", true},
		{"nothing, whatever else", Filter{Nothing: at(7), Allow: []Glob{{"get_a", at(1)}}}, at(7), "", true},
		{"nothing, and denied", Filter{Nothing: at(7), Deny: []Glob{{"get_a", at(2)}}}, at(2), "get_a", true},
	} {
		at, deny, hidden := c.filter.Hides("get_a")
		if at != c.at || deny != c.deny || hidden != c.hidden {
			t.Errorf("%s: %v, %q, %v", c.name, at, deny, hidden)
		}
	}
}
