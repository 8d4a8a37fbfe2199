package finding

import (
	"unicode/utf8"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/internal/rpc"
)

// Severity says what a finding is worth.
type Severity byte

// The severities.
const (
	Note Severity = iota + 1 // honest definitions have it too: worth a look in a review
	Hold                     // honest definitions hardly ever have it: waits where the profile says so
)

// String names the severity.
func (s Severity) String() string {
	if s == Hold {
		return "hold"
	}
	return "note"
}

// Kind says what sort of thing was found.
type Kind string

// The kinds of findings.
const (
	FindInstruction Kind = "instruction"  // orders to the model that have nothing to do with the tool
	FindSecrecy     Kind = "secrecy"      // something is to be kept from the user
	FindSecretPath  Kind = "secret-path"  // files that hold keys and passwords
	FindOtherTool   Kind = "other-tool"   // what to do with other tools, or instead of them
	FindHidden      Kind = "hidden-text"  // characters that cannot be seen
	FindEscape      Kind = "escape"       // control characters and terminal escapes
	FindMarkup      Kind = "markup"       // text that a viewer does not render, tags that models were trained on
	FindEncoded     Kind = "encoded"      // text in an encoding that nobody reads
	FindExfil       Kind = "exfiltration" // data that leaves for somewhere
	FindName        Kind = "look-alike"   // a name that is taken for another one
	FindEvasion     Kind = "evasion"      // letters spaced apart or from another script
)

// Finding is words in a definition that a person should read.
type Finding struct {
	Kind     Kind
	Severity Severity
	Words    string // as they stand there, which may hold anything; show them with audit.Visible
	Path     string // such as inputSchema.properties.query.description
	Why      string // for a person
}

// maxFindings bounds the findings of one definition.
const maxFindings = 32

// Scan looks at every text of a definition in JSON: names, titles, descriptions,
// and all strings and keys of the schemas, the annotations, _meta and what else
// there is. Others are the tools of other servers. For JSON that View would not
// accept the result is unspecified.
func Scan(kind definition.Kind, raw []byte, others ...Other) []Finding {
	return NewScanner(others).definition(kind, raw)
}

// ScanAmong scans a definition that a server listed among others of its own: it
// may speak of those.
func ScanAmong(kind definition.Kind, raw []byte, siblings [][]byte, others ...Other) []Finding {
	s := NewScanner(others)
	for _, sibling := range siblings {
		name, _ := rpc.Text(rpc.Get(sibling, definition.NameKeys[kind]))
		s.knows(name)
	}
	return s.definition(kind, raw)
}

// ScanText looks at one text, such as the description of a tool.
func ScanText(text string, others ...Other) []Finding {
	return NewScanner(others).alone("text", text)
}

func Worst(findings []Finding) Severity {
	w := Severity(0)
	for _, f := range findings {
		w = max(w, f.Severity)
	}
	return w
}

// Scanner looks for findings with knowledge of what tools there are.
type Scanner struct {
	own    map[string]bool   // tools of this server
	raw    []byte            // the definition being scanned
	local  map[string]bool   // names that it may speak of, once somebody asked
	others map[string]string // tools of other servers, by name: the server
	shapes map[string]string // the shape of their names: the name
	sorted []string          // of shapes

	// clean holds texts without findings: schemas say the same thing in many
	// places. What was clean only because it speaks of the definition's own names
	// is not kept.
	clean    map[string]bool
	excepted bool // a rule was silent for such a name

	steps []step // to the value being scanned
	left  effort // for the definition
	spent int64  // on the last definition
}

// Bounds of clean.
const (
	maxClean     = 1024
	maxCleanText = 1024
)

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

// maxTold bounds the names of a server's own tools that a scan is told of.
const maxTold = 20_000

// knows adds the name of a tool of the server itself: a description may speak of
// those.
func (s *Scanner) knows(name string) {
	if len(s.own) < maxTold {
		s.own[name] = true
	}
}

// fork is a scanner that knows the same and may be used at the same time.
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

// alone scans a text that is all of a definition.
func (s *Scanner) alone(path, text string) []Finding {
	scan := *s
	scan.left = allow(len(text))
	found := scan.text(nil, path, text)
	return scan.left.told(found)
}

// speaksOf are the names of the definition's own that it may speak of.
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
// speak of.
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

// plainKey reports whether a key is an ordinary identifier, which says nothing.
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

// text scans one text, which stands at path behind what the steps say.
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
				return // one of a kind at a place says it
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

// Other is another server of the same client, as its lock knows it.
type Other struct {
	Server string
	Tools  []string
}
