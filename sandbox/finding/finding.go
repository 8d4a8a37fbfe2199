package finding

import (
	"unicode/utf8"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/internal/rpc"
)

// Severity is the weight of a finding.
type Severity byte

// The severities.
const (
	Note Severity = iota + 1 // honest definitions have it too: worth a look in a review
	Hold                     // honest definitions hardly ever have it: the definition waits if the profile says so
)

// String names the severity.
func (s Severity) String() string {
	if s == Hold {
		return "hold"
	}
	return "note"
}

// Kind is the kind of a finding.
type Kind string

// The kinds of findings.
const (
	FindInstruction Kind = "instruction"  // orders to the model that have nothing to do with the tool
	FindSecrecy     Kind = "secrecy"      // something must stay secret from the user
	FindSecretPath  Kind = "secret-path"  // files that hold keys and passwords
	FindOtherTool   Kind = "other-tool"   // orders about other tools, or to use this one instead
	FindHidden      Kind = "hidden-text"  // invisible characters
	FindEscape      Kind = "escape"       // control characters and terminal escapes
	FindMarkup      Kind = "markup"       // text that a viewer does not render, tags that models were trained on
	FindEncoded     Kind = "encoded"      // text in an encoding that no person reads
	FindExfil       Kind = "exfiltration" // data sent elsewhere
	FindName        Kind = "look-alike"   // a name that resembles another one
	FindEvasion     Kind = "evasion"      // letters spaced apart or from another script
)

// WhyFirst is the Why of a tool that wants to be called before all others. An honest
// server with an order of its own says so, too.
const WhyFirst = "an order to be called before everything else"

// WhyFetched is the Why of words about something from outside that is executed. An honest
// tool whose purpose that is says so, too.
const WhyFetched = "it has something from outside executed"

// Finding is a passage of a definition that a person should read.
type Finding struct {
	Kind     Kind
	Severity Severity
	Words    string // from the original text; may contain anything, so print it with audit.Visible
	Path     string // such as inputSchema.properties.query.description
	Why      string // for a person
}

// maxFindings bounds the findings of one definition.
const maxFindings = 32

// Scan searches every text of a definition in JSON: names, titles, descriptions, and
// all strings and keys of the schemas, the annotations, _meta and the rest. others are
// the tools of other servers. The result is unspecified for JSON that View refuses.
func Scan(kind definition.Kind, raw []byte, others ...Other) []Finding {
	return NewScanner(others).definition(kind, raw)
}

// ScanAmong scans a definition from a server's list. The definition may mention its
// siblings.
func ScanAmong(kind definition.Kind, raw []byte, siblings [][]byte, others ...Other) []Finding {
	s := NewScanner(others)
	for _, sibling := range siblings {
		name, _ := rpc.Text(rpc.Get(sibling, definition.NameKeys[kind]))
		s.knows(name)
	}
	return s.definition(kind, raw)
}

// ScanText scans one text, such as the description of a tool.
func ScanText(text string, others ...Other) []Finding {
	return NewScanner(others).alone("text", text)
}

// Worst returns the highest severity of findings, 0 if there are none.
func Worst(findings []Finding) Severity {
	w := Severity(0)
	for _, f := range findings {
		w = max(w, f.Severity)
	}
	return w
}

// Scanner scans texts with knowledge of the existing tools. It is not safe for
// concurrent use.
type Scanner struct {
	own    map[string]bool   // tools of this server
	raw    []byte            // the definition being scanned
	local  map[string]bool   // names that it may mention; nil until needed
	others map[string]string // tools of other servers, by name: the server
	shapes map[string]string // the shape of their names: the name
	sorted []string          // of shapes

	// clean caches texts without findings: schemas repeat the same text in many places.
	// It leaves out a text that is clean only because it mentions the definition's own
	// names.
	clean    map[string]bool
	excepted bool // a rule ignored a match because of such a name

	steps []step // the path to the value being scanned
	left  effort // for the definition
	spent int64  // on the last definition
}

// Bounds on clean.
const (
	maxClean     = 1024
	maxCleanText = 1024
)

// NewScanner returns a Scanner that knows the tools of other servers.
func NewScanner(others []Other) *Scanner {
	s := &Scanner{own: map[string]bool{}, others: map[string]string{}, shapes: map[string]string{}, clean: map[string]bool{}}
	for _, o := range others {
		for _, name := range o.Tools {
			s.others[name] = o.Server
			s.shapes[shape(name)] = name
		}
	}
	s.sorted = SortedKeys(s.shapes)
	return s
}

// maxTold bounds the number of a server's own tool names that a scan knows.
const maxTold = 20_000

// knows adds the name of one of the server's own tools: a description may mention
// those.
func (s *Scanner) knows(name string) {
	if len(s.own) < maxTold {
		s.own[name] = true
	}
}

// fork returns a scanner with the same knowledge that may run at the same time.
func (s *Scanner) fork() *Scanner {
	f := *s
	f.clean = map[string]bool{}
	return &f
}

// definition scans one definition.
func (s *Scanner) definition(kind definition.Kind, raw []byte) []Finding {
	if kind == definition.KindInstructions {
		text, _ := rpc.Text(raw)
		return s.alone("instructions", text)
	}
	scan := *s
	scan.raw, scan.local, scan.steps, scan.left = raw, nil, nil, allow(len(raw))
	before := scan.left
	var found []Finding
	if kind == definition.KindTool && len(s.others) > 0 {
		name, _ := rpc.Text(rpc.Get(raw, "name"))
		found = scan.shadows(found, name)
	}
	found = scan.value(found, raw)
	s.spent = int64(before - max(scan.left, 0))
	return scan.left.told(found)
}

// alone scans a text that is a whole definition.
func (s *Scanner) alone(path, text string) []Finding {
	scan := *s
	scan.left = allow(len(text))
	found := scan.text(nil, path, text)
	return scan.left.told(found)
}

// speaksOf returns the definition's own names, which it may mention.
func (s *Scanner) speaksOf() map[string]bool {
	if s.local == nil {
		s.local = map[string]bool{}
		names(s.local, rpc.Get(s.raw, "inputSchema"), 0)
		for v := range rpc.Elements(rpc.Get(s.raw, "arguments")) {
			name, _ := rpc.Text(rpc.Get(v, "name"))
			s.local[name] = true
		}
		name, _ := rpc.Text(rpc.Get(s.raw, "name"))
		s.local[name] = true
	}
	return s.local
}

// names collects the names of a schema's properties, which its descriptions may
// mention.
func names(into map[string]bool, schema []byte, depth int) {
	const deep, most = 16, 4096
	if depth > deep {
		return
	}
	for k, v := range rpc.Members(schema) {
		if string(k) == "properties" {
			for name := range rpc.Members(v) {
				if len(into) < most {
					into[string(name)] = true
				}
			}
		}
		if rpc.IsObject(v) {
			names(into, v, depth+1)
		}
	}
}

// plainKey reports whether a key is an ordinary identifier, which needs no scan.
func plainKey(key []byte) bool {
	if len(key) > 64 {
		return false
	}
	for i := range len(key) {
		if c := key[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// text scans one text at path, below the steps.
func (s *Scanner) text(found []Finding, path, text string) []Finding {
	if len(text) < 4 || s.clean[text] {
		return found
	}
	if len(found) >= maxFindings || !s.left.spend(len(text)) {
		s.left.stop()
		return found
	}
	s.excepted = false
	some := false
	add := func(f Finding) {
		f.Path = s.path() + path
		some = true
		for _, o := range found {
			if o.Kind == f.Kind && o.Path == f.Path && o.Severity >= f.Severity {
				return // one of a kind at a place suffices
			}
		}
		if len(found) >= maxFindings {
			s.left.stop()
			return
		}
		found = append(found, f)
	}
	if !ascii(text) {
		characters(text, add)
	} else {
		controls(text, add)
	}
	n := Fold(text)
	if n.spaced != "" {
		add(Finding{Kind: FindEvasion, Severity: Hold, Words: n.spaced, Why: "letters are spaced apart"})
	}
	s.markup(text, add)
	encoded(text, add)
	l := look{Scanner: s, folded: n, original: text}
	l.marked(add)
	l.phrases(add)
	s.mentions(text, add)
	if !some && !s.excepted && s.left >= 0 && len(text) <= maxCleanText && len(s.clean) < maxClean {
		s.clean[text] = true
	}
	return found
}

func ascii(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Other is another server of the same client, by its lock.
type Other struct {
	Server string
	Tools  []string
}
