package guard

import (
	"crypto/sha256"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/policy"
)

// standing is what the pins say of a definition.
type standing byte

const (
	fine     standing = iota // approved, or nobody asks
	isNew                    // no definition of this name was approved
	changed                  // another definition of this name was approved
	rejected                 // a person said no
)

// entry is what the guard knows of one definition that the server listed.
type entry struct {
	hash     string
	standing standing
	findings []Finding
	refusal  *refusal // of the filter
	broken   string   // why it is no definition at all
	twice    bool     // another definition of this name is in the same list
}

// stand looks a definition up in the pins.
func (g *Guard) stand(kind Kind, name, hash string) standing {
	if g.cfg.Tools.Pins == policy.PinOff {
		return fine
	}
	n := nameKey{kind, name}
	switch g.decided[pinKey{n, hash}] {
	case Approved:
		return fine
	case Rejected:
		return rejected
	}
	if g.approved[n] != "" {
		return changed
	}
	return isNew
}

// hides says why a definition is kept from the client, or "".
func (g *Guard) hides(e *entry) string {
	waits := e.standing == isNew || e.standing == changed
	switch {
	case e.refusal != nil:
		return "is not available here"
	case e.broken != "":
		return "has no valid definition"
	case e.twice:
		return "is defined twice"
	case e.standing == rejected:
		return "was refused when it was reviewed"
	case waits && g.cfg.Tools.Pins == policy.PinEnforce && e.standing == changed:
		return "has changed since it was approved"
	case waits && g.cfg.Tools.Pins == policy.PinEnforce:
		return "was not approved yet"
	case g.cfg.Tools.Findings == policy.FindingHold && !g.cleared(e) && worst(e.findings) == Hold:
		return "has a definition that waits for review"
	}
	return ""
}

// cleared reports whether a person approved this very definition.
func (g *Guard) cleared(e *entry) bool {
	return e.standing == fine && g.cfg.Tools.Pins != policy.PinOff
}

// waits reports whether a review could bring a hidden definition back.
func (g *Guard) waits(e *entry) bool {
	return e.refusal == nil && e.broken == "" && !e.twice && e.standing != rejected && g.hides(e) != ""
}

// judge makes an entry of one definition of a list. Its name is "" where it has
// none.
func (g *Guard) judge(kind Kind, raw []byte) (name string, e *entry) {
	e = &entry{}
	if !rpc.IsObject(raw) {
		e.broken = "it is not an object"
		return "", e
	}
	known := []string{nameKeys[kind], "name", "title", "description", "inputSchema", "outputSchema", "annotations", "_meta", "arguments", "icons"}
	values := make([][]byte, len(known))
	if err := rpc.Fields(raw, known, values); err != nil {
		e.broken = err.Error()
		return "", e
	}
	name, _ = rpc.Text(values[0])
	if name == "" {
		e.broken = errName.Error()
		return "", e
	}
	f, section := g.filterOf(kind)
	if ref, hidden := filtered(f, section, name); hidden {
		e.refusal = &ref
		return name, e
	}
	g.define(kind, name, raw, e)
	if kind == KindTool && g.cfg.Tools.Validate {
		g.schemas[name] = compileText(schemaOf(raw))
	}
	return name, e
}

// define fills in the hash, the standing and the findings of a definition.
func (g *Guard) define(kind Kind, name string, raw []byte, e *entry) {
	if g.cfg.Tools.Pins == policy.PinOff {
		sum := sha256.Sum256(raw)
		e.hash = string(sum[:])
	} else {
		d, err := define(kind, raw)
		if err != nil {
			e.broken = err.Error()
			return
		}
		e.hash = d.SHA256
		e.standing = g.stand(kind, name, e.hash)
		if e.standing != fine {
			g.remember(d)
		}
	}
	if !g.cleared(e) {
		e.findings = g.scan.definition(kind, raw)
	}
}

// maxSeen bounds the definitions that wait and are kept.
const maxSeen = 20_000

// remember keeps a definition for Pins.
func (g *Guard) remember(d Definition) {
	if n := (nameKey{d.Kind, d.Name}); len(g.seen) < maxSeen || g.seen[n].Kind != "" {
		g.seen[n] = d
	}
}

// usable says why a tool, prompt or resource may not be used, or "", and whether
// a review could change that. The filter was asked before.
func (g *Guard) usable(kind Kind, name string) (why string, held bool) {
	if l := g.lists[kind]; l != nil {
		if l.twice[name] {
			return "is defined twice", false
		}
		if e := l.entries[name]; e != nil {
			return g.hides(e), g.waits(e)
		}
	}
	strict := g.cfg.Tools.Pins == policy.PinEnforce || g.cfg.Tools.Findings == policy.FindingHold
	switch {
	case g.refused[nameKey{kind, name}] && g.cfg.Tools.Pins != policy.PinOff && g.approved[nameKey{kind, name}] == "":
		return "was refused when it was reviewed", false
	case kind == KindResource, !strict:
		return "", false // a result may name a resource that no list does
	case g.cfg.Tools.Pins != policy.PinOff && g.approved[nameKey{kind, name}] != "":
		return "", false
	case g.cfg.Tools.Pins == policy.PinEnforce:
		return "was not approved yet", true
	}
	return "was not listed yet", false
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
