package guard

import (
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/policy"
)

// atOnce is how many bytes of definitions are worth another goroutine.
const atOnce = 32 << 10

// assessPage judges the definitions of a page, on as many processors as there are: a
// client waits longest for the first list. If findings hold nothing back, it leaves the
// search for later.
func (g *Guard) assessPage(kind definition.Kind, all [][]byte) []assessed {
	out, entries := make([]assessed, len(all)), make([]entry, len(all))
	size := 0
	for _, raw := range all {
		size += len(raw)
	}
	var scan *finding.Page
	if g.cfg.Tools.Findings == policy.FindingHold {
		names := make([]string, len(all))
		for i, raw := range all {
			names[i], _ = rpc.Text(rpc.Get(raw, "name"))
		}
		scan = g.scanPage(kind, names)
	}
	var next atomic.Int64
	work := func() {
		var findings func(raw []byte) []finding.Finding
		if scan != nil {
			findings = scan.Reader()
		}
		assessor := g.newAssessor(kind, findings)
		defer assessor.release()
		for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
			out[i] = assessor.definition(all[i], &entries[i])
		}
	}
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 1+size/atOnce) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
	return out
}

// look searches the unapproved definitions of a page for findings: later, or at once if
// the page is too long to keep until then. kept returns the answer for as long as the
// search needs it.
func (g *Guard) look(v *Ruling, r *request, kind definition.Kind, p *page, result []byte, kept func() []byte) {
	if g.cfg.Tools.Findings == policy.FindingHold {
		return // assessPage did
	}
	if len(result) > maxKept {
		kept = func() []byte { return result }
	}
	todo := p.unread(kept)
	scan := g.scanPage(kind, p.names)
	if todo == nil {
		return
	}
	raws := make([][]byte, len(todo))
	for i, d := range todo {
		raws[i] = d.raw
	}
	tell := func(v *Ruling, found [][]finding.Finding) {
		for i, d := range todo {
			if len(found[i]) > 0 && g.once("finding", string(kind), d.name, d.hash) {
				g.findingEvents(v, r, kind, d.name, found[i])
			}
		}
	}
	if len(result) > maxKept {
		tell(v, scan.All(raws))
		return
	}
	v.Later = func() Ruling {
		found := scan.All(raws)
		g.mu.Lock()
		defer g.mu.Unlock()
		var later Ruling
		tell(&later, found)
		return g.bounded(later, false)
	}
}

// unread is a definition before its search for findings.
type unread struct {
	name, hash string
	raw        []byte
}

// unread lists a page's unapproved definitions.
func (p *page) unread(kept func() []byte) []unread {
	var todo []unread
	for i, e := range p.entries {
		if !e.approved && e.broken == "" && e.refusal == nil {
			if todo == nil {
				todo = make([]unread, 0, len(p.entries)-i)
			}
			todo = append(todo, unread{p.names[i], e.hash, kept()[p.raw[i].at : p.raw[i].at+p.raw[i].n]})
		}
	}
	return todo
}

// scanPage is for a page with definitions of these names, the server's own. It
// makes no scanner yet: approved definitions need none, and so not the definitions of
// other servers. It is called under mu.
func (g *Guard) scanPage(kind definition.Kind, names []string) *finding.Page {
	if kind == definition.KindTool && slices.ContainsFunc(names, func(name string) bool { return !g.own[name] }) {
		own := make(map[string]bool, len(g.own)+len(names)) // a search may still read the old one
		maps.Copy(own, g.own)
		for _, name := range names {
			if len(own) < maxNames && (own[name] || g.ownBytes+len(name) <= maxOwn) {
				if !own[name] {
					g.ownBytes += len(name)
				}
				own[name] = true
			}
		}
		g.own = own
	}
	own := g.own
	return finding.NewPage(kind, own, g.scan)
}
