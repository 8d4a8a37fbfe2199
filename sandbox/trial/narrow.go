package trial

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"mcpen/sandbox/internal/intercept"
	"mcpen/sandbox/plan"
)

// narrow is an internet of which only some hosts are there, as they are under a
// profile.
type narrow struct {
	*intercept.Internet
	allow  []string // NAME:PORT
	record *record
}

// Resolve knows the names of the hosts that are there.
func (n *narrow) Resolve(name string, kind dnsmessage.Type) []netip.Addr {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !slices.ContainsFunc(n.allow, func(at string) bool { return strings.HasPrefix(at, name+":") }) {
		n.record.barred(name)
		return nil
	}
	return n.Internet.Resolve(name, kind)
}

// Serve takes connections to them.
func (n *narrow) Serve(ctx context.Context, conn net.Conn, to netip.AddrPort) {
	if at := n.Name(to.Addr()) + ":" + itoa(int(to.Port())); !slices.Contains(n.allow, at) {
		n.record.barred(to.String())
		conn.Close()
		return
	}
	n.Internet.Serve(ctx, conn, to)
}

// barred notes what a profile did not allow.
func (r *record) barred(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.refusals) < maxHosts {
		r.refusals = append(r.refusals, visible(what)+", "+r.phase)
	}
}

// Narrow makes the desk that of a profile: no decoys, and the workspace only where
// it is granted.
func (d *Desk) Narrow(workspace bool) {
	d.Files = slices.DeleteFunc(d.Files, func(f plan.DeskFile) bool {
		in := strings.HasPrefix(f.Path, d.Workspace+"/")
		_, decoy := d.lures[f.Path]
		return decoy || in && !workspace || !in && !strings.Contains(f.Path, "/.local/share/")
	})
	d.lures = map[string]lure{}
	d.put(strings.TrimPrefix(d.Workspace, d.Home+"/")+"/.keep", "", 0o644)
}

// Refusals are what a replay's profile did not allow.
func (r *Run) Refusals() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.refusals)
}
