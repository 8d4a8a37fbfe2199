package listeners

import (
	"fmt"
	"testing"

	"mcpen/sandbox/internal/listeners/nettest"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// Without CAP_SYS_ADMIN the listeners share the server's namespace, and the handles say
// so.
func TestListenWithoutANamespaceOfItsOwn(t *testing.T) {
	listenShared := func(t *testing.T, want bool) {
		hs, err := Listen(network(t, "203.0.113.5:8080"))
		must(t, err)
		defer Close(hs)
		count := map[Kind]int{}
		for _, h := range hs {
			count[h.Kind]++
			if sends := h.Kind == KindGate || h.Kind == KindBack; h.Shared != want && !sends || sends && want {
				t.Errorf("%+v, want shared %v", h, want)
			}
		}
		if count[KindResolver] != 1 || count[KindQueries] != 1 || count[KindTCP] != 3 || count[KindGate] != 2*b2int(!want) || count[KindBack] != 2*b2int(!want) {
			t.Errorf("%v: %+v", count, hs)
		}
	}
	if nettest.Stage() == nettest.Weak {
		listenShared(t, true)
		return
	}
	nettest.In(t, func(t *testing.T) {
		nettest.Again(t, nettest.Weak)
		nettest.NewSandbox(t).Inside(func() { listenShared(t, false) }) // the twin: with it they do not
	})
}

// The ports of a plan are listed once, and no others; a span that is none, or more ports
// than there may be, is refused.
func TestPortsOfAPlan(t *testing.T) {
	for _, c := range []struct {
		spans []plan.Span
		want  string
	}{
		{nil, "[] <nil>"}, {[]plan.Span{{First: 80, Last: 80}}, "[80] <nil>"}, {[]plan.Span{{First: 52, Last: 54}}, "[52 54] <nil>"}, {[]plan.Span{{First: 80, Last: 81}, {First: 81, Last: 82}}, "[80 81 82] <nil>"}, {[]plan.Span{{First: 65535, Last: 65535}}, "[65535] <nil>"},
		{[]plan.Span{{First: 0, Last: 5}}, "[] internal error: the ports 0-5 are no span"}, {[]plan.Span{{First: 5, Last: 4}}, "[] internal error: the ports 5-4 are no span"}, {[]plan.Span{{First: 100, Last: 100 + maxListeners}}, "[] cannot listen on more than 1024 ports"},
	} {
		ports, err := expand(c.spans)
		if got := fmt.Sprint(ports, err); got != c.want {
			t.Errorf("%v: %.80s, want %s", c.spans, got, c.want)
		}
	}
	if ports, err := expand([]plan.Span{{First: 100, Last: 99 + maxListeners}}); len(ports) != maxListeners || err != nil {
		t.Errorf("%d ports, %v", len(ports), err)
	}
	nettest.In(t, func(t *testing.T) {
		nettest.NewSandbox(t).Inside(func() {
			for _, n := range []plan.Network{{Hosts: network(t, "a.example:80").Hosts, Ports: []plan.Span{{First: 9, Last: 8}}}, {Every: true, Ports: []plan.Span{{}}}} {
				if hs, err := Listen(n); err == nil || len(hs) > 0 {
					t.Errorf("%v: %v", n.Ports, err)
				}
			}
			hs, err := Listen(plan.Network{Every: true, Ports: []plan.Span{{First: 8080, Last: 8080}}})
			must(t, err)
			defer Close(hs)
			count := map[Kind]int{}
			for _, h := range hs {
				count[h.Kind]++
				if (h.Kind == KindTCP || h.Kind == KindSpare) != h.Gated {
					t.Errorf("%+v", h)
				}
			}
			if count[KindSpare] != maxSpares || count[KindTCP] != 1 || count[KindResolver] != 1 {
				t.Errorf("%v", count)
			}
		})
	})
}

// A rule without a port opens nothing on the loopback, and no gate before it.
func TestALocalRuleWithoutAPortOpensNothing(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		nettest.NewSandbox(t).Inside(func() {
			for ports, want := range map[[2]uint16]int{{0, 0}: 0, {0, 9}: 0, {7000, 7000}: 1, {7000, 7001}: 2} {
				hs, err := listenLocal([]policy.Host{{Kind: policy.HostLocal, First: ports[0], Last: ports[1]}, {Kind: policy.HostName, Name: "a.example", First: 80, Last: 80}})
				must(t, err)
				listeners, gates := map[uint16]bool{}, 0
				for _, h := range hs {
					if h.Kind == KindLocal {
						listeners[h.Port] = true
					} else {
						gates++
					}
				}
				if len(listeners) != want || (gates > 0) != (want > 0) {
					t.Errorf("ports %v: %d listeners, %d gates", ports, len(listeners), gates)
				}
				Close(hs)
			}
		})
	})
}

// Listeners share a port only where they must: one on an address of the loopback and one on
// every address. Two on the same port would each get a part of its connections.
func TestPortsAreShared(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		nettest.NewSandbox(t).Inside(func() {
			rt, err := openRTNetlink()
			must(t, err)
			defer rt.close()
			must(t, rt.do(up(loopback, 0)))
			for _, share := range []bool{true, false} {
				first, err := listenTCP(mustAddrPort(t, "0.0.0.0:8080"), share, false)
				must(t, err)
				second, err := listenTCP(mustAddrPort(t, "127.0.0.1:8080"), share, false)
				if (err == nil) != share || err != nil && err.Error() != "cannot listen on 127.0.0.1:8080 inside: listen tcp4 127.0.0.1:8080: bind: address already in use" {
					t.Errorf("shared %v: %v", share, err)
				}
				first.Close()
				second.Close()
			}
		})
	})
}
