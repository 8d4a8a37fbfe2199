package listeners

import (
	"net/netip"
	"os"
	"testing"

	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noWire is a machine without veth.
func noWire(*rtnetlink, sockets, bool) ([]Handle, error) { return nil, errNoWire }

// network is the plan for hosts.
func network(t testing.TB, hosts ...string) plan.Network {
	t.Helper()
	n := plan.Network{Ports: []plan.Span{{First: 80, Last: 80}, {First: 443, Last: 443}}}
	for _, s := range hosts {
		h, err := policy.ParseHost(s)
		must(t, err)
		n.Hosts = append(n.Hosts, h)
		if h.Kind != policy.HostLocal && h.First != 80 && h.First != 443 {
			n.Ports = append(n.Ports, plan.Span{First: h.First, Last: h.First})
		}
	}
	return n
}

// countFDs is the number of this process's descriptors.
func countFDs(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}

func mustAddrPort(t *testing.T, s string) netip.AddrPort {
	t.Helper()
	ap, err := netip.ParseAddrPort(s)
	must(t, err)
	return ap
}
