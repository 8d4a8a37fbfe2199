package egress

import (
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"

	"mcpen/sandbox/internal/listeners/nettest"
)

// Each connection uses the machine's current addresses, including those that came after
// the start.
func TestInterfacesAreWatched(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("203.0.113.5:8080", echo)
		w.name("n.example", "203.0.113.5")
		w.serve(w.config(network(t, "n.example:8080")))
		w.resolve("n.example", dnsmessage.TypeA)
		reached := func() bool {
			c, err := w.dial("203.0.113.5:8080")
			if err != nil {
				return false
			}
			got, _ := talk(c, "x")
			return got == "x"
		}
		if !reached() {
			t.Fatal("a host somewhere is not reached")
		}
		lo, err := netlink.LinkByIndex(nettest.Loopback)
		must(t, err)
		for _, s := range []string{"203.0.113.5/32", "203.0.113.9/24"} {
			a, err := netlink.ParseAddr(s)
			must(t, err)
			must(t, netlink.AddrAdd(lo, a))
			if reached() {
				t.Errorf("reached with %s on an interface", s)
			}
			must(t, netlink.AddrDel(lo, a))
			_ = nettest.Lead("203.0.113.0/24") // the route that went with the address
			if !reached() {
				t.Errorf("not reached after %s was taken away", s)
			}
		}
	})
}
