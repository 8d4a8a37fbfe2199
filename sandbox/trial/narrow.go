package trial

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"mcpen/sandbox/internal/intercept"
	"mcpen/sandbox/plan"
)

// narrow is an internet with only the hosts that a profile allows.
type narrow struct {
	*intercept.Internet
	allow  []string // NAME:PORT
	record *record
}

// Resolve knows the names of these hosts.
func (n *narrow) Resolve(name string, kind dnsmessage.Type) []netip.Addr {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !slices.ContainsFunc(n.allow, func(at string) bool { return strings.HasPrefix(at, name+":") }) {
		n.record.barred(name)
		return nil
	}
	return n.Internet.Resolve(name, kind)
}

// Serve accepts connections to them.
func (n *narrow) Serve(ctx context.Context, conn net.Conn, to netip.AddrPort) {
	if at := n.Name(to.Addr()) + ":" + strconv.Itoa(int(to.Port())); !slices.Contains(n.allow, at) {
		n.record.barred(to.String())
		conn.Close()
		return
	}
	n.Internet.Serve(ctx, conn, to)
}

// barred records a refusal by the profile.
func (r *record) barred(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.refusals) < maxHosts {
		r.refusals = append(r.refusals, visible(what)+", "+r.phase)
	}
}

// Narrow reduces the desk to that of a profile: no decoys, and the workspace only if it
// is granted.
func (d *Desk) Narrow(workspace bool) {
	d.Files = slices.DeleteFunc(d.Files, func(f plan.DeskFile) bool {
		in := strings.HasPrefix(f.Path, d.Workspace+"/")
		_, decoy := d.lures[f.Path]
		return decoy || in && !workspace || !in && !strings.Contains(f.Path, "/.local/share/")
	})
	d.lures = map[string]lure{}
	d.put(strings.TrimPrefix(d.Workspace, d.Home+"/")+"/.keep", "", 0o644)
}

// Refusals lists the refusals of a replay's profile.
func (r *Run) Refusals() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.refusals)
}
