package egress

import (
	"context"
	"net"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// World stands in for the internet, in a trial: what no rule names goes to it, and
// nowhere else. Its methods may be called from many goroutines.
type World interface {
	// Resolve is told each name that is asked for, as it was asked, and gives its
	// addresses of the family that is wanted (A or AAAA); the family is 0 for
	// records of other types, of which there are none.
	Resolve(name string, kind dnsmessage.Type) []netip.Addr
	// Serve takes a connection to an address over. It closes it.
	Serve(ctx context.Context, conn net.Conn, to netip.AddrPort)
}

// imagined is the answer of a world to a question.
func (r *resolver) imagined(text, name string, kind dnsmessage.Type) verdict {
	if name == "" {
		name = text
	}
	if kind == dnsmessage.TypeAAAA && !r.hasV6() {
		r.e.cfg.World.Resolve(name, 0)
		return verdict{}
	}
	var v verdict
	for _, a := range r.e.cfg.World.Resolve(name, kind) {
		v.records = append(v.records, recordOf(a))
	}
	return v
}
