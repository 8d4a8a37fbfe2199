package egress

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/policy"
)

func TestCanonicalNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	for in, want := range map[string]string{
		"api.example.com": "api.example.com", "API.Example.COM": "api.example.com", "api.example.com.": "api.example.com",
		"_dmarc.example.com": "_dmarc.example.com", "xn--bcher-kva.example": "xn--bcher-kva.example", "a": "a",
		long + ".com": long + ".com", "203.0.113.5": "203.0.113.5",

		"": "", ".": "", "..": "", "a..b": "", ".a": "", "a.com..": "", "bücher.example": "", "a b": "", "a/b": "", "a@b": "", "a%00b": "",
		"a\x00.com": "", "a\\.com": "", "*.com": "", "a:443": "", long + "a.com": "", strings.Repeat("a.", 127) + "aa": "", "[::1]": "",
	} {
		if got := canonical(in); got != want {
			t.Errorf("canonical(%q) = %q, want %q", in, got, want)
		}
	}
}

// The part that a wildcard matches is a channel to the suffix's owner.
func TestWildcards(t *testing.T) {
	rule := policy.Host{Kind: policy.HostWildcard, Name: "example.com"}
	for name, want := range map[string]string{
		"a.example.com": "yes", "a.b.example.com": "yes", "a.b.c.d.example.com": "yes", "xn--bcher-kva.example.com": "yes",
		"example.com": "no", "badexample.com": "no", "example.com.evil.net": "no", "a.example.net": "no", ".example.com": "no", "": "no",
		"a.b.c.d.e.example.com": "long", strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + ".example.com": "long",
	} {
		ok, long := rule.Names(name)
		got := map[bool]string{true: "yes", false: "no"}[ok]
		if long {
			got = "long"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

// The zero rule, and every incomplete rule, matches nothing.
func TestIncompleteRulesDeny(t *testing.T) {
	dst := netip.MustParseAddrPort("203.0.113.5:443")
	for _, h := range []policy.Host{
		{},
		{Kind: policy.HostName, Name: "a.example"},
		{Kind: policy.HostName, First: 443, Last: 443},
		{Kind: policy.HostName, Name: "a.example", First: 443, Last: 80},
		{Kind: policy.HostName, Name: "A.example", First: 443, Last: 443},
		{Kind: policy.HostWildcard, First: 443, Last: 443},
		{Kind: policy.HostCIDR, Name: "anything", First: 443, Last: 443},
		{Kind: "other", Name: "a.example", First: 443, Last: 443},
	} {
		if gs := newRules([]policy.Host{h}).grants(dst, []string{"a.example", "", "x.a.example"}); len(gs) > 0 {
			t.Errorf("%+v grants %v", h, gs)
		}
	}
	whole := policy.Host{Kind: policy.HostName, Name: "a.example", First: 443, Last: 443}
	if gs := newRules([]policy.Host{whole}).grants(dst, []string{"a.example"}); len(gs) != 1 {
		t.Errorf("a whole rule grants %v", gs)
	}
}

func TestShownIsSafeToPrint(t *testing.T) {
	if got := shown("a\x1b[31m\"b\\c d\xff"); got != `a\x1b[31m\x22b\x5cc\x20d\xff` {
		t.Errorf("got %s", got)
	}
	if got := shown(strings.Repeat("a", 1000)); len(got) > maxName+4 {
		t.Errorf("%d characters", len(got))
	}
}

// The table forgets old entries, and the oldest when it is full.
func TestTableIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	tab := newTable()
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)}) }
	learn := func(i int, name string) {
		tab.learn(answer{asked: asked{name: name}, addrs: []netip.Addr{addr(i)}, until: now.Add(time.Second)}, now)
	}
	learn(0, "first")
	if got := tab.names(addr(0), now); len(got) != 1 || got[0] != "first" {
		t.Fatalf("names: %v", got)
	}
	learn(0, "second")
	if got := tab.names(addr(0), now); strings.Join(got, " ") != "second first" {
		t.Errorf("names: %v, want the most recent first", got)
	}
	for i := 1; i <= 2*maxLinks; i++ {
		learn(i, "n")
	}
	if n := tab.links.Len(); n != maxLinks || len(tab.byAddr) != maxLinks {
		t.Errorf("%d links, %d addresses", n, len(tab.byAddr))
	}
	if got := tab.names(addr(0), now); len(got) != 0 {
		t.Errorf("the oldest is still there: %v", got)
	}
	last := addr(2 * maxLinks)
	if got := tab.names(last, now.Add(linkLife-1)); len(got) != 1 {
		t.Errorf("forgotten too soon: %v", got)
	}
	if got := tab.names(last, now.Add(linkLife)); len(got) != 0 {
		t.Errorf("remembered too long: %v", got)
	}
	tab.use(last, "n", now.Add(linkLife-1))
	if got := tab.names(last, now.Add(linkLife)); len(got) != 1 {
		t.Errorf("a link in use was forgotten: %v", got)
	}
	for i := range 2 * maxAnswers {
		tab.learn(answer{asked: asked{name: addr(i).String()}}, now)
	}
	if len(tab.answers) != maxAnswers || tab.order.Len() != maxAnswers {
		t.Errorf("%d answers", len(tab.answers))
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"a.example.com", "A.EXAMPLE.COM.", "example.com", "a.b.c.d.e.example.com", "a..example.com", "x\x00.example.com", "evil-example.com"} {
		f.Add(s)
	}
	rule := policy.Host{Kind: policy.HostWildcard, Name: "example.com"}
	f.Fuzz(func(t *testing.T, s string) {
		c := canonical(s)
		if c != canonical(c) {
			t.Errorf("%q becomes %q, and that %q", s, c, canonical(c))
		}
		if c != "" && strings.Trim(c, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Errorf("%q becomes %q", s, c)
		}
		if ok, _ := rule.Names(c); ok {
			extra := strings.TrimSuffix(c, ".example.com")
			if extra == c || extra == "" || len(extra) > policy.WildcardExtra || strings.Count(extra, ".") >= policy.WildcardLabels {
				t.Errorf("%q matches", s)
			}
		}
	})
}
