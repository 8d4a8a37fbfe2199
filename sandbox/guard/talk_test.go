package guard_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/guard"
	"mcpen/sandbox/internal/golden"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// The conversations in testdata/talk. A file has the parts
//
//	config    the policy, as JSON of setup
//	approved  definitions that a person approved, a line each: KIND JSON
//	rejected  the same for those that were rejected
//	talk      the lines of both sides; below each, indented, the guard's ruling
//
// A line of the talk is "client JSON", "server JSON", "approve KIND NAME", "reject KIND
// NAME", "message TEXT", "pass DURATION" or a comment. A ruling is "forward =" for the
// line as it is, "forward JSON" for another one, "reply", "client", "event" or "tell".
// With nothing below, nothing happened.
func TestTalk(t *testing.T) {
	golden.Each(t, "testdata/talk/*.txtar", 18, func(t *testing.T, _ string, ar *txtar.Archive) {
		talk := &ar.Files[len(ar.Files)-1]
		if talk.Name != "talk" {
			t.Fatal("the last part is not the talk")
		}
		talk.Data = []byte(newConversation(t, ar).run(t, string(talk.Data)))
	})
}

// setup is the config of a conversation.
type setup struct {
	Pins      policy.PinMode
	Findings  policy.FindingMode
	Results   policy.TextMode
	Validate  bool
	Allow     []string
	Deny      []string
	Prompts   []string // denied
	Resources []string // denied
	Rules     []policy.ToolRule
	Secrets   []string
	Others    []finding.Other
	Except    []string
	Given     map[string][]string
	Client    *policy.Client // nil: everything
}

func globs(patterns []string) []policy.Glob {
	var out []policy.Glob
	for i, p := range patterns {
		out = append(out, policy.Glob{Pattern: p, At: policy.Pos{File: "p.toml", Line: 10 + i, Col: 5}})
	}
	return out
}

func (s setup) config(pins definition.Pins) guard.Config {
	cfg := guard.Config{
		Server: "srv", Pins: pins, Others: s.Others, Args: true,
		Tools: plan.Tools{
			Tools: policy.Tools{
				Filter: policy.Filter{Allow: globs(s.Allow), Deny: globs(s.Deny)},
				Pins:   s.Pins, Except: globs(s.Except), Findings: s.Findings, Results: s.Results, Validate: s.Validate, Rules: s.Rules,
			},
			Prompts: policy.Filter{Deny: globs(s.Prompts)}, Resources: policy.Filter{Deny: globs(s.Resources)},
		},
	}
	cfg.Tools.Client = policy.Client{Sampling: true, Elicitation: true, Roots: true, Logging: true}
	if s.Client != nil {
		cfg.Tools.Client = *s.Client
	}
	for name, values := range s.Given {
		cfg.Given = append(cfg.Given, policy.Given{Name: name, Values: values})
	}
	for _, secret := range s.Secrets {
		cfg.Secrets = append(cfg.Secrets, plan.Opaque(secret))
	}
	return cfg
}

type conversation struct {
	guard *guard.Guard
	pins  definition.Pins
	now   time.Time
	out   strings.Builder
}

func newConversation(t *testing.T, a *txtar.Archive) *conversation {
	t.Helper()
	var s setup
	c := &conversation{now: time.Unix(1_800_000_000, 0)}
	for _, f := range a.Files {
		switch f.Name {
		case "config":
			d := json.NewDecoder(bytes.NewReader(f.Data))
			d.DisallowUnknownFields()
			if err := d.Decode(&s); err != nil {
				t.Fatal(err)
			}
		case "approved":
			for _, d := range define(t, f.Data) {
				c.pins = c.pins.Approve(d)
			}
		case "rejected":
			for _, d := range define(t, f.Data) {
				c.pins = c.pins.Reject(d)
			}
		}
	}
	cfg := s.config(c.pins)
	cfg.Now = func() time.Time { return c.now }
	var err error
	if c.guard, err = guard.New(cfg); err != nil {
		t.Fatal(err)
	}
	return c
}

// define makes definitions of lines "KIND JSON".
func define(t testing.TB, data []byte) []definition.Definition {
	t.Helper()
	var all []definition.Definition
	for line := range strings.Lines(string(data)) {
		kind, text, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		d, err := definition.Define(definition.Kind(kind), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

func (c *conversation) run(t *testing.T, talk string) string {
	for line := range strings.Lines(talk) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue // the ruling, which the run finds out
		}
		c.out.WriteString(line + "\n")
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "client", "server":
			c.say(t, word, []byte(rest))
		case "approve", "reject":
			kind, name, _ := strings.Cut(rest, " ")
			c.review(t, word, definition.Kind(kind), name)
		case "message":
			if line := c.guard.Message(rest); line != nil {
				fmt.Fprintf(&c.out, "  client %s\n", line)
			}
		case "pass":
			d, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			c.now = c.now.Add(d)
		case "", "#":
		default:
			t.Fatalf("what is %q?", line)
		}
	}
	return c.out.String()
}

func (c *conversation) say(t *testing.T, who string, line []byte) {
	before := bytes.Clone(line)
	var v guard.Ruling
	if who == "client" {
		v = c.guard.Client(line)
	} else {
		v = c.guard.Server(line)
	}
	if !bytes.Equal(line, before) {
		t.Errorf("the line was changed in place: %s", before)
	}
	switch {
	case v.Forward == nil:
	case bytes.Equal(v.Forward, line):
		c.out.WriteString("  forward =\n")
	default:
		fmt.Fprintf(&c.out, "  forward %s\n", v.Forward)
	}
	for what, lines := range map[string][][]byte{"forward": {v.Forward}, "reply": {v.Reply}, "client": v.ToClient} {
		for _, l := range lines {
			if _, err := rpc.View(l); l != nil && err != nil {
				t.Errorf("%s is no message: %v: %s", what, err, l)
			}
		}
	}
	for _, l := range v.ToClient {
		fmt.Fprintf(&c.out, "  client %s\n", l)
	}
	if v.Reply != nil {
		fmt.Fprintf(&c.out, "  reply %s\n", v.Reply)
	}
	c.tell("", v)
	if v.Later == nil {
		return
	}
	later := v.Later()
	if later.Forward != nil || later.Reply != nil || later.ToClient != nil || later.Later != nil {
		t.Errorf("what comes later is more than told: %+v", later)
	}
	c.tell("later ", later)
}

func (c *conversation) tell(when string, v guard.Ruling) {
	for _, e := range v.Events {
		c.out.WriteString("  " + when + "event " + describe(e) + "\n")
	}
	for _, s := range v.Warn {
		c.out.WriteString("  " + when + "tell " + s + "\n")
	}
}

func describe(e audit.Event) string {
	s := fmt.Sprintf("%s %s %s", e.Kind, e.Verdict, audit.Visible(e.Subject))
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Rule != "" {
		s += " [" + e.Rule + "]"
	}
	if advice := e.Advice(); advice != "" {
		s += " [" + advice + "]"
	}
	if r := e.Request; r != nil {
		s += strings.TrimRight(fmt.Sprintf(" (%s %s %s %s", r.ID, r.Method, r.Name, r.Args), " ") + ")"
	}
	return s
}

func (c *conversation) review(t *testing.T, word string, kind definition.Kind, name string) {
	c.pins = c.guard.Pins()
	found := false
	for _, d := range c.pins.Definitions {
		if d.Kind == kind && d.Name == name && d.State != definition.Approved {
			found = true
			if word == "approve" {
				c.pins = c.pins.Approve(d)
			} else {
				c.pins = c.pins.Reject(d)
			}
		}
	}
	if !found {
		t.Errorf("nothing to %s: %s %s", word, kind, name)
	}
	lines, err := c.guard.Reload(c.pins)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		fmt.Fprintf(&c.out, "  client %s\n", l)
	}
}
