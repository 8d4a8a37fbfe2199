package egress

import (
	"fmt"
	"net/netip"

	"mcpen/sandbox/policy"
)

// class is what kind of address an address is.
type class string

// The classes. Only public addresses are dialled for any rule; near ones where
// the rule asks for them.
const (
	public class = "public"
	near   class = "a private address"
	// neighbour is a public address in a network of the host's own.
	neighbour class = "an address of a network that this machine is in"
)

// barred is a range that no name may lead to.
type barred struct {
	net netip.Prefix
	is  class
}

// ranges is looked through in order, so the exact ones come first. What IPv6
// lists here lies in or beside 2000::/3, outside of which nothing is public.
var ranges = func() []barred {
	var out []barred
	for _, r := range []struct{ net, is string }{
		// Where clouds hand out credentials to whoever asks. Some lie in ranges
		// that a rule may open as private.
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
		{"fec0::/10", "a reserved address"}, // site-local, gone since RFC 3879
		{"ff00::/8", "a multicast address"},

		// What a rule opens by saying so.
		{"10.0.0.0/8", string(near)},
		{"172.16.0.0/12", string(near)},
		{"192.168.0.0/16", string(near)},
		{"100.64.0.0/10", string(near)}, // shared by carriers (RFC 6598)
		{"198.18.0.0/15", string(near)}, // benchmarks; and local proxies that invent addresses
		{"fc00::/7", string(near)},
	} {
		out = append(out, barred{netip.MustParsePrefix(r.net), class(r.is)})
	}
	return out
}()

// globalUnicast is all of IPv6 that IANA has given out.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// classify says what kind of address a is. The networks kept for documentation
// count as public: nothing is there.
func classify(a netip.Addr) class {
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
	return public
}

// surroundings are the addresses of the host's interfaces, and the networks that
// they are in. The zero value is a host that has none.
type surroundings struct {
	own  map[netip.Addr]bool
	nets []netip.Prefix
}

// newSurroundings takes the interfaces' addresses, each with its network. A
// network that is the whole internet says nothing about neighbours.
func newSurroundings(list []netip.Prefix) surroundings {
	s := surroundings{own: make(map[netip.Addr]bool, len(list))}
	for _, p := range list {
		a, bits := p.Addr().WithZone(""), p.Bits()
		if a.Is4In6() {
			a, bits = a.Unmap(), bits-96
		}
		s.own[a] = true
		if bits > 0 && bits < a.BitLen() {
			s.nets = append(s.nets, netip.PrefixFrom(a, bits).Masked())
		}
	}
	return s
}

// classify is classify for this host: whoever shares a network with it, of
// whatever range, is as near as a private address. What listens there often
// trusts its neighbours.
func (s surroundings) classify(a netip.Addr) class {
	is := classify(a)
	if is != public {
		return is
	}
	for _, n := range s.nets {
		if n.Contains(a) {
			return neighbour
		}
	}
	return public
}

// opens reports whether the rule reaches private addresses and neighbours:
// because it says so, or because it names a network that is such as a whole. A
// network that is merely wide enough to hold some does not.
func (s surroundings) opens(rule policy.Host) bool {
	if rule.Private {
		return true
	}
	if rule.Kind != policy.HostCIDR {
		return false
	}
	p, err := netip.ParsePrefix(rule.Name)
	if err != nil {
		return false
	}
	for _, r := range ranges {
		if r.is == near && holds(r.net, p) {
			return true
		}
	}
	for _, n := range s.nets {
		if holds(n, p) {
			return true
		}
	}
	return false
}

func holds(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// refuses says why a must not be dialled for rule, or "" where it may. What
// listens on the host's own addresses trusts the machine, whatever range they
// are of.
func (s surroundings) refuses(a netip.Addr, rule policy.Host) string {
	switch is := s.classify(a); {
	case s.own[a]:
		return fmt.Sprintf("%s is this machine's own address", a)
	case (is == near || is == neighbour) && s.opens(rule), is == public:
		return ""
	default:
		return fmt.Sprintf("%s is %s", a, is)
	}
}

// opened reports whether the rule would let a be dialled if it said that it may
// lead to private addresses.
func (s surroundings) opened(a netip.Addr, rule policy.Host) bool {
	named := rule.Kind == policy.HostName || rule.Kind == policy.HostWildcard
	rule.Private = true
	return named && s.refuses(a, rule) == ""
}
