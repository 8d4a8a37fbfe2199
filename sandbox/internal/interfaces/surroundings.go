// Package interfaces knows the addresses of this machine's network interfaces, and tells
// which addresses must not be dialled because of them.
package interfaces

import (
	"fmt"
	"net/netip"

	"mcpen/sandbox/policy"
)

// class is the class of an address. The egress dials public addresses for any rule, and
// near ones if the rule asks for them.
type class = policy.AddressClass

const (
	public = policy.AddressPublic
	near   = policy.AddressPrivate
	// neighbour is a public address in one of the host's own networks.
	neighbour class = "an address of a network that this machine is in"
)

// Surroundings are the addresses of the host's interfaces and their networks. The zero
// value is a host without any.
type Surroundings struct {
	own  map[netip.Addr]bool
	nets []netip.Prefix
}

// New takes the interfaces' addresses, each with its network. It ignores a
// network that is the whole internet: that says nothing about neighbours.
func New(list []netip.Prefix) Surroundings {
	s := Surroundings{own: make(map[netip.Addr]bool, len(list))}
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

// classify is policy.ClassifyAddress for this host: an address that shares a network
// with the host, of any range, counts as near, like a private address. Services there
// often trust their neighbours.
func (s Surroundings) classify(a netip.Addr) class {
	is := policy.ClassifyAddress(a)
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

// opens reports whether the rule reaches private addresses and neighbours: it says so,
// or it names a network that is private as a whole. A network that merely contains some
// does not.
func (s Surroundings) opens(rule policy.Host) bool {
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
	if policy.PrivateNetwork(p) {
		return true
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

// Refuses returns the reason why a must not be dialled for rule; "" if it may. Services
// on the host's own addresses trust the machine, whatever the range.
func (s Surroundings) Refuses(a netip.Addr, rule policy.Host) string {
	switch is := s.classify(a); {
	case s.own[a]:
		return fmt.Sprintf("%s is this machine's own address", a)
	case (is == near || is == neighbour) && s.opens(rule), is == public:
		return ""
	default:
		return fmt.Sprintf("%s is %s", a, is)
	}
}

// Opened reports whether a could be dialled if the rule allowed private addresses.
func (s Surroundings) Opened(a netip.Addr, rule policy.Host) bool {
	named := rule.Kind == policy.HostName || rule.Kind == policy.HostWildcard
	rule.Private = true
	return named && s.Refuses(a, rule) == ""
}
