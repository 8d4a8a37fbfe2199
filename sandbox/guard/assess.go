package guard

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/policy"
)

// standing is how a definition stands to the pins.
type standing byte

const (
	isNew    standing = iota // no definition of this name is trusted
	first                    // the same, and this is the first sight of its kind
	fine                     // approved or seen first, or nobody asks
	varied                   // the same as one of those, but for parts that may vary
	changed                  // another definition of this name is trusted
	rejected                 // a person said no
)

// entry is one definition that the server listed, as the guard knows it.
type entry struct {
	hash     string
	like     string           // the hash of the definition that it stands for, if it is varied
	was      definition.State // of the definition that it is compared with: Approved, Seen, or ""
	standing standing
	approved bool // a person approved this very definition
	unkept   bool // none of it can be stored, so nobody could approve it
	findings []finding.Finding
	refusal  *refusal // of the filter
	broken   string   // why it is no definition at all
	twice    bool     // another definition of this name is in the same list
}

// stand looks a definition up in the pins. With its form it may turn out the same as
// another one but for parts that vary; without, the earlier finding counts.
func (g *Guard) stand(e *entry, kind definition.Kind, name string, form []byte, v *definition.Varying) {
	n := definition.Key{Kind: kind, Name: name}
	decided := g.state(n, e.hash)
	e.approved = decided == definition.Approved
	switch {
	case e.approved, g.pinning == policy.PinOff:
		e.standing = fine
	case decided == definition.Rejected:
		e.standing = rejected
	case decided == definition.Seen && g.pinning != policy.PinEnforce:
		e.standing = fine
	case g.knows(n):
		e.standing, e.was = changed, definition.Seen
		if g.approved[n] {
			e.was = definition.Approved
		}
		for _, d := range g.against(n) {
			if e.like == d.SHA256 || g.excepted(kind, name) || form != nil && v.Same(d, form) {
				e.standing, e.like = varied, d.SHA256
				break
			}
		}
	case g.pinning != policy.PinEnforce && decided == "" && g.sight(kind).open:
		e.standing = first
	default:
		e.standing = isNew
	}
}

// excepted reports whether the profile lets a definition vary.
func (g *Guard) excepted(kind definition.Kind, name string) bool {
	if definition.NameKeys[kind] == "" {
		name = string(kind)
	}
	return slices.ContainsFunc(g.cfg.Tools.Except, func(p policy.Glob) bool { return policy.Match(p.Pattern, name) })
}

// holds reports whether the guard keeps from the client a definition that nobody
// approved or saw first.
func (g *Guard) holds() bool {
	return g.pinning == policy.PinEnforce || g.pinning == policy.PinFirstUse
}

// hides says why the guard keeps a definition from the client, or "".
func (g *Guard) hides(e *entry) string {
	switch {
	case e.refusal != nil:
		return "is not available here"
	case e.broken != "":
		return "has no valid definition"
	case e.twice:
		return "is defined twice"
	case e.standing == rejected:
		return "was refused when it was reviewed"
	case g.holds() && e.unkept:
		return "is too long, or one of too many, to be kept for a review"
	case g.holds() && (e.standing == changed || e.standing == isNew):
		return g.news(e)
	case g.alarming(e):
		return "has a definition that waits for review"
	}
	return ""
}

// news is the novelty of a definition that changed or is new, in words.
func (g *Guard) news(e *entry) string {
	switch {
	case e.standing == changed && e.was == definition.Seen:
		return "has changed since it was first seen"
	case e.standing == changed:
		return "has changed since it was approved"
	case g.pinning == policy.PinEnforce || e.standing == first:
		return "was not approved yet"
	}
	return "came after the server was first seen"
}

// waits reports whether a review could bring a hidden definition back.
func (g *Guard) waits(e *entry) bool {
	return e.refusal == nil && e.broken == "" && !e.twice && e.standing != rejected && !(g.holds() && e.unkept) && g.hides(e) != ""
}

// assessed is the assessment of one definition, before the guard stores any of it.
type assessed struct {
	name   string // "" if it has none
	entry  *entry
	form   []byte  // canonical, if it is not known yet
	tested *tested // its schema, where calls are validated
}

// assessor looks at definitions of one kind, one after another. It changes nothing of
// the guard's, so that several assessors can look at the definitions of a page at once.
type assessor struct {
	g        *Guard
	kind     definition.Kind
	known    []string // members that clients read, the name first
	values   [][]byte // of known, in the present definition
	canon    *definition.Canon
	findings func(raw []byte) []finding.Finding // nil if no search is due now
	varying  *definition.Varying
}

// newAssessor returns one, to be released.
func (g *Guard) newAssessor(kind definition.Kind, findings func(raw []byte) []finding.Finding) *assessor {
	known := append([]string{definition.NameKeys[kind]}, definitionKeys[:]...)
	return &assessor{g: g, kind: kind, known: known, values: make([][]byte, len(known)), canon: definition.NewCanon(), findings: findings, varying: definition.NewVarying(g.cfg.Given, g.cfg.Now())}
}

func (u *assessor) release() { u.canon.Release() }

// definition assesses one, and fills in e, which is empty before.
func (u *assessor) definition(raw []byte, e *entry) assessed {
	j := assessed{entry: e}
	if !rpc.IsObject(raw) {
		e.broken = "it is not an object"
		return j
	}
	form, err := u.form(raw)
	if refuses(err) {
		e.broken = err.Error() // and whose name would be whose
		return j
	}
	if len(u.values[0]) > 6*longest(u.kind) {
		e.broken = definition.ErrLongName.Error()
		return j
	}
	if j.name, _ = rpc.Text(u.values[0]); j.name == "" {
		e.broken = definition.ErrName.Error()
		return j
	}
	if len(j.name) > longest(u.kind) {
		j.name, e.broken = "", definition.ErrLongName.Error()
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
	j.define(u, raw, form)
	if u.kind == definition.KindTool && u.g.cfg.Tools.Validate {
		if schema := schemaOf(raw); len(schema) <= maxDefinition {
			j.tested = newTested(bytes.Clone(schema))
			j.tested.size = len(schema)
		}
	}
	return j
}

// form returns the canonical form of a definition, nil if nobody will ask for it. The
// next call overwrites it. form also finds the values of the definition's known
// members. If the view refuses, the error says why this is no definition. After another
// error, of the form alone, the values are complete.
func (u *assessor) form(raw []byte) ([]byte, error) {
	if !u.g.compares() {
		return nil, rpc.Fields(raw, u.known, u.values)
	}
	clear(u.values)
	form, err := u.canon.Form(raw, u.known, u.values)
	if err == nil || refuses(err) {
		return form, err
	}
	return nil, fmt.Errorf("%s: %w", definition.NoForm, err)
}

// refuses reports whether an error is the view's.
func refuses(err error) bool {
	if err == nil {
		return false
	}
	refusal := (*rpc.Refusal)(nil)
	return errors.As(err, &refusal)
}

// definitionKeys are members of definitions that clients read: a look-alike of
// one of them is refused.
var definitionKeys = [...]string{"name", "title", "description", "inputSchema", "outputSchema", "annotations", "_meta", "arguments", "icons"}

// compares reports whether anybody asks if a definition is the one that was
// approved.
func (g *Guard) compares() bool {
	return g.pinning != policy.PinOff || g.cfg.Tools.Findings == policy.FindingHold
}

// define fills in the hash, the standing and, if a search is due, the findings of a
// definition. It copies form if it stores it.
func (j *assessed) define(u *assessor, raw, form []byte) {
	g, e := u.g, j.entry
	if !g.compares() {
		sum := sha256.Sum256(raw)
		e.hash, e.standing = string(sum[:]), fine
	} else {
		e.hash = definition.Hash(form)
		g.stand(e, u.kind, j.name, form, u.varying)
	}
	if !e.approved && u.findings != nil {
		e.findings = kept(u.findings(raw))
	}
	if !g.compares() || !g.unknown(e, definition.Key{Kind: u.kind, Name: j.name}) {
		return
	}
	if e.unkept = len(form) > maxDefinition || g.forms.Add(int64(len(form))) > maxForms; !e.unkept {
		j.form = bytes.Clone(form)
	}
}

// unknown reports whether Pins does not have a definition yet that it should have.
func (g *Guard) unknown(e *entry, n definition.Key) bool {
	state := g.state(n, e.hash)
	if g.alarming(e) {
		return state == "" || state == definition.Seen
	}
	news := e.standing == first || e.standing == isNew || e.standing == changed
	return news && g.pinning != policy.PinOff && (state == "" || state == definition.Seen)
}

// alarming reports whether findings keep a definition from the client until
// somebody approves it.
func (g *Guard) alarming(e *entry) bool {
	return g.cfg.Tools.Findings == policy.FindingHold && !e.approved && finding.Worst(e.findings) == finding.Hold
}

// kept are findings that keep no definition alive.
func kept(findings []finding.Finding) []finding.Finding {
	for i, f := range findings {
		findings[i].Words, findings[i].Path = cut(f.Words, maxWords), cut(f.Path, maxWords)
	}
	return findings
}

// keep keeps a definition for Pins and for the calls to come.
func (g *Guard) keep(kind definition.Kind, j assessed) {
	if j.form != nil {
		g.remember(definition.Key{Kind: kind, Name: j.name}, j)
	}
	if kind == definition.KindTool && j.name != "" && g.cfg.Tools.Validate {
		size := 0
		if j.tested != nil {
			size = j.tested.size
		}
		g.schema(j.name, j.tested, size)
	}
}

// remember keeps a definition for Pins. It forgets the one that waited under the same
// name.
func (g *Guard) remember(n definition.Key, j assessed) {
	e := j.entry
	if e.standing == first && g.knows(n) && g.state(n, e.hash) != definition.Seen {
		e.standing, e.was = changed, definition.Seen // the same page has another one
	}
	key := seenKey{n, definition.Waiting}
	if e.standing == first && !g.alarming(e) {
		key.state = definition.Seen
	}
	if old, ok := g.seen[key]; ok {
		g.forms.Add(-int64(len(old.form)))
	}
	g.seen[key] = sighting{hash: e.hash, form: j.form, at: g.cfg.Now()}
	g.saw()
}

// usable says why a tool, prompt or resource may not be used, or "", and whether
// a review could change that. The filter was asked before.
func (g *Guard) usable(kind definition.Kind, name string) (why string, held bool) {
	if l := g.lists[kind]; l != nil {
		if l.twice[name] {
			return "is defined twice", false
		}
		if e := l.entries[name]; e != nil {
			return g.hides(e), g.waits(e)
		}
	}
	n := definition.Key{Kind: kind, Name: name}
	knows := g.knows(n)
	hold := g.cfg.Tools.Findings == policy.FindingHold
	switch {
	case g.refused[n] && g.pinning != policy.PinOff && !knows:
		return "was refused when it was reviewed", false
	case kind == definition.KindResource:
		return g.matched(name) // a result may name a resource that no list does
	case !g.holds() && !hold:
		return "", false
	case knows && !g.hasTurned(n) && (g.approved[n] || !hold):
		return "", false // the client may remember the list
	case knows:
		return "was not listed yet", false // as which of its definitions?
	case !hold && g.pinning == policy.PinFirstUse && !g.known(kind, name) && g.sight(kind).open:
		return "", false // nothing was listed so far
	case !g.known(kind, name):
		return "was not listed yet", false // and a review would show nothing
	case g.pinning == policy.PinEnforce:
		return "was not approved yet", true
	case g.holds():
		return "came after the server was first seen", true
	}
	return "was not listed yet", false
}

// matched says why a resource that no list has may not be read: a template that is
// held matches it, and no other does.
func (g *Guard) matched(uri string) (why string, held bool) {
	l := g.lists[definition.KindTemplate]
	if l == nil {
		return "", false
	}
	work := 0
	for name, e := range l.entries {
		hidden := g.hides(e)
		if e.refusal != nil {
			continue
		}
		if work += len(name) * len(uri); work > maxMatching {
			return "cannot be told from what a template matches", false
		}
		switch matches := templateMatches(name, uri); {
		case matches && hidden == "":
			return "", false
		case matches:
			why, held = "is matched by a template that "+hidden, held || g.waits(e)
		}
	}
	return why, held
}

// maxMatching bounds the comparisons of a URI with templates, in bytes by bytes.
const maxMatching = 64 << 20

// templateMatches reports whether a URI may come of a template: an expression, of
// RFC 6570, stands for anything.
func templateMatches(template, uri string) bool {
	var pattern []byte
	depth := 0
	for _, c := range []byte(template) {
		switch {
		case c == '{':
			depth++
			pattern = append(pattern, '*')
		case c == '}' && depth > 0:
			depth--
		case depth == 0 && c != '*' && c != '?':
			pattern = append(pattern, c)
		case depth == 0:
			pattern = append(pattern, '?')
		}
	}
	return policy.Match(string(pattern), uri)
}

// known reports whether the server ever listed something of that name, in this
// run or one before.
func (g *Guard) known(kind definition.Kind, name string) bool {
	if l := g.lists[kind]; l != nil && (l.twice[name] || l.entries[name] != nil) {
		return true
	}
	n := definition.Key{Kind: kind, Name: name}
	return g.pinned[n] || g.sighted(n, definition.Seen) || g.sighted(n, definition.Waiting)
}
