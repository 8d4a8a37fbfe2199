package guard

import (
	"slices"
	"strings"
	"unicode"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/internal/flight"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/policy"
)

// A request of the server passes where the client offers to serve it, the profile does
// not refuse it, and no text in it claims to come from mcpen.

const (
	methodSampling = "sampling/createMessage"
	methodElicit   = "elicitation/create"
	methodRoots    = "roots/list"
)

// offers are the services that a client declared.
type offers struct {
	sampling, tools   bool // tools: in sampling
	elicitation, form bool
	url               bool // elicitation by a web page
	roots             bool
	tasks             bool
	more              bool // experimental or extensions: methods that nobody here knows
}

// offersOf reads the capabilities of a client, without those that the profile refuses.
func offersOf(capabilities []byte, c policy.Client) offers {
	var o offers
	for k, v := range rpc.Members(capabilities) {
		if !rpc.IsObject(v) {
			continue
		}
		switch string(k) {
		case "sampling":
			o.sampling, o.tools = c.Sampling, rpc.Get(v, "tools") != nil
		case "elicitation":
			// An empty object means forms (2025-11-25, client capabilities).
			form, url := rpc.Get(v, "form") != nil, rpc.Get(v, "url") != nil
			o.elicitation, o.url, o.form = c.Elicitation, url, form || !url
		case "roots":
			o.roots = c.Roots
		case "tasks":
			o.tasks = true
		case "experimental", "extensions":
			o.more = o.more || len(v) > len("{}")
		}
	}
	return o
}

// refusedCapability reports whether the profile refuses a member of a client's
// capabilities.
func refusedCapability(c policy.Client, name string) bool {
	return name == "sampling" && !c.Sampling || name == "elicitation" && !c.Elicitation || name == "roots" && !c.Roots
}

// narrowed returns a line whose capabilities lack those that the profile refuses, so
// that the server does without; the line itself if it refuses none.
func (g *Guard) narrowed(line, params, capabilities []byte) []byte {
	out := capabilities
	for k := range rpc.Members(capabilities) {
		if refusedCapability(g.cfg.Tools.Client, string(k)) {
			out = definition.Without(out, string(k))
		}
	}
	if len(out) == len(capabilities) {
		return line
	}
	return apply(line, params, []edit{{rpc.Offset(params, capabilities), len(capabilities), out}})
}

// question is something that a server asks the client for, as a request or within
// a result.
type question struct {
	method string
	params []byte
}

// unwanted says why a question must not reach the client, or "".
func (o offers) unwanted(q question) string {
	const not = "the client does not offer "
	switch {
	case q.method == "ping":
		return ""
	case q.method == methodSampling && !o.sampling:
		return not + "sampling"
	case q.method == methodSampling && !o.tools && rpc.Get(q.params, "tools") != nil:
		return not + "tools in sampling"
	case q.method == methodElicit && !o.elicitation:
		return not + "elicitation"
	case q.method == methodElicit:
		if mode, _ := rpc.Text(rpc.Get(q.params, "mode")); mode == "url" && !o.url || mode != "url" && !o.form {
			return not + "this mode of elicitation"
		}
	case q.method == methodRoots && !o.roots:
		return not + "roots"
	case strings.HasPrefix(q.method, "tasks/") && !o.tasks:
		return not + "tasks"
	case q.method != methodSampling && q.method != methodRoots && !strings.HasPrefix(q.method, "tasks/") && !o.more:
		return not + "this method"
	}
	switch {
	case q.method == methodElicit && len(q.params) > maxQuestion:
		return "the question is too long to be looked through"
	case claims(q.params, q.method == methodElicit):
		return "it speaks in the name of mcpen"
	}
	return ""
}

// maxQuestion bounds a question to a person, in bytes.
const maxQuestion = 64 << 10

// asks decides about a request of the server's.
func (g *Guard) asks(line []byte, m rpc.Message) Ruling {
	g.mu.Lock()
	why := g.offers.unwanted(question{m.Method, m.Params})
	g.mu.Unlock()
	if why != "" {
		return g.refuseQuestion(m, why)
	}
	asked := &request{Request: flight.Request{ID: m.ID, Method: cut(m.Method, maxMethod)}}
	if err := g.asked.Add(asked); err != nil {
		return Ruling{
			Reply:  rpc.ErrorReply(m.ID, rpc.CodeInvalidRequest, err.Error()),
			Events: []audit.Event{refusedLine("the server", oneLine(m.Method)+": "+err.Error())},
		}
	}
	v := Ruling{Forward: line}
	if m.Method != "ping" {
		v.asked = []audit.Event{{Kind: audit.KindTool, Verdict: audit.Observed, Subject: oneLine(m.Method),
			Detail: "the server asks the client for " + oneLine(m.Method), Request: g.flight.Newest()}}
	}
	return v
}

// refuseQuestion answers a request of the server's in the client's place.
func (g *Guard) refuseQuestion(m rpc.Message, why string) Ruling {
	code := rpc.CodeInvalidRequest
	if strings.HasPrefix(why, "the client ") {
		code = rpc.CodeNoMethod
	}
	v := Ruling{Reply: rpc.ErrorReply(m.ID, code, why)}
	v.asked = []audit.Event{{Kind: audit.KindTool, Verdict: audit.Refused, Subject: oneLine(m.Method),
		Detail: audit.AskedFor + oneLine(m.Method) + ": " + why, Request: g.flight.Newest()}}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.warn(&v, "refused %s of the server's: %s", oneLine(m.Method), why)
	return v
}

// questions says why the questions in a result must not reach the client, or "".
func (g *Guard) questions(wants []byte, r *request) string {
	g.mu.Lock()
	o := g.offers
	g.mu.Unlock()
	if r.modern {
		o = r.offers
	}
	for _, v := range rpc.Members(wants) {
		method, _ := rpc.Text(rpc.Get(v, "method"))
		if why := o.unwanted(question{method, rpc.Get(v, "params")}); why != "" {
			return "it asks for " + oneLine(method) + ": " + why
		}
	}
	return ""
}

// notifies decides about a notification of the server's.
func (g *Guard) notifies(line []byte, m rpc.Message) Ruling {
	g.cancelled(m)
	log := m.Method == methodMessage
	switch {
	case log && !g.cfg.Tools.Client.Logging:
		return Ruling{} // the profile's own doing, and no news
	case (log || m.Method == methodProgress) && claims(m.Params, false):
		return Ruling{Events: []audit.Event{refusedLine("the server", m.Method+": it speaks in the name of mcpen")}}
	}
	return Ruling{Forward: line}
}

// claims reports whether a text among the values of an object claims to come from
// mcpen: by a line that begins with the name, or, where anywhere is set, by the
// name in any place.
func claims(object []byte, anywhere bool) bool {
	switch {
	case rpc.IsString(object):
		text, _ := rpc.Text(object)
		return namesUs(text, anywhere)
	case rpc.IsObject(object):
		for k, v := range rpc.Members(object) {
			if anywhere && namesUs(string(k), true) || claims(v, anywhere) {
				return true
			}
		}
	case rpc.IsArray(object):
		return slices.ContainsFunc(slices.Collect(rpc.Elements(object)), func(v []byte) bool { return claims(v, anywhere) })
	}
	return false
}

// ourName is the name that no server speaks in.
const ourName = "mcpen"

// namesUs reports whether a text names mcpen at the beginning of a line, or
// anywhere. The name in a path, or as a part of another one, does not count.
func namesUs(text string, anywhere bool) bool {
	if len(text) < len(ourName) {
		return false
	}
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029' }) {
		n := finding.Fold(line)
		for at, word := 0, ""; ; at += len(word) {
			i := strings.Index(n.Text[at:], ourName)
			if i < 0 {
				break
			}
			at += i
			word = ourName
			before, after := n.Text[:at], n.Text[at+len(ourName):]
			if partOf(before, after) {
				continue
			}
			if anywhere || strings.IndexFunc(before, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) < 0 {
				return true
			}
		}
	}
	return false
}

// partOf reports whether the text around a name makes it a part of another name or of a
// path.
func partOf(before, after string) bool {
	joins := func(c byte) bool {
		return c == '_' || c == '-' || c == '/' || c == '\\' || c == '@' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z'
	}
	if before != "" && (joins(before[len(before)-1]) || before[len(before)-1] == '.') {
		return true
	}
	if after == "" {
		return false
	}
	if after[0] == '.' {
		return len(after) > 1 && joins(after[1])
	}
	return joins(after[0])
}
