package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/explain"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// lastLog prints the refusals of the last session of a server, or of the last server
// that ran, each with its why: what "explain --why" says of it now.
func (a *app) lastLog(ctx context.Context, o logOptions, at user.Dirs) error {
	s, err := readLast(o)
	if err != nil {
		return err
	}
	p, asked := a.Prepare(ctx, a.Again(at, s.start))
	defer func() { p.Close() }() // also of one that could not be prepared
	allow := p.Choice.Allow(p.Dirs)
	var b strings.Builder
	if !o.JSON {
		line := fmt.Sprintf("%s, started %s: %s", s.start.Server, s.start.Time.In(o.zone()).Format("2006-01-02 15:04:05"), user.Count(s.total, "refusal"))
		b.WriteString(audit.Visible(line) + "\n")
	}
	if asked != nil {
		line, _, _ := strings.Cut(asked.Error(), "\n")
		fmt.Fprintf(a.Err, "mcpen: its profile cannot be asked: %s\n", audit.Visible(line))
	}
	for _, t := range s.refused {
		answer := t.answer(p, asked == nil)
		if o.JSON {
			if err := t.encode(&b, answer); err != nil {
				return err
			}
			continue
		}
		b.WriteString("\n")
		times := ""
		if t.count > 1 {
			times = fmt.Sprintf(" (%d times)", t.count)
		}
		b.WriteString(audit.FormatDeed(t.event) + times + "\n")
		b.WriteString(explain.Decisions(answer, allow))
	}
	_, err = fmt.Fprint(a.out, b.String())
	return err
}

// answer explains a refusal from the profile as it is now. If the profile cannot be read
// or does not decide such events, the event itself explains it.
func (t tally) answer(p server.Prepared, asked bool) plan.Answer {
	e := t.event
	q, do, ok := plan.Asked(e)
	if ok && asked {
		if a, err := plan.Refused(plan.Case{Policy: p.Policy, Program: p.Program, Host: p.Host}, e, looked(q), do); err == nil {
			return a
		}
	}
	return plan.Answer{Kind: string(e.Kind), Subject: e.Subject, Decisions: []plan.Decision{plan.Met(e, do)}}
}

func (t tally) encode(b *strings.Builder, answer plan.Answer) error {
	event, err := audit.Encode(t.event)
	if err != nil {
		return err
	}
	line, err := json.Marshal(struct {
		Event json.RawMessage `json:"event"`
		Count int             `json:"count"`
		Why   plan.Answer     `json:"why"`
	}{json.RawMessage(strings.TrimSpace(string(event))), t.count, answer})
	b.Write(append(line, '\n'))
	return err
}
