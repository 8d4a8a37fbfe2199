package guard

import (
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/policy"
)

// ServerMessage decides about a line from the server. m is its view, and no batch.
func (g *Guard) ServerMessage(line []byte, m rpc.Message) Ruling {
	return g.bounded(g.maskedMessage(line, m), false)
}

// maskedMessage masks secrets before anything is decided.
func (g *Guard) maskedMessage(line []byte, m rpc.Message) Ruling {
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
		return g.refuseAnswer(m, g.flight.Take(m.ID), "a secret cannot be masked in it")
	}
	leak := audit.Event{Kind: audit.KindFinding, Verdict: audit.Refused, Subject: "the server", Request: g.flight.Newest(),
		Detail: "a secret of this run was masked in a line of the server's"}
	v := g.serverMessage(masked, again)
	v.Events = append([]audit.Event{leak}, v.Events...)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.warn(&v, "the server sent a secret of this run to the client; it was masked")
	return v
}

func (g *Guard) serverMessage(line []byte, m rpc.Message) Ruling {
	switch m.Kind {
	case rpc.Request:
		return g.asks(line, m)
	case rpc.Notification:
		return g.notifies(line, m)
	}
	if m.Kind == rpc.Error && (m.ID == nil || m.ID[0] == 'n') {
		return Ruling{Forward: line}
	}
	r := g.flight.Take(m.ID)
	if r == nil {
		return Ruling{Events: []audit.Event{refusedLine("the server", "an answer to a request that nobody waits for")}}
	}
	return g.answer(line, m, r)
}

// cancelled forgets a request that the server takes back: its own, or the
// subscription that it ends.
func (g *Guard) cancelled(m rpc.Message) {
	if m.Method != methodCancelled {
		return
	}
	id := rpc.Get(m.Params, "requestId")
	if g.asked.Take(id) != nil {
		return
	}
	if r := g.flight.Find(id); r != nil && r.Method == methodListen {
		g.flight.Take(id)
	}
}

// answer decides about the answer to r.
func (g *Guard) answer(line []byte, m rpc.Message, r *request) Ruling {
	kind, isList := listMethods[r.Method]
	opening := r.Method == methodInitialize || r.Method == methodDiscover
	if m.Kind == rpc.Error || !isList && !opening {
		return g.result(line, m, r)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var v Ruling
	var edits []edit
	var err error
	if isList {
		edits, err = g.listed(&v, r, kind, m.Result)
	} else {
		edits, err = g.opened(&v, r, m.Result)
	}
	if err != nil {
		refused := g.refuseAnswer(m, r, "the answer to "+r.Method+" was refused: "+err.Error())
		refused.Warn = append(v.Warn, refused.Warn...)
		refused.Events = append(v.Events, refused.Events...)
		return refused
	}
	v.Forward = apply(line, m.Result, edits)
	return v
}

// refuseAnswer keeps an answer from the client, which gets an error instead. A
// request or notification of the server's is dropped.
func (g *Guard) refuseAnswer(m rpc.Message, r *request, why string) Ruling {
	v := Ruling{Events: []audit.Event{refusedLine("the server", why)}}
	if r != nil {
		v.Events[0].Request = r.Audit()
		if r.informs {
			v.ToClient = append(v.ToClient, message("mcpen: "+why))
		}
		v.ToClient = append(v.ToClient, rpc.ErrorReply(r.ID, rpc.CodeInternal, "mcpen: "+why))
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
func (g *Guard) result(line []byte, m rpc.Message, r *request) Ruling {
	v := Ruling{Forward: line}
	if wants := rpc.Get(m.Result, "inputRequests"); wants != nil {
		if why := g.questions(wants, r); why != "" {
			return g.refuseAnswer(m, r, "the answer to "+r.Method+" was refused: "+why)
		}
		v.asked = append(v.asked, audit.Event{Kind: audit.KindTool, Verdict: audit.Observed, Subject: r.Name,
			Detail: "the server asks the client for " + inputs(wants), Request: r.Audit()})
	}
	if !g.hidden || !textMethods[r.Method] {
		return v
	}
	changed := rewrite(line, m.ID, false, func(key bool, text string) (string, bool) {
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
	v.Events = append(v.Events, audit.Event{Kind: audit.KindFinding, Verdict: audit.Observed, Subject: r.Name,
		Detail:  "hidden characters or escape sequences in a result were " + map[bool]string{true: "removed", false: "made visible"}[g.cfg.Tools.Results == policy.TextStrip],
		Request: r.Audit()})
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
