package plan

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
)

// Asked returns the question whose answer decided an event, and the action on its
// subject; "" stands for every action. ok is false for an event that no question covers,
// such as a system call. The facts of a path are not filled in.
func Asked(e audit.Event) (q Question, do string, ok bool) {
	switch e.Kind {
	case audit.KindFile:
		q.Path = e.Subject
		if e.Grant != nil {
			do = "write"
			if e.Grant.Key == "read" {
				do = "read"
			}
		}
	case audit.KindConnect:
		if strings.HasPrefix(e.Subject, "/") {
			q.Path = e.Subject
			return q, "connect", true
		}
		i := strings.LastIndexByte(e.Subject, ':')
		n, err := strconv.ParseUint(e.Subject[i+1:], 10, 16)
		if i < 0 || err != nil || n == 0 {
			return q, "", false
		}
		name := e.Subject[:i]
		if inner, ok := strings.CutPrefix(name, "["); ok { // an address of IPv6
			name = strings.TrimSuffix(inner, "]")
		}
		q.Host, q.Port, do = name, uint16(n), "connect"
	case audit.KindName:
		q.Host, do = e.Subject, "look up"
	case audit.KindVariable:
		q.Variable, do = e.Subject, "get"
	case audit.KindTool:
		if question(e) {
			break
		}
		q.Tool, do = e.Subject, "call"
		if e.Request == nil {
			break
		}
		if table, _, _ := strings.Cut(e.Request.Method, "/"); table == "prompts" || table == "resources" {
			q.Table = table
		}
	}
	return q, do, q.Path+q.Host+q.Variable+q.Tool != ""
}

// Refused answers for a refusal in the log as Why does for its question, but for what
// was to be done alone. If the plan allows that, either the profile was changed since, or
// something decided that is known only while the server runs: then the event says what.
func Refused(c Case, e audit.Event, q Question, do string) (Answer, error) {
	a, err := Why(c, q)
	if err != nil {
		return a, err
	}
	if i := slices.IndexFunc(a.Decisions, func(v Decision) bool { return v.Do == do }); i >= 0 {
		a.Decisions = a.Decisions[i : i+1]
	}
	for i, v := range a.Decisions {
		switch {
		case e.Kind == audit.KindFile && !v.Allowed && v.Grant == nil && e.Grant == nil && e.Hint != "":
			a.Decisions[i].Hint, a.Decisions[i].Never = e.Hint, ""
			continue
		case !v.Allowed, e.Grant != nil && c.gives(*e.Grant), e.Grant == nil && !c.stands(e.Rule):
			continue
		}
		a.Decisions[i] = Met(e, v.Do)
	}
	return a, nil
}

// Met is the decision about a refusal in the log that no profile is asked about: the
// event's own. It has a grant, a hint, or the reason why there is neither.
func Met(e audit.Event, do string) Decision {
	v := Decision{Do: cmp.Or(do, string(e.Kind)), Rule: e.Rule, Why: e.Detail, Grant: e.Grant}
	switch {
	case e.Kind == audit.KindSyscall:
		v.Do, v.Why, v.Never = "call", "it is not among the system calls that a server may make", "the list is mcpen's own, and the same for every server"
	case e.Grant != nil:
	case e.Hint != "":
		v.Hint = e.Hint
	case e.Kind == audit.KindFinding && e.Verdict == audit.Held:
		v.Hint = "mcpen review " + e.Server
	case e.Kind == audit.KindStdout:
		v.Why, v.Never = cmp.Or(v.Why, "it is no message of MCP"), "a client reads messages there and nothing else; a server writes such text to stderr"
	case e.Kind == audit.KindLine:
		v.Never = "the line broke the protocol, which no profile changes"
	case e.Kind == audit.KindFinding:
		v.Never = "no secret of the run reaches the client"
	case question(e):
		v.Do, v.Never = "ask", "what a client is asked for, the client decides"
	case e.Rule != "":
		v.Never = "the line that is named decides: change it"
	default:
		v.Never = "what the server did decides, and no line of a profile"
	}
	return v
}

// question reports whether an event is about something that the server asked the client
// for, and no tool of the server's.
func question(e audit.Event) bool {
	return e.Kind == audit.KindTool && strings.HasPrefix(e.Detail, audit.AskedFor)
}

// gives reports whether the policy has a grant, as far as the plan's answer to the
// question does not say it: a setting of a host's rule, and the folder of a file that a
// rule names alone.
func (c Case) gives(g audit.Grant) bool {
	if len(g.Values) != 1 {
		return true
	}
	switch v := g.Values[0]; {
	case v.Key == "host":
		return slices.ContainsFunc(c.Policy.Network.Allow, func(h policy.Host) bool {
			return h.String() == v.Text && (v.Setting == "private" && h.Private || v.Setting == "tls" && !h.Checked(h.First))
		})
	case g.Table == "filesystem" && g.Key == "write":
		r := roots(c.Policy.Given)
		return slices.ContainsFunc(c.Policy.Filesystem.Write, func(p policy.Path) bool {
			have := r.AllowPath("write", p.Path)
			return have != nil && have.Line() == g.Line()
		})
	}
	return true
}

// stands reports whether a rule that an event names is still that of a host or of a
// tool's calls, where decisions are made while the server runs. An event without a rule
// has none that could have changed.
func (c Case) stands(rule string) bool {
	is := func(p policy.Pos) bool { return sameRule(at(p), rule) }
	return rule == "" ||
		slices.ContainsFunc(c.Policy.Network.Allow, func(h policy.Host) bool { return is(h.At) }) ||
		slices.ContainsFunc(c.Policy.Tools.Rules, func(r policy.ToolRule) bool { return is(r.At) })
}

// sameRule reports whether the rule of an event is the one at a place of a profile. A
// file that was named from the folder where the server was started has the same end.
func sameRule(have, rule string) bool {
	return have == rule || rule != "" && !path.IsAbs(rule) && strings.HasSuffix(have, "/"+strings.TrimLeft(path.Clean(rule), "./"))
}
