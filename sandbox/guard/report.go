package guard

import (
	"fmt"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
)

// report tells what was made of a page: once for each definition in the log,
// once for each sort of reason to the person.
func (g *Guard) report(v *Verdict, r *request, kind Kind, l *list, p *page) {
	reasons := map[string][]string{}
	during := r.audit()
	if len(p.edits) > 0 {
		v.Events = slices.Grow(v.Events, len(p.entries))
		if len(g.told) == 0 {
			g.told = make(map[string]bool, len(p.entries))
		}
	}
	for i, e := range p.entries {
		name := p.names[i]
		if len(e.findings) > 0 && g.once("finding", string(kind), name, e.hash) {
			g.findingEvents(v, r, kind, name, e.findings)
		}
		event, news, ok := g.listing(kind, name, e, l.twice[name])
		if !ok {
			continue
		}
		event.Request = during
		v.Events = append(v.Events, event)
		if news != "" && g.once(news, name, e.hash) {
			reasons[news] = append(reasons[news], name)
		}
	}
	for _, sentence := range sortedKeys(reasons) {
		if nameKeys[kind] == "" {
			v.Tell = append(v.Tell, subject(kind, "")+" "+sentence)
			continue
		}
		names, more := reasons[sentence], ""
		const most = 12
		if len(names) > most {
			names, more = names[:most], fmt.Sprintf(" and %d more", len(names)-most)
		}
		quoted := make([]string, len(names))
		for i, name := range names {
			quoted[i] = quote(name)
		}
		v.Tell = append(v.Tell, fmt.Sprintf("%s %s: %s%s", kind, sentence, strings.Join(quoted, ", "), more))
	}
}

// listing is the event of one listed definition, and what is news for a person
// about it; ok is false where there is nothing to say.
func (g *Guard) listing(kind Kind, name string, e *entry, twice bool) (event audit.Event, news string, ok bool) {
	event = audit.Event{Kind: audit.KindTool, Verdict: audit.Observed, Subject: name}
	why := g.hides(e)
	if twice {
		why = "is defined twice"
	}
	switch {
	case why != "":
		event.Verdict, event.Detail = audit.Refused, "hidden: "+subject(kind, name)+" "+why
		if e.broken != "" {
			event.Detail += ": " + e.broken
		}
		if e.refusal != nil { // the profile's own doing: no news
			event.Rule, event.Hint = e.refusal.rule, e.refusal.hint
			return event, "", true
		}
		if g.waits(e) && !twice {
			event.Verdict, event.Hint = audit.Held, "mcpen review "+g.cfg.Server
		}
		return event, why + " and is hidden", true
	case e.standing == changed:
		event.Detail = "the definition has changed since it was approved"
		return event, "has changed since it was approved", true
	case e.standing == isNew && len(g.approved) > 0:
		event.Detail = "the definition was not approved yet"
		return event, "was not approved yet", true
	}
	return audit.Event{}, "", false
}

// once reports whether something is said for the first time, as far as that is
// remembered.
func (g *Guard) once(what ...string) bool {
	key := strings.Join(what, "\x00")
	if g.told[key] || len(g.told) >= maxNames {
		return false
	}
	g.told[key] = true
	return true
}

// gone forgets what a whole list did not have any more, but for names whose last
// definition may not be used, and notes those that were approved.
func (g *Guard) gone(v *Verdict, r *request, kind Kind, c *chain) {
	l := g.list(kind)
	for name, e := range l.entries {
		if _, ok := c.hashes[name]; !ok && e.standing != changed && e.standing != rejected && e.broken == "" {
			delete(l.entries, name)
			if kind == KindTool {
				delete(g.schemas, name)
			}
		}
	}
	if g.cfg.Tools.Pins == policy.PinOff {
		return
	}
	for _, d := range g.pins.Definitions {
		if _, ok := c.hashes[d.Name]; ok || d.Kind != kind || d.State != Approved {
			continue
		}
		if g.once("gone", string(kind), d.Name) {
			v.Events = append(v.Events, audit.Event{Kind: audit.KindTool, Verdict: audit.Observed, Subject: d.Name,
				Detail: "the " + string(kind) + " was approved and is not listed any more", Request: r.audit()})
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// findingEvents tells of findings: in the log each, to the person what was new.
func (g *Guard) findingEvents(v *Verdict, r *request, kind Kind, name string, findings []Finding) {
	for _, f := range findings {
		event := audit.Event{Kind: audit.KindFinding, Verdict: audit.Observed, Subject: name,
			Detail: string(f.Kind) + " in " + audit.Visible(f.Path) + ": " + oneLine(f.Words) + " (" + f.Why + ")"}
		if r != nil {
			event.Request = r.audit()
		}
		if f.Severity == Hold && g.cfg.Tools.Findings == policy.FindingHold {
			event.Verdict = audit.Held
		}
		v.Events = append(v.Events, event)
		if f.Severity == Hold {
			g.tell(v, "%s: %s: \"%s\" (%s)", subject(kind, name), f.Why, oneLine(f.Words), audit.Visible(f.Path))
		}
	}
}
