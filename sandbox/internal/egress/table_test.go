package egress

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

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

// The addresses of a name alternate between the families: where one leads nowhere, the other
// is next.
func TestFamiliesAlternate(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for want, c := range map[string][2]string{
		"[]": {"", ""}, "[10.0.0.1 10.0.0.2]": {"10.0.0.1 10.0.0.2", ""}, "[::1 ::2]": {"", "::1 ::2"},
		"[::1 10.0.0.1 ::2 10.0.0.2 ::3]": {"10.0.0.1 10.0.0.2", "::1 ::2 ::3"}, "[::1 10.0.0.1 10.0.0.2]": {"10.0.0.1 10.0.0.2", "::1"},
	} {
		tb := newTable()
		for i, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
			a := answer{asked: asked{name: "n.example", kind: kind}}
			for _, s := range strings.Fields(c[i]) {
				a.addrs = append(a.addrs, netip.MustParseAddr(s))
			}
			tb.learn(a, now)
		}
		if got := fmt.Sprint(tb.addresses("n.example")); got != want || len(tb.addresses("other.example")) > 0 {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
