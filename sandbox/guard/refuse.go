package guard

import (
	"slices"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/policy"
)

// denial says why something may not be used. The client hears of the refusal; how to
// lift it is for the person's eyes alone.
type denial struct {
	kind    definition.Kind
	name    string
	text    string // of a sentence whose subject is the tool
	detail  string // for the log, where it says more than text
	quoted  string // for the client alone: it may quote the arguments
	verdict audit.Verdict
	refusal refusal
	unknown bool // the server never listed it: MCP wants an error for an unknown tool, and not a result
}

// refuse answers a request that is not passed on: a call of a tool that there is
// with a result that is an error, which models read, anything else with an error.
func (g *Guard) refuse(r *request, d denial) Ruling {
	sentence := subject(d.kind, d.name) + " " + d.text
	v := Ruling{Events: []audit.Event{{
		Kind: audit.KindTool, Verdict: d.verdict, Subject: d.name, Detail: sentence,
		Rule: d.refusal.rule, Hint: d.refusal.hint, Grant: d.refusal.grant, Request: r.Audit(),
	}}}
	if d.detail != "" {
		v.Events[0].Detail += ": " + d.detail
	}
	answer := "mcpen: " + sentence
	if d.quoted != "" {
		answer += ": " + d.quoted
	}
	if r.Method == methodCall && !d.unknown {
		v.Reply = failedCall(r, answer)
	} else {
		v.Reply = rpc.ErrorReply(r.ID, rpc.CodeInvalidParams, answer)
	}
	if r.informs {
		v.ToClient = append(v.ToClient, message("mcpen refused "+r.Method+": "+sentence))
	}
	told := "refused " + r.Method + ": " + sentence
	if d.refusal.rule != "" {
		told += " (" + d.refusal.rule + ")"
	}
	g.warn(&v, "%s", told)
	return v
}

// failedCall is the result of a call that failed.
func failedCall(r *request, text string) []byte {
	b := append([]byte(`{"jsonrpc":"2.0","id":`), r.ID...)
	b = append(b, `,"result":{`...)
	if r.modern {
		b = append(b, `"resultType":"complete",`...)
	}
	b = append(b, `"content":[{"type":"text","text":`...)
	b = rpc.AppendString(b, text)
	return append(b, `}],"isError":true}}`...)
}

// message is a log message for the client.
func message(text string) []byte {
	b := []byte(`{"jsonrpc":"2.0","method":"` + methodMessage + `","params":{"level":"warning","logger":"mcpen","data":`)
	b = rpc.AppendString(b, text)
	return append(b, `}}`...)
}

// maxMessages bounds the messages of one run to a client.
const maxMessages = 64

// Message is a message for the client's log about something that happened while
// it waits for the answer to its newest request. It is nil where the client takes
// no messages, or was sent the same one before, or too many. Models may read the
// text: it names the refusal, and not how to lift it.
func (g *Guard) Message(text string) []byte {
	r, _ := g.flight.Last()
	if r == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.messages >= maxMessages || !g.wantsMessages(r) || !g.once("message", text) {
		return nil
	}
	g.messages++
	return message(text)
}

// wantsMessages reports whether the client takes log messages of the level
// warning: a modern one that asks for them with this request, a legacy one whose
// server declared them.
func (g *Guard) wantsMessages(r *request) bool {
	above := []string{"error", "critical", "alert", "emergency"}
	if r.modern {
		return r.level != "" && !slices.Contains(above, r.level)
	}
	return g.legacy && g.logging && !slices.Contains(above, g.level)
}

// subject begins a sentence about a definition.
func subject(kind definition.Kind, name string) string {
	switch kind {
	case definition.KindInstructions:
		return "the text of the server's instructions"
	case definition.KindIdentity:
		return "the server's identity"
	}
	return string(kind) + " " + audit.Quote(name)
}

// refusal is why a filter or a rule does not let something pass.
type refusal struct {
	rule  string       // file:line:col
	hint  string       // what a person may do, where no grant would allow it
	grant *audit.Grant // the right that would allow it
}

// filtered reports whether a filter hides a name.
func filtered(f policy.Filter, section, name string) (refusal, bool) {
	at, deny, hidden := f.Hides(name)
	switch {
	case !hidden:
		return refusal{}, false
	case deny != "":
		return refusal{rule: at.String(), hint: "[" + section + "] without " + audit.Quote(deny) + " in deny"}, true
	}
	return refusal{rule: at.String(), grant: audit.AllowNamed(section, name)}, true
}

// filterOf is the filter over the names of a kind, and its section in a profile.
func (g *Guard) filterOf(k definition.Kind) (policy.Filter, string) {
	switch k {
	case definition.KindTool:
		return g.cfg.Tools.Filter, "tools"
	case definition.KindPrompt:
		return g.cfg.Tools.Prompts, "prompts"
	default:
		return g.cfg.Tools.Resources, "resources"
	}
}
