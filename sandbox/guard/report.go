package guard

import (
	"fmt"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/policy"
)

// report reports the decisions about a page: to the log once for each definition, to the
// person once for each sort of reason.
func (g *Guard) report(v *Ruling, r *request, kind definition.Kind, l *list, p *page) {
	reasons := map[string][]string{}
	during := r.Audit()
	if len(p.edits) > 0 {
		v.Events = slices.Grow(v.Events, len(p.entries))
		if len(g.told) == 0 {
			g.told = make(map[saying]bool, len(p.entries))
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
	for _, reason := range finding.SortedKeys(reasons) {
		sentence := sentence(kind, reason, reasons[reason])
		v.Warn = append(v.Warn, sentence)
		if strings.HasSuffix(reason, hiddenSuffix) && g.wantsMessages(r) {
			v.ToClient = append(v.ToClient, message("mcpen: "+sentence))
		}
	}
	if len(reasons) > 0 && slices.ContainsFunc(p.entries, g.waits) && g.once("how to review") {
		v.Warn = append(v.Warn, "mcpen review "+g.cfg.Server+" shows what waits")
	}
}

// hiddenSuffix ends a sentence about a definition that the client does not see.
const hiddenSuffix = " and is hidden"

// sentence says the same of some definitions of a kind.
func sentence(kind definition.Kind, reason string, names []string) string {
	if definition.NameKeys[kind] == "" {
		return subject(kind, "") + " " + reason
	}
	more := ""
	const most = 12
	if len(names) > most {
		names, more = names[:most], fmt.Sprintf(" and %d more", len(names)-most)
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = audit.Quote(name)
	}
	return fmt.Sprintf("%s %s: %s%s", kind, reason, strings.Join(quoted, ", "), more)
}

// listing returns the event of one listed definition, and the news about it for a
// person; ok is false if there is nothing to report.
func (g *Guard) listing(kind definition.Kind, name string, e *entry, twice bool) (event audit.Event, news string, ok bool) {
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
			event.Rule, event.Hint, event.Grant = e.refusal.rule, e.refusal.hint, e.refusal.grant
			return event, "", true
		}
		if g.waits(e) && !twice {
			event.Verdict, event.Hint = audit.Held, "mcpen review "+g.cfg.Server
		}
		return event, why + hiddenSuffix, true
	case e.standing == changed, e.standing == isNew, e.standing == first && len(g.approved) > 0:
		event.Detail = "the definition " + g.news(e)
		return event, g.news(e), true
	case e.standing == varied && !g.once("varied", string(kind), name):
	case e.standing == varied && kind == definition.KindIdentity:
		event.Detail = "the server's version is another one"
		return event, "", true
	case e.standing == varied:
		event.Detail = "the definition is the one that is known but for what may vary"
		return event, "", true
	}
	return audit.Event{}, "", false
}

// once reports whether this is the first report of a thing, as far as the guard
// remembers.
func (g *Guard) once(what ...string) bool {
	key := sayingOf(what...)
	if g.told[key] || len(g.told) >= maxNames {
		return false
	}
	g.told[key] = true
	return true
}

// gone forgets definitions that a whole list lacks, but for names whose last
// definition may not be used, and notes those that were approved.
func (g *Guard) gone(v *Ruling, r *request, kind definition.Kind, c *chain) {
	l := g.list(kind)
	for name, e := range l.entries {
		if _, ok := c.hashes[name]; !ok && e.standing != changed && e.standing != rejected && e.broken == "" {
			g.drop(kind, l, name)
		}
	}
	if g.pinning == policy.PinOff {
		return
	}
	var names []string
	missing := func(n definition.Key) {
		if _, ok := c.hashes[n.Name]; !ok && n.Kind == kind && g.once("gone", string(kind), n.Name) {
			names = append(names, n.Name)
		}
	}
	for n := range g.trusted {
		missing(n)
	}
	for k := range g.seen {
		if k.state == definition.Seen && g.knows(k.Key) {
			missing(k.Key)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		was := "seen before"
		if g.approved[definition.Key{Kind: kind, Name: name}] {
			was = "approved"
		}
		v.Events = append(v.Events, audit.Event{Kind: audit.KindTool, Verdict: audit.Observed, Subject: name,
			Detail: "the " + string(kind) + " was " + was + " and is not listed any more", Request: r.Audit()})
	}
	if len(names) > 0 {
		v.Warn = append(v.Warn, sentence(kind, "is not listed any more", names))
	}
}

// findingEvents reports each finding to the log, and new ones to the person.
func (g *Guard) findingEvents(v *Ruling, r *request, kind definition.Kind, name string, findings []finding.Finding) {
	for _, f := range findings {
		event := audit.Event{Kind: audit.KindFinding, Verdict: audit.Observed, Subject: name,
			Detail: string(f.Kind) + " in " + audit.Visible(f.Path) + ": " + oneLine(f.Words) + " (" + f.Why + ")"}
		if r != nil {
			event.Request = r.Audit()
		}
		if f.Severity == finding.Hold && g.cfg.Tools.Findings == policy.FindingHold {
			event.Verdict = audit.Held
		}
		v.Events = append(v.Events, event)
		if f.Severity == finding.Hold {
			g.warn(v, "%s: %s: \"%s\" (%s)", subject(kind, name), f.Why, oneLine(f.Words), audit.Visible(f.Path))
		}
	}
}
