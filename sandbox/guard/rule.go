package guard

import (
	"encoding/json"
	"fmt"
	"sync"

	"golang.org/x/time/rate"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/policy"
)

// maxUsages bounds the tools that one rule counts apart.
const maxUsages = 1024

// rule restricts the calls of the tools that match it.
type rule struct {
	policy.ToolRule
	schema *tested // nil: any arguments
	usages map[string]*usage
}

// usage counts the calls of one tool under one rule.
type usage struct {
	limiter *rate.Limiter // nil: no limit
	most    int           // at the same time; 0: no limit

	mu      sync.Mutex
	running int
}

func newRule(r policy.ToolRule) (*rule, error) {
	c := &rule{ToolRule: r, usages: map[string]*usage{}}
	if r.PerMinute < 0 || r.Concurrent < 0 {
		return nil, fmt.Errorf("%s: a limit of tool %q is negative", r.At, r.Tool)
	}
	if r.Schema == nil {
		return c, nil
	}
	// Through JSON, as the schemas of servers come.
	text, err := json.Marshal(r.Schema)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot use the schema of tool %q: %v", r.At, r.Tool, err)
	}
	c.schema = newTested(text)
	if err := c.schema.err(); err != nil {
		return nil, fmt.Errorf("%s: cannot use the schema of tool %q: %v", r.At, r.Tool, err)
	}
	return c, nil
}

// of is the usage of a tool. Beyond maxUsages, tools share one.
func (r *rule) of(tool string) *usage {
	if u := r.usages[tool]; u != nil {
		return u
	}
	if len(r.usages) >= maxUsages || len(tool) > maxURI {
		tool = ""
		if u := r.usages[tool]; u != nil {
			return u
		}
	}
	u := &usage{most: r.Concurrent}
	if r.PerMinute > 0 {
		u.limiter = rate.NewLimiter(rate.Limit(r.PerMinute)/60, r.PerMinute)
	}
	r.usages[tool] = u
	return u
}

// begin counts a call in, if there is room.
func (u *usage) begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.most > 0 && u.running >= u.most {
		return false
	}
	u.running++
	return true
}

func (u *usage) done() {
	u.mu.Lock()
	u.running--
	u.mu.Unlock()
}

// checkCall checks a call against the rules and, if the policy says so, against the
// tool's own schema. It puts its counts into r.rules; the caller gives them back when
// the call ends or does not pass.
func (g *Guard) checkCall(r *request, arguments []byte) *denial {
	deny := func(text, detail, rule string) *denial {
		return &denial{kind: definition.KindTool, name: r.Name, text: text, detail: detail, verdict: audit.Refused, refusal: refusal{rule: rule}}
	}
	if g.cfg.Tools.Validate {
		s := g.inputSchema(r.Name)
		if s == nil {
			return deny("cannot be called before it was listed", "its inputSchema is not known", "")
		}
		if err := s.err(); err != nil {
			return deny("has a schema that cannot be used", oneLine(err.Error()), "")
		}
		if why, where := s.check(arguments); why != "" {
			d := deny("was called with arguments that do not meet its schema", where, "")
			d.quoted = why
			return d
		}
	}
	for _, rule := range g.rules {
		if !policy.Match(rule.Tool, r.Name) {
			continue
		}
		if rule.schema != nil {
			if why, where := rule.schema.check(arguments); why != "" {
				d := deny("was called with arguments that are not allowed here", where, rule.At.String())
				d.quoted = why
				return d
			}
		}
		u := rule.of(r.Name)
		if !u.begin() {
			return deny("is being called already; try again when it has answered", fmt.Sprintf("at most %d at a time", u.most), rule.At.String())
		}
		r.rules = append(r.rules, u)
		if u.limiter != nil && !u.limiter.AllowN(g.cfg.Now(), 1) {
			return deny("is called too often; try again later", fmt.Sprintf("at most %d a minute", rule.PerMinute), rule.At.String())
		}
	}
	return nil
}

// inputSchema is the schema of a tool as it was last listed or approved, or nil.
func (g *Guard) inputSchema(tool string) *tested {
	if s := g.schemas[tool]; s != nil {
		return s
	}
	known := g.against(definition.Key{Kind: definition.KindTool, Name: tool})
	if len(known) == 0 {
		return nil
	}
	canonical, err := known[0].Canonical()
	if err != nil {
		return nil
	}
	raw := schemaOf(canonical)
	s := newTested(raw)
	g.schema(tool, s, len(raw))
	return s
}

// schemaOf returns the inputSchema of a tool, or a schema that takes any object if it
// has none.
func schemaOf(tool []byte) []byte {
	if raw := rpc.Get(tool, "inputSchema"); raw != nil {
		return raw
	}
	return []byte(`{"type":"object"}`)
}
