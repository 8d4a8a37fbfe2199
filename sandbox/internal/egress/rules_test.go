package egress

import (
	"net/netip"
	"strings"
	"testing"

	"mcpen/sandbox/internal/dns"
	"mcpen/sandbox/policy"
)

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

func FuzzNames(f *testing.F) {
	for _, s := range []string{"a.example.com", "A.EXAMPLE.COM.", "example.com", "a.b.c.d.e.example.com", "a..example.com", "x\x00.example.com", "evil-example.com"} {
		f.Add(s)
	}
	rule := policy.Host{Kind: policy.HostWildcard, Name: "example.com"}
	f.Fuzz(func(t *testing.T, s string) {
		c := dns.Canonical(s)
		if c != dns.Canonical(c) {
			t.Errorf("%q becomes %q, and that %q", s, c, dns.Canonical(c))
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
