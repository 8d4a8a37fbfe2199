package egress

import (
	"net/netip"
	"testing"

	"mcpen/sandbox/policy"
)

// An address in the wrong class lets a name server lead the launcher, which
// has the user's own network, to the router, the cloud or itself.
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
			if got := refuses(a, r.rule, nil); (got == "") != (r.want == "") {
				t.Errorf("%s, private %v: %q, want %q", c.addr, r.rule.Private, got, r.want)
			}
		}
	}
	if refuses(netip.Addr{}, private, nil) == "" {
		t.Error("no address at all would be dialled")
	}
}

// The host's own addresses are refused in whatever range they lie.
func TestOwnAddressesAreRefused(t *testing.T) {
	own := map[netip.Addr]bool{netip.MustParseAddr("203.0.113.9"): true, netip.MustParseAddr("192.168.1.7"): true}
	private := policy.Host{Kind: policy.HostName, Private: true}
	for a := range own {
		if refuses(a, private, own) == "" {
			t.Errorf("%s would be dialled", a)
		}
		if why := refuses(a.Next(), private, own); why != "" {
			t.Errorf("%s: %s", a.Next(), why)
		}
	}
}

// A rule for a private network opens it; a wide one does not open what private
// networks happen to lie in it.
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
		if why := refuses(netip.MustParseAddr(c.addr), rule, nil); (why == "") != c.want {
			t.Errorf("%s by %s: %q, want allowed %v", c.addr, c.cidr, why, c.want)
		}
	}
}
