package guard

import (
	"bytes"
	"fmt"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/internal/flight"
	"mcpen/sandbox/internal/rpc"
)

// The methods that the guard knows.
const (
	methodInitialize  = "initialize"
	methodDiscover    = "server/discover"
	methodListen      = flight.Subscription
	methodCall        = "tools/call"
	methodPrompt      = "prompts/get"
	methodRead        = "resources/read"
	methodSubscribe   = "resources/subscribe"
	methodUnsubscribe = "resources/unsubscribe"
	methodComplete    = "completion/complete"
	methodLevel       = "logging/setLevel"
	methodCancelled   = "notifications/cancelled"
	methodMessage     = "notifications/message"
	methodProgress    = "notifications/progress"

	metaPrefix = "io.modelcontextprotocol/"
)

// listMethods are the methods that list definitions.
var listMethods = map[string]definition.Kind{
	"tools/list": definition.KindTool, "prompts/list": definition.KindPrompt, "resources/list": definition.KindResource, "resources/templates/list": definition.KindTemplate,
}

// answered are the other methods that are requests, about which there are rules.
var answered = map[string]bool{methodCall: true, methodPrompt: true, methodRead: true, methodSubscribe: true, methodComplete: true, methodListen: true}

// ClientMessage decides about a line from the client. m is its view, and no batch.
func (g *Guard) ClientMessage(line []byte, m rpc.Message) Ruling {
	return g.bounded(g.clientMessage(line, m), true)
}

func (g *Guard) clientMessage(line []byte, m rpc.Message) Ruling {
	switch m.Kind {
	case rpc.Request:
		return g.clientRequest(line, m)
	case rpc.Notification:
		if m.Method == methodCancelled {
			// A late answer to it is dropped; the client does not wait for one.
			g.flight.Take(rpc.Get(m.Params, "requestId"))
		}
		if _, list := listMethods[m.Method]; list || answered[m.Method] {
			// Without an id it is no request of MCP's; a lenient server might act on it.
			return Ruling{Events: []audit.Event{refusedLine("the client", m.Method+": a request without an id")}}
		}
		return Ruling{Forward: line}
	case rpc.Response, rpc.Error:
		if m.ID == nil || m.ID[0] == 'n' || g.asked.Take(m.ID) != nil {
			return Ruling{Forward: line}
		}
		return Ruling{Events: []audit.Event{refusedLine("the client", "an answer to a request that nobody waits for")}}
	}
	return Ruling{Events: []audit.Event{refusedLine("the client", "not a message")}}
}

// paramKeys are the members of params on which decisions rest. A look-alike of
// one of them is refused, at whatever method.
var paramKeys = []string{"name", "arguments", "uri", "cursor", "ref", "_meta", "notifications", "level", "requestId", "capabilities"}

const (
	paramName = iota
	paramArguments
	paramURI
	paramCursor
	paramRef
	paramMeta
	paramNotifications
	paramLevel
	paramRequestID
	paramCapabilities
	paramCount
)

// params are the members of a request's params.
type params [paramCount][]byte

func (p *params) text(i int) string {
	s, _ := rpc.Text(p[i])
	return s
}

// subject is the tool, the prompt or the resource, by its URI, of a request.
func (p *params) subject(method string) string {
	switch method {
	case methodCall, methodPrompt:
		return p.text(paramName)
	case methodRead, methodSubscribe, methodUnsubscribe:
		return p.text(paramURI)
	}
	return ""
}

func (g *Guard) clientRequest(line []byte, m rpc.Message) Ruling {
	var p params
	if err := rpc.Fields(m.Params, paramKeys, p[:]); err != nil {
		return refuseRequest(m, rpc.CodeInvalidParams, err.Error())
	}
	r := &request{cursor: p.text(paramCursor)}
	r.ID, r.Method, r.Name = m.ID, cut(m.Method, maxMethod), p.subject(m.Method)
	if len(r.Name) > maxParam || len(r.cursor) > maxParam {
		return refuseRequest(m, rpc.CodeInvalidParams, fmt.Sprintf("a name or cursor has more than %d bytes", maxParam))
	}
	if g.cfg.Args && (m.Method == methodCall || m.Method == methodPrompt) {
		r.Args = p[paramArguments]
	}
	version := rpc.Get(p[paramMeta], metaPrefix+"protocolVersion")
	r.modern = version != nil
	level, _ := rpc.Text(rpc.Get(p[paramMeta], metaPrefix+"logLevel"))
	r.level = cut(level, maxLevel)
	capabilities := p[paramCapabilities]
	if r.modern {
		capabilities = rpc.Get(p[paramMeta], metaPrefix+"clientCapabilities")
	}
	r.offers = offersOf(capabilities, g.cfg.Tools.Client)
	if m.Method == methodInitialize || r.modern {
		line = g.narrowed(line, m.Params, capabilities)
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	g.modern = g.modern || r.modern
	if m.Method == methodInitialize {
		g.offers = r.offers
	}
	r.informs = g.wantsMessages(r)
	v := g.decide(r, m, &p)
	if v.Reply != nil {
		r.release()
		return v
	}
	r.Ended, r.More = r.release, len(r.cursor)+len(r.level)
	err := g.flight.Add(r)
	for err == flight.ErrFull {
		// Give up the oldest request and do not wait for its answer.
		old := g.flight.Oldest()
		if old == nil {
			break
		}
		g.flight.Take(old.ID)
		v.ToClient = append(v.ToClient, rpc.ErrorReply(old.ID, rpc.CodeInternal, "mcpen: given up: "+err.Error()))
		err = g.flight.Add(r)
	}
	if err != nil {
		r.release()
		return refuseRequest(m, rpc.CodeInvalidRequest, err.Error())
	}
	v.Forward = line
	return v
}

// decide returns a Ruling with a Reply where the request must not pass.
func (g *Guard) decide(r *request, m rpc.Message, p *params) Ruling {
	switch m.Method {
	case methodCall:
		return g.call(r, m, p)
	case methodPrompt:
		if p[paramName] == nil {
			return Ruling{} // it names nothing, and the server answers that
		}
		if r.Name == "" || !rpc.IsString(p[paramName]) {
			return refuseRequest(m, rpc.CodeInvalidParams, "the prompt has no name")
		}
		return g.use(r, m, definition.KindPrompt, r.Name)
	case methodRead, methodSubscribe:
		if p[paramURI] == nil {
			return Ruling{}
		}
		if r.Name == "" {
			return refuseRequest(m, rpc.CodeInvalidParams, "the resource has no URI")
		}
		return g.use(r, m, definition.KindResource, r.Name)
	case methodComplete:
		return g.complete(r, m, p)
	case methodListen:
		return g.listen(r, m, p)
	case methodLevel:
		g.level = cut(p.text(paramLevel), maxLevel)
	}
	return Ruling{}
}

// call decides about a tool call.
func (g *Guard) call(r *request, m rpc.Message, p *params) Ruling {
	if r.Name == "" || !rpc.IsString(p[paramName]) {
		return refuseRequest(m, rpc.CodeInvalidParams, "the call names no tool")
	}
	if v := g.use(r, m, definition.KindTool, r.Name); v.Reply != nil {
		return v
	}
	if d := g.checkCall(r, p[paramArguments]); d != nil {
		return g.refuse(r, *d)
	}
	return Ruling{Events: []audit.Event{{Kind: audit.KindTool, Verdict: audit.Allowed, Subject: r.Name, Request: r.Audit()}}}
}

// complete decides about the completion of an argument of a prompt or template.
func (g *Guard) complete(r *request, m rpc.Message, p *params) Ruling {
	var ref [3][]byte
	if err := rpc.Fields(p[paramRef], []string{"type", "name", "uri"}, ref[:]); err != nil {
		return refuseRequest(m, rpc.CodeInvalidParams, err.Error())
	}
	for i, kind := range map[int]definition.Kind{1: definition.KindPrompt, 2: definition.KindTemplate} {
		name, ok := rpc.Text(ref[i])
		if !ok {
			continue
		}
		r.Name = name
		if v := g.use(r, m, kind, name); v.Reply != nil {
			return v
		}
	}
	return Ruling{}
}

func (g *Guard) listen(r *request, m rpc.Message, p *params) Ruling {
	var f [4][]byte
	if err := rpc.Fields(p[paramNotifications], []string{"toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions"}, f[:]); err != nil {
		return refuseRequest(m, rpc.CodeInvalidParams, err.Error())
	}
	yes := func(raw []byte) bool { return bytes.Equal(raw, []byte("true")) }
	r.listen = listen{yes(f[0]), yes(f[1]), yes(f[2])}
	for raw := range rpc.Elements(f[3]) {
		uri, _ := rpc.Text(raw)
		if v := g.use(r, m, definition.KindResource, uri); v.Reply != nil {
			return v
		}
	}
	return Ruling{}
}

// use decides whether a tool, prompt or resource may be used at all.
func (g *Guard) use(r *request, m rpc.Message, kind definition.Kind, name string) Ruling {
	if f, section := g.filterOf(kind); true {
		if ref, hidden := filtered(f, section, name); hidden {
			return g.refuse(r, denial{kind: kind, name: name, text: "is not available here", verdict: audit.Refused, refusal: ref})
		}
	}
	if why, held := g.usable(kind, name); why != "" {
		d := denial{kind: kind, name: name, text: why, verdict: audit.Refused, unknown: !g.known(kind, name)}
		if held {
			d.verdict = audit.Held
			d.refusal.hint = "mcpen review " + g.cfg.Server
		}
		return g.refuse(r, d)
	}
	return Ruling{}
}

func refuseRequest(m rpc.Message, code int, why string) Ruling {
	return Ruling{
		Reply:  rpc.ErrorReply(m.ID, code, why),
		Events: []audit.Event{refusedLine("the client", m.Method+": "+why)},
	}
}
