package policy

import "net/netip"

// AddressClass names the class of an address, in words.
type AddressClass string

// The classes that a rule can reach. No rule reaches any other.
const (
	AddressPublic  AddressClass = "public"
	AddressPrivate AddressClass = "a private address"
)

// barred is a range of addresses that no name may resolve to.
type barred struct {
	net netip.Prefix
	is  AddressClass
}

// ranges is searched in order, so exact addresses come first. Its IPv6 ranges lie in or
// beside 2000::/3; nothing outside of that is public.
var ranges = func() []barred {
	var out []barred
	for _, r := range []struct{ net, is string }{
		// Metadata services hand out cloud credentials to any client. Some lie in
		// ranges that a rule may open as private.
		{"169.254.169.254/32", "a cloud's metadata service"},
		{"169.254.170.2/32", "a cloud's metadata service"},  // ECS
		{"169.254.170.23/32", "a cloud's metadata service"}, // EKS
		{"100.100.100.200/32", "a cloud's metadata service"},
		{"192.0.0.192/32", "a cloud's metadata service"},
		{"168.63.129.16/32", "a cloud's metadata service"},
		{"fd00:ec2::254/128", "a cloud's metadata service"},
		{"fd00:ec2::23/128", "a cloud's metadata service"},
		{"fd20:ce::254/128", "a cloud's metadata service"},
		{"fe80::a9fe:a9fe/128", "a cloud's metadata service"},

		// The special-purpose registries of IANA (RFC 6890).
		{"0.0.0.0/8", "an unspecified address"},
		{"127.0.0.0/8", "a loopback address"},
		{"169.254.0.0/16", "a link-local address"},
		{"192.0.0.0/24", "a reserved address"},
		{"192.88.99.0/24", "a 6to4 relay"},
		{"224.0.0.0/4", "a multicast address"},
		{"240.0.0.0/4", "a reserved address"}, // the limited broadcast included
		{"::/128", "an unspecified address"},
		{"::1/128", "a loopback address"},
		{"::ffff:0:0/96", "an IPv4 address in an IPv6 one"},
		{"::/96", "an IPv4 address in an IPv6 one"},
		{"::ffff:0:0:0/96", "an IPv4 address in an IPv6 one"},
		{"64:ff9b::/96", "an IPv4 address in an IPv6 one (NAT64)"},
		{"64:ff9b:1::/48", "an IPv4 address in an IPv6 one (NAT64)"},
		{"2001::/32", "an IPv4 address in an IPv6 one (Teredo)"},
		{"2002::/16", "an IPv4 address in an IPv6 one (6to4)"},
		{"2001:10::/28", "a reserved address"}, // ORCHID
		{"fe80::/10", "a link-local address"},
		{"fec0::/10", "a reserved address"}, // site-local, deprecated by RFC 3879
		{"ff00::/8", "a multicast address"},

		// A rule may open these ranges explicitly.
		{"10.0.0.0/8", string(AddressPrivate)},
		{"172.16.0.0/12", string(AddressPrivate)},
		{"192.168.0.0/16", string(AddressPrivate)},
		{"100.64.0.0/10", string(AddressPrivate)}, // shared by carriers (RFC 6598)
		{"198.18.0.0/15", string(AddressPrivate)}, // benchmarks; and local proxies that invent addresses
		{"fc00::/7", string(AddressPrivate)},
	} {
		out = append(out, barred{netip.MustParsePrefix(r.net), AddressClass(r.is)})
	}
	return out
}()

// globalUnicast is all of IPv6 that IANA has allocated.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// ClassifyAddress returns the class of an address. The networks reserved for
// documentation count as public: no machine is there.
func ClassifyAddress(a netip.Addr) AddressClass {
	switch {
	case !a.IsValid():
		return "no address"
	case a.Zone() != "":
		return "a link-local address"
	}
	for _, r := range ranges {
		if r.net.Contains(a) {
			return r.is
		}
	}
	if a.Is4In6() {
		return "an IPv4 address in an IPv6 one"
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return "a reserved address"
	}
	return AddressPublic
}

// PrivateNetwork reports whether a whole network is private.
func PrivateNetwork(p netip.Prefix) bool {
	for _, r := range ranges {
		if r.is == AddressPrivate && r.net.Bits() <= p.Bits() && r.net.Contains(p.Addr()) {
			return true
		}
	}
	return false
}
