package plan

import (
	"slices"
	"strconv"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
)

// Asked is the question whose answer decided about an event, and what was to be done
// with its subject; "" asks of all. ok is false for an event that no question covers,
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
		case !v.Allowed, e.Grant != nil && c.gives(*e.Grant), e.Grant == nil && !c.stands(e.Rule):
			continue
		}
		a.Decisions[i] = Decision{Do: v.Do, Rule: e.Rule, Why: e.Detail, Grant: e.Grant}
		if e.Grant == nil {
			a.Decisions[i].Never = e.Hint
		}
	}
	return a, nil
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
	return rule == "" ||
		slices.ContainsFunc(c.Policy.Network.Allow, func(h policy.Host) bool { return at(h.At) == rule }) ||
		slices.ContainsFunc(c.Policy.Tools.Rules, func(r policy.ToolRule) bool { return at(r.At) == rule })
}
