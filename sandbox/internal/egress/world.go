package egress

import (
	"context"
	"net"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"

	"mcpen/sandbox/internal/dns"
)

// World imitates the internet in a trial: everything that no rule names goes to it, and
// nowhere else. Many goroutines may call its methods.
type World interface {
	// Resolve receives each name as asked, and returns its addresses of the wanted
	// family (A or AAAA). kind is 0 for records of other types, which do not exist.
	Resolve(name string, kind dnsmessage.Type) []netip.Addr
	// Serve takes over a connection to an address. It must close it.
	Serve(ctx context.Context, conn net.Conn, to netip.AddrPort)
}

// imagined is a world's answer to a question.
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
		v.records = append(v.records, dns.RecordOf(a))
	}
	return v
}
