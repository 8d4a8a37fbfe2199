package guard

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/policy"
)

// standing is what the pins say of a definition.
type standing byte

const (
	isNew    standing = iota // no definition of this name was approved
	fine                     // approved, or nobody asks
	changed                  // another definition of this name was approved
	rejected                 // a person said no
)

// entry is what the guard knows of one definition that the server listed.
type entry struct {
	hash     string
	standing standing
	approved bool // a person approved this very definition
	findings []Finding
	refusal  *refusal // of the filter
	broken   string   // why it is no definition at all
	twice    bool     // another definition of this name is in the same list
}

// stand looks a definition up in the pins.
func (g *Guard) stand(e *entry, kind Kind, name string) {
	n := nameKey{kind, name}
	decided := g.decided[pinKey{n, e.hash}]
	e.approved = decided == Approved
	switch {
	case e.approved, g.cfg.Tools.Pins == policy.PinOff:
		e.standing = fine
	case decided == Rejected:
		e.standing = rejected
	case g.approved[n] != "":
		e.standing = changed
	default:
		e.standing = isNew
	}
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
	case g.cfg.Tools.Findings == policy.FindingHold && !e.approved && worst(e.findings) == Hold:
		return "has a definition that waits for review"
	}
	return ""
}

// waits reports whether a review could bring a hidden definition back.
func (g *Guard) waits(e *entry) bool {
	return e.refusal == nil && e.broken == "" && !e.twice && e.standing != rejected && g.hides(e) != ""
}

// judged is what is made of one definition, before anything is kept of it.
type judged struct {
	name   string // "" where it has none
	entry  *entry
	form   []byte  // canonical, where nobody approved it
	tested *tested // its schema, where calls are validated
}

// judge looks at definitions of one kind, one after another. It changes nothing of
// the guard's, so that several judges can look at the definitions of a page at once.
type judge struct {
	g        *Guard
	kind     Kind
	known    []string // members that clients read, the name first
	values   [][]byte // of known, in the definition that is looked at
	canon    *canon
	findings func(raw []byte) []Finding // nil where nobody looks for them now
}

// newJudge returns a judge, to be released.
func (g *Guard) newJudge(kind Kind, findings func(raw []byte) []Finding) *judge {
	known := append([]string{nameKeys[kind]}, definitionKeys[:]...)
	return &judge{g: g, kind: kind, known: known, values: make([][]byte, len(known)), canon: newCanon(), findings: findings}
}

func (u *judge) release() { u.canon.release() }

// definition judges one. What is made of it stands in e, which is empty before.
func (u *judge) definition(raw []byte, e *entry) judged {
	j := judged{entry: e}
	if !rpc.IsObject(raw) {
		e.broken = "it is not an object"
		return j
	}
	form, err := u.form(raw)
	if refusal := (*rpc.Refusal)(nil); errors.As(err, &refusal) {
		e.broken = err.Error() // and whose name would be whose
		return j
	}
	if j.name, _ = rpc.Text(u.values[0]); j.name == "" {
		e.broken = errName.Error()
		return j
	}
	f, section := u.g.filterOf(u.kind)
	if ref, hidden := filtered(f, section, j.name); hidden {
		e.refusal = &ref
		return j
	}
	if err != nil {
		e.broken = err.Error()
		return j
	}
	j.define(u.g, u.kind, raw, form, u.findings)
	if u.kind == KindTool && u.g.cfg.Tools.Validate {
		j.tested = newTested(bytes.Clone(schemaOf(raw)))
	}
	return j
}

// form is the canonical form of a definition, nil where nobody will ask for it and
// gone with the next one, and finds the values of its known members. An error that
// is a refusal of the view's says why it is no definition; with another one, of the
// form alone, the values are all there.
func (u *judge) form(raw []byte) ([]byte, error) {
	if !u.g.compares() {
		return nil, rpc.Fields(raw, u.known, u.values)
	}
	clear(u.values)
	form, err := u.canon.form(raw, u.known, u.values)
	if refusal := (*rpc.Refusal)(nil); err == nil || errors.As(err, &refusal) {
		return form, err
	}
	return nil, fmt.Errorf("%s: %w", noForm, err)
}

// definitionKeys are members of definitions that clients read: a look-alike of
// one of them is refused.
var definitionKeys = [...]string{"name", "title", "description", "inputSchema", "outputSchema", "annotations", "_meta", "arguments", "icons"}

// compares reports whether anybody asks if a definition is the one that was
// approved.
func (g *Guard) compares() bool {
	return g.cfg.Tools.Pins != policy.PinOff || g.cfg.Tools.Findings == policy.FindingHold
}

// define fills in the hash, the standing and, where somebody looks for them, the
// findings of a definition, whose form it copies where it keeps it.
func (j *judged) define(g *Guard, kind Kind, raw, form []byte, findings func(raw []byte) []Finding) {
	if !g.compares() {
		sum := sha256.Sum256(raw)
		j.entry.hash, j.entry.standing = string(sum[:]), fine
	} else {
		j.entry.hash = hash(form)
		g.stand(j.entry, kind, j.name)
		if !j.entry.approved {
			j.form = bytes.Clone(form)
		}
	}
	if !j.entry.approved && findings != nil {
		j.entry.findings = findings(raw)
	}
}

// keep keeps what Pins and the calls to come need of a definition.
func (g *Guard) keep(kind Kind, j judged) {
	if j.form != nil {
		g.remember(nameKey{kind, j.name}, sighting{j.entry.hash, j.form})
	}
	if j.tested != nil {
		g.schemas[j.name] = j.tested
	}
}

// maxSeen bounds the definitions that wait and are kept.
const maxSeen = 20_000

// sighting is a definition that the server gave and nobody approved.
type sighting struct {
	hash string
	form []byte // canonical
}

// remember keeps a definition for Pins.
func (g *Guard) remember(n nameKey, s sighting) {
	if _, known := g.seen[n]; known || len(g.seen) < maxSeen {
		g.seen[n] = s
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
	case g.approved[nameKey{kind, name}] != "" && !g.turned[nameKey{kind, name}]:
		return "", false // the client may remember the list
	case g.approved[nameKey{kind, name}] != "":
		return "was not listed yet", false // as which of its definitions?
	case !g.known(kind, name):
		return "was not listed yet", false // and a review would show nothing
	case g.cfg.Tools.Pins == policy.PinEnforce:
		return "was not approved yet", true
	}
	return "was not listed yet", false
}

// known reports whether the server ever listed something of that name, in this
// run or one before.
func (g *Guard) known(kind Kind, name string) bool {
	if l := g.lists[kind]; l != nil && (l.twice[name] || l.entries[name] != nil) {
		return true
	}
	n := nameKey{kind, name}
	_, seen := g.seen[n]
	return seen || g.pinned[n]
}
