package interfaces

import (
	"net/netip"
	"testing"

	"mcpen/sandbox/policy"
)

// If an address is in the wrong class, a name server can lead the launcher, which has
// the user's own network, to the router, the cloud or the machine itself.
func TestAddressClasses(t *testing.T) {
	const no = "refused"
	name := policy.Host{Kind: policy.HostName, Name: "n"}
	private := policy.Host{Kind: policy.HostName, Name: "n", Private: true}
	for _, c := range []struct{ addr, plain, private string }{
		{"203.0.113.5", "", ""},
		{"198.51.100.1", "", ""},
		{"8.8.8.8", "", ""},
		{"2606:4700::1111", "", ""},
		{"2001:db8::5", "", ""},
		{"2001:4860:4860::8888", "", ""},
		{"11.0.0.0", "", ""},
		{"9.255.255.255", "", ""},
		{"172.15.255.255", "", ""},
		{"172.32.0.0", "", ""},
		{"100.63.255.255", "", ""},
		{"100.128.0.0", "", ""},
		{"223.255.255.255", "", ""},

		{"10.0.0.1", no, ""},
		{"10.255.255.255", no, ""},
		{"172.16.0.1", no, ""},
		{"172.31.255.255", no, ""},
		{"192.168.1.1", no, ""},
		{"100.64.0.1", no, ""},
		{"100.127.255.255", no, ""},
		{"198.18.0.1", no, ""},
		{"fc00::1", no, ""},
		{"fd12:3456::1", no, ""},

		{"127.0.0.1", no, no},
		{"127.255.255.254", no, no},
		{"0.0.0.0", no, no},
		{"0.1.2.3", no, no},
		{"169.254.1.1", no, no},
		{"169.254.169.254", no, no},
		{"169.254.170.2", no, no},
		{"100.100.100.200", no, no},
		{"192.0.0.192", no, no},
		{"168.63.129.16", no, no},
		{"fd00:ec2::254", no, no},
		{"fd20:ce::254", no, no},
		{"224.0.0.1", no, no},
		{"239.255.255.255", no, no},
		{"240.0.0.1", no, no},
		{"255.255.255.255", no, no},
		{"192.88.99.1", no, no},
		{"::", no, no},
		{"::1", no, no},
		{"fe80::1", no, no},
		{"fe80::1%eth0", no, no},
		{"2606:4700::1%eth0", no, no},
		{"febf::1", no, no},
		{"fec0::1", no, no},
		{"ff02::1", no, no},
		{"::ffff:127.0.0.1", no, no},
		{"::ffff:203.0.113.5", no, no},
		{"::ffff:10.0.0.1", no, no},
		{"::ffff:169.254.169.254", no, no},
		{"::127.0.0.1", no, no},
		{"::ffff:0:127.0.0.1", no, no},
		{"64:ff9b::7f00:1", no, no},
		{"64:ff9b::a9fe:a9fe", no, no},
		{"64:ff9b:1::1", no, no},
		{"64:ff9b:1:ffff::a00:1", no, no},
		{"2002:7f00:1::", no, no},
		{"2002:a9fe:a9fe::1", no, no},
		{"2001::1", no, no},
		{"2001:0:7f00:1::", no, no},
		{"2001:10::1", no, no},
		{"100::1", no, no},
		{"4000::1", no, no},
		{"5f00::1", no, no},
	} {
		a := netip.MustParseAddr(c.addr)
		for _, r := range []struct {
			rule policy.Host
			want string
		}{{name, c.plain}, {private, c.private}} {
			if got := (Surroundings{}).Refuses(a, r.rule); (got == "") != (r.want == "") {
				t.Errorf("%s, private %v: %q, want %q", c.addr, r.rule.Private, got, r.want)
			}
		}
	}
	if (Surroundings{}).Refuses(netip.Addr{}, private) == "" {
		t.Error("no address at all would be dialled")
	}
}

// The host's own addresses are refused, whatever their range.
func TestOwnAddressesAreRefused(t *testing.T) {
	around := New([]netip.Prefix{netip.MustParsePrefix("203.0.113.9/32"), netip.MustParsePrefix("192.168.1.7/24")})
	private := policy.Host{Kind: policy.HostName, Private: true}
	for a := range around.own {
		if around.Refuses(a, private) == "" {
			t.Errorf("%s would be dialled", a)
		}
		if why := around.Refuses(a.Next(), private); why != "" {
			t.Errorf("%s: %s", a.Next(), why)
		}
	}
}

// A rule for a private network opens it. A wide one does not open the private networks
// that happen to lie in it.
func TestNetworksOpenThemselves(t *testing.T) {
	for _, c := range []struct {
		cidr, addr string
		want       bool
	}{
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.1.2.3/32", "10.1.2.3", true},
		{"192.168.0.0/24", "192.168.0.9", true},
		{"fd00::/8", "fd12::1", true},
		{"fd00::/8", "fd00:ec2::254", false},
		{"100.64.0.0/10", "100.100.100.200", false},
		{"192.0.0.0/8", "192.168.0.9", false},
		{"192.0.0.0/8", "192.1.0.9", true},
		{"172.0.0.0/8", "172.16.0.1", false},
		{"203.0.113.0/24", "203.0.113.5", true},
	} {
		rule := policy.Host{Kind: policy.HostCIDR, Name: c.cidr}
		if why := (Surroundings{}).Refuses(netip.MustParseAddr(c.addr), rule); (why == "") != c.want {
			t.Errorf("%s by %s: %q, want allowed %v", c.addr, c.cidr, why, c.want)
		}
	}
}

// An address that shares a network with the host is a neighbour, whatever it is: a
// machine in a data centre has many neighbours, and they trust each other.
func TestNeighboursArePrivate(t *testing.T) {
	around := New([]netip.Prefix{
		netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("203.0.113.9/24"), netip.MustParsePrefix("2001:db8:1::9/64"),
		netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("192.0.2.1/0"),
	})
	for _, c := range []struct {
		rule policy.Host
		addr string
		want bool
	}{
		{policy.Host{Kind: policy.HostName}, "203.0.113.5", false},
		{policy.Host{Kind: policy.HostName}, "203.0.112.5", true},
		{policy.Host{Kind: policy.HostName}, "2001:db8:1::5", false},
		{policy.Host{Kind: policy.HostName}, "2001:db8:2::5", true},
		{policy.Host{Kind: policy.HostName}, "198.51.100.8", true},
		{policy.Host{Kind: policy.HostName}, "8.8.8.8", true}, // the /0 says nothing
		{policy.Host{Kind: policy.HostName, Private: true}, "203.0.113.5", true},
		{policy.Host{Kind: policy.HostName, Private: true}, "203.0.113.9", false},
		{policy.Host{Kind: policy.HostName, Private: true}, "169.254.169.254", false},
		{policy.Host{Kind: policy.HostCIDR, Name: "203.0.113.5/32"}, "203.0.113.5", true},
		{policy.Host{Kind: policy.HostCIDR, Name: "203.0.113.0/25"}, "203.0.113.5", true},
		{policy.Host{Kind: policy.HostCIDR, Name: "203.0.0.0/16"}, "203.0.113.5", false},
		{policy.Host{Kind: policy.HostCIDR, Name: "203.0.0.0/16"}, "203.0.112.5", true},
	} {
		a := netip.MustParseAddr(c.addr)
		if why := around.Refuses(a, c.rule); (why == "") != c.want {
			t.Errorf("%s by %+v: %q, want allowed %v", a, c.rule, why, c.want)
		}
	}
}

// A network contains narrower ones and itself, but no wider one.
func TestANetworkHoldsWhatIsInIt(t *testing.T) {
	for _, c := range []struct {
		outer, inner string
		want         bool
	}{{"10.0.0.0/8", "10.1.0.0/16", true}, {"10.1.0.0/16", "10.0.0.0/8", false}, {"10.1.0.0/16", "10.1.0.0/8", false}, {"10.1.0.0/16", "10.1.0.0/16", true}, {"10.1.0.0/16", "10.2.0.0/16", false}} {
		if holds(netip.MustParsePrefix(c.outer), netip.MustParsePrefix(c.inner)) != c.want {
			t.Errorf("%s holds %s: %v", c.outer, c.inner, !c.want)
		}
	}
}
