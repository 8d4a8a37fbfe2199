package guard

import (
	"bytes"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/policy"
)

// ServerMessage decides about a line from the server of which m is the view and
// no batch.
func (g *Guard) ServerMessage(line []byte, m rpc.Message) Verdict {
	var keep []byte
	if m.Kind != rpc.Request {
		keep = m.ID // the client's own, which must come back as it was
	}
	masked := g.mask.line(line, keep)
	if masked == nil {
		return g.serverMessage(line, m)
	}
	again, err := rpc.View(masked)
	if err != nil {
		return g.refuseAnswer(m, g.flight.take(m.ID), "a secret cannot be masked in it")
	}
	leak := audit.Event{Kind: audit.KindFinding, Verdict: audit.Refused, Subject: "the server", Request: g.flight.newest(),
		Detail: "a secret of this run was masked in a line of the server's"}
	v := g.serverMessage(masked, again)
	v.Events = append([]audit.Event{leak}, v.Events...)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tell(&v, "the server sent a secret of this run to the client; it was masked")
	return v
}

func (g *Guard) serverMessage(line []byte, m rpc.Message) Verdict {
	switch m.Kind {
	case rpc.Request:
		return g.serverRequest(line, m)
	case rpc.Notification:
		g.cancelled(m)
		return Verdict{Forward: line}
	}
	if m.Kind == rpc.Error && (m.ID == nil || m.ID[0] == 'n') {
		return Verdict{Forward: line}
	}
	r := g.flight.take(m.ID)
	if r == nil {
		return Verdict{Events: []audit.Event{refusedLine("the server", "an answer to a request that nobody waits for")}}
	}
	return g.answer(line, m, r)
}

func (g *Guard) serverRequest(line []byte, m rpc.Message) Verdict {
	ok, why := g.asked.add(&request{id: m.ID, method: m.Method})
	if !ok {
		return Verdict{
			Reply:  rpc.ErrorReply(m.ID, rpc.CodeInvalidRequest, why),
			Events: []audit.Event{refusedLine("the server", m.Method+": "+why)},
		}
	}
	v := Verdict{Forward: line}
	if m.Method != "ping" {
		v.Events = []audit.Event{{Kind: audit.KindTool, Verdict: audit.Observed, Subject: m.Method,
			Detail: "the server asks the client for " + oneLine(m.Method), Request: g.flight.newest()}}
	}
	return v
}

// cancelled forgets a request that the server takes back: its own, or the
// subscription that it ends.
func (g *Guard) cancelled(m rpc.Message) {
	if m.Method != methodCancelled {
		return
	}
	id := rpc.Get(m.Params, "requestId")
	if g.asked.take(id) == nil && g.flight.is(id, methodListen) {
		g.flight.take(id)
	}
}

// answer decides about the answer to r.
func (g *Guard) answer(line []byte, m rpc.Message, r *request) Verdict {
	kind, isList := listMethods[r.method]
	opening := r.method == methodInitialize || r.method == methodDiscover
	if m.Kind == rpc.Error || !isList && !opening {
		return g.result(line, m, r)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var v Verdict
	var edits []edit
	var err error
	if isList {
		edits, err = g.listed(&v, r, kind, m.Result)
	} else {
		edits, err = g.opened(&v, r, m.Result)
	}
	if err != nil {
		refused := g.refuseAnswer(m, r, "the answer to "+r.method+" was refused: "+err.Error())
		refused.Tell = append(v.Tell, refused.Tell...)
		refused.Events = append(v.Events, refused.Events...)
		return refused
	}
	v.Forward = apply(line, m.Result, edits)
	return v
}

// refuseAnswer keeps an answer from the client, which gets an error instead. A
// request or notification of the server's is dropped.
func (g *Guard) refuseAnswer(m rpc.Message, r *request, why string) Verdict {
	v := Verdict{Events: []audit.Event{refusedLine("the server", why)}}
	if r != nil {
		v.Events[0].Request = r.audit()
		v.ToClient = [][]byte{rpc.ErrorReply(r.id, rpc.CodeInternal, "mcpen: "+why)}
	} else if m.Kind == rpc.Request {
		v.Reply = rpc.ErrorReply(m.ID, rpc.CodeInternal, why)
	}
	return v
}

// textMethods are the methods whose results are text for the model.
var textMethods = map[string]bool{
	methodCall: true, methodPrompt: true, methodRead: true, methodComplete: true, "tasks/get": true, "tasks/result": true,
}

// result decides about the answer to anything but a list or the opening.
func (g *Guard) result(line []byte, m rpc.Message, r *request) Verdict {
	v := Verdict{Forward: line}
	if wants := rpc.Get(m.Result, "inputRequests"); wants != nil {
		v.Events = append(v.Events, audit.Event{Kind: audit.KindTool, Verdict: audit.Observed, Subject: r.name,
			Detail: "the server asks the client for " + inputs(wants), Request: r.audit()})
	}
	if !g.hidden || !textMethods[r.method] {
		return v
	}
	changed := rewrite(line, m.ID, func(key bool, text string) (string, bool) {
		if key {
			return text, false
		}
		return showHidden(text, g.cfg.Tools.Results == policy.TextStrip)
	})
	if changed == nil {
		return v
	}
	if _, err := rpc.View(changed); err != nil {
		return g.refuseAnswer(m, r, "its hidden characters cannot be made visible")
	}
	v.Forward = changed
	v.Events = append(v.Events, audit.Event{Kind: audit.KindFinding, Verdict: audit.Observed, Subject: r.name,
		Detail:  "hidden characters or escape sequences in a result were " + map[bool]string{true: "removed", false: "made visible"}[g.cfg.Tools.Results == policy.TextStrip],
		Request: r.audit()})
	return v
}

// inputs names the methods of an InputRequiredResult.
func inputs(requests []byte) string {
	var names []string
	for _, v := range rpc.Members(requests) {
		name, _ := rpc.Text(rpc.Get(v, "method"))
		if len(names) < 8 {
			names = append(names, audit.Visible(name))
		}
	}
	return strings.Join(names, ", ")
}

// opened decides about the answer to initialize or server/discover: what the
// server calls itself and what it tells the model to begin with.
func (g *Guard) opened(v *Verdict, r *request, result []byte) ([]edit, error) {
	var f [5][]byte
	if err := rpc.Fields(result, []string{"instructions", "serverInfo", "_meta", "capabilities", "ttlMs"}, f[:]); err != nil {
		return nil, err
	}
	identity := f[1]
	if r.method == methodInitialize {
		g.legacy = true
		g.logging = rpc.Get(f[3], "logging") != nil
	} else {
		identity = rpc.Get(f[2], metaPrefix+"serverInfo")
	}
	var edits []edit
	waits := false
	if f[0] != nil && string(f[0]) != "null" {
		why, held := g.opening(v, r, KindInstructions, f[0])
		if why != "" {
			edits = append(edits, edit{rpc.Offset(result, f[0]), len(f[0]), []byte(`""`)})
		}
		waits = waits || held
	}
	if identity != nil {
		why, held := g.opening(v, r, KindIdentity, identity)
		if why != "" {
			edits = append(edits, edit{rpc.Offset(result, identity), len(identity), g.identity()})
		}
		waits = waits || held
	}
	if waits && f[4] != nil {
		edits = append(edits, edit{rpc.Offset(result, f[4]), len(f[4]), []byte("0")})
	}
	sortEdits(edits)
	return edits, nil
}

// opening judges the instructions or the identity, and says why they are kept
// from the client, or "".
func (g *Guard) opening(v *Verdict, r *request, kind Kind, raw []byte) (why string, waits bool) {
	e := &entry{}
	switch {
	case kind == KindInstructions && !rpc.IsString(raw):
		e.broken = "they are not a string"
	case kind == KindIdentity && !rpc.IsObject(raw):
		e.broken = "it is not an object"
	default:
		g.define(kind, "", raw, e)
	}
	g.list(kind).entries[""] = e
	p := &page{names: []string{""}, entries: []*entry{e}}
	g.report(v, r, kind, g.list(kind), p)
	return g.hides(e), g.waits(e)
}

// identity is what stands in for a name that nobody approved: the one that was,
// or else the profile's own.
func (g *Guard) identity() []byte {
	if d, ok := g.pins.approved(KindIdentity, ""); ok {
		if canonical, err := d.Canonical(); err == nil {
			return canonical
		}
	}
	b := append([]byte(`{"name":`), rpc.AppendString(nil, g.cfg.Server)...)
	return append(b, `,"version":"0"}`...)
}

// Reload takes new pins, as after a review, and returns what must be sent to the
// client so that it asks again. Open conversations keep the instructions that
// they began with. An error says that the pins were tampered with; the old ones
// stay in force then.
func (g *Guard) Reload(p Pins) ([][]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.visible()
	old := g.pins
	if err := g.setPins(p); err != nil {
		if again := g.setPins(old); again != nil {
			return nil, again
		}
		return nil, err
	}
	for n, d := range g.seen {
		if g.decided[pinKey{n, d.SHA256}] != "" {
			delete(g.seen, n)
		}
	}
	for kind, l := range g.lists {
		clear(l.pages)
		for name, e := range l.entries {
			if e.hash != "" && e.broken == "" {
				e.standing = g.stand(kind, name, e.hash)
			}
		}
	}
	after := g.visible()
	var lines [][]byte
	for _, c := range []struct {
		method string
		kinds  []Kind
	}{
		{"notifications/tools/list_changed", []Kind{KindTool}},
		{"notifications/prompts/list_changed", []Kind{KindPrompt}},
		{"notifications/resources/list_changed", []Kind{KindResource, KindTemplate}},
	} {
		for _, k := range c.kinds {
			if before[k] != after[k] {
				lines = append(lines, g.listChanged(c.method, k)...)
				break
			}
		}
	}
	return lines, nil
}

// visible tells, for each kind, which definitions the client may see.
func (g *Guard) visible() map[Kind]string {
	out := map[Kind]string{}
	for kind, l := range g.lists {
		var b strings.Builder
		for _, name := range sortedKeys(l.entries) {
			if g.hides(l.entries[name]) == "" {
				b.WriteString(name)
				b.WriteByte(0)
			}
		}
		out[kind] = b.String()
	}
	return out
}

// listChanged is a notification for a legacy client, or one for each
// subscription of a modern one.
func (g *Guard) listChanged(method string, kind Kind) [][]byte {
	var lines [][]byte
	if g.legacy {
		lines = append(lines, []byte(`{"jsonrpc":"2.0","method":"`+method+`"}`))
	}
	for _, r := range g.flight.listens() {
		if r.listen.wants(kind) {
			b := []byte(`{"jsonrpc":"2.0","method":"` + method + `","params":{"_meta":{"` + metaPrefix + `subscriptionId":`)
			lines = append(lines, append(append(b, bytes.Clone(r.id)...), `}}}`...))
		}
	}
	return lines
}
