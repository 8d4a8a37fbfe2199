package egress

import (
	"net/netip"
	"slices"

	"mcpen/sandbox/internal/dns"
	"mcpen/sandbox/policy"
)

// rules is the allow list, indexed for queries. The zero value allows nothing, and
// neither does a malformed rule.
type rules struct {
	exact map[string][]policy.Host
	wild  []policy.Host
	nets  []netRule
	any   []policy.Host
	local map[uint16]policy.Host
}

type netRule struct {
	net  netip.Prefix
	rule policy.Host
}

func newRules(hosts []policy.Host) rules {
	r := rules{exact: map[string][]policy.Host{}, local: map[uint16]policy.Host{}}
	for _, h := range hosts {
		if h.First == 0 || h.Last < h.First {
			continue
		}
		switch h.Kind {
		case policy.HostName:
			if dns.Canonical(h.Name) == h.Name {
				r.exact[h.Name] = append(r.exact[h.Name], h)
			}
		case policy.HostWildcard:
			if dns.Canonical(h.Name) == h.Name {
				r.wild = append(r.wild, h)
			}
		case policy.HostAny:
			r.any = append(r.any, h)
		case policy.HostCIDR:
			if p, err := netip.ParsePrefix(h.Name); err == nil {
				r.nets = append(r.nets, netRule{p, h})
			}
		case policy.HostLocal:
			for p := int(h.First); p <= int(h.Last); p++ {
				r.local[uint16(p)] = h
			}
		}
	}
	return r
}

// naming returns the rules that name name, for any port, exact ones first. long reports
// that a wildcard would, but the name is too long for it.
func (r rules) naming(name string) (found []policy.Host, long bool) {
	if name == "" {
		return nil, false
	}
	found = append(found, r.exact[name]...)
	for _, h := range r.wild {
		ok, tooLong := h.Names(name)
		long = long || tooLong
		if ok {
			found = append(found, h)
		}
	}
	found = append(found, r.any...)
	return found, long && len(found) == 0
}

// holding returns the rules that name the address itself, for any port.
func (r rules) holding(a netip.Addr) []policy.Host {
	var found []policy.Host
	for _, n := range r.nets {
		if n.net.Contains(a) {
			found = append(found, n.rule)
		}
	}
	return append(found, r.any...)
}

func hasPort(h policy.Host, port uint16) bool {
	return h.First != 0 && h.First <= port && port <= h.Last
}

// demand reports whether a rule demands TLS on the port, for any name.
func (r rules) demand(port uint16) bool {
	demands := func(h policy.Host) bool { return hasPort(h, port) && h.Demanded(port) }
	for _, hs := range r.exact {
		if slices.ContainsFunc(hs, demands) {
			return true
		}
	}
	return slices.ContainsFunc(r.wild, demands)
}

// grant is one permission for a connection: a rule, and the name through which it
// applies, or "" if the rule names the address itself.
type grant struct {
	rule policy.Host
	name string
}

// grants returns the permissions for a connection to dst. names are the names that
// resolved to its address, best first.
func (r rules) grants(dst netip.AddrPort, names []string) []grant {
	var out []grant
	for _, n := range names {
		found, _ := r.naming(n)
		for _, h := range found {
			if hasPort(h, dst.Port()) {
				out = append(out, grant{h, n})
			}
		}
	}
	for _, h := range r.holding(dst.Addr()) {
		if hasPort(h, dst.Port()) {
			out = append(out, grant{rule: h})
		}
	}
	return out
}

// look says how strictly the first bytes of a connection are checked.
type look int

// Ordered by strictness.
const (
	unseen   look = iota // any bytes pass
	checked              // if they are TLS, they must carry an allowed name
	demanded             // they must be TLS with an allowed name
)

// looks returns how strictly the grants check the first bytes on the port. Rules for
// the same name add up, like all rules of a profile: the most lenient one counts. But
// one name's rule never loosens another name's, even if both resolved to the same
// address. A rule for an address has no name to compare; if a name also resolved to
// that address, the name's rule counts.
func looks(gs []grant, port uint16) look {
	of := map[string]look{}
	for _, g := range gs {
		l := unseen
		switch {
		case g.rule.Demanded(port):
			l = demanded
		case g.rule.Checked(port):
			l = checked
		}
		if have, known := of[g.name]; !known || l < have {
			of[g.name] = l
		}
	}
	most := unseen
	for _, l := range of {
		most = max(most, l)
	}
	return most
}

// nameless returns the grant for a TLS client without a server name: a rule for the
// address itself, for which a client has no name to send.
func nameless(gs []grant) (grant, bool) {
	for _, g := range gs {
		if g.name == "" {
			return g, true
		}
	}
	return grant{}, false
}
