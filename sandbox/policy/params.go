package policy

import (
	"regexp"
	"slices"
	"strings"

	"mcpen/sandbox/internal/lazy"
)

// ParamType is the type of a parameter.
type ParamType string

// The types of parameters.
const (
	ParamString    ParamType = "string"    // any text without NUL
	ParamSecret    ParamType = "secret"    // a reference to a secret, never the secret
	ParamDirectory ParamType = "directory" // a path
	ParamFile      ParamType = "file"      // a path
	ParamPort      ParamType = "port"      // 1 to 65535
	ParamChoice    ParamType = "choice"    // one of Choices
)

// Param is a parameter that a profile declares; its strings refer to it by "${name}".
type Param struct {
	Name        string
	Type        ParamType
	Description string
	Many        bool     // holds a list: "${name}" must be a whole element of a list
	Default     []string // nil: the parameter is required, unless Optional
	Optional    bool     // the profile has a default, even if an empty list
	Pattern     string   // of ParamString: a regular expression for the whole value
	Choices     []string // of ParamChoice
	Env         string   // the variable of mcpen's own environment that sets the value if the command line does not
	At          Pos

	pattern *regexp.Regexp
	defAt   Pos
}

// builtins are the parameters that every profile has.
var builtins = []string{"home", "state", "workspace"}

// maxParams bounds the parameters of one file.
const maxParams = 256

var paramName = lazy.Pattern(`^[a-z][a-z0-9_-]{0,63}$`)

func readParams(t *table) []Param {
	var out []Param
	names := t.names()
	if len(names) > maxParams {
		t.doc.add(t.at(), t.key, "", "%d parameters are too many (want %d at most)", len(names), maxParams)
	}
	for _, name := range names[:min(len(names), maxParams)] {
		v, _ := t.get(name)
		at := t.doc.lines.pos(v.node.Key)
		switch {
		case !paramName().MatchString(name):
			t.doc.add(at, v.key, "", "is not a name for a parameter (want lower-case letters, digits, \"-\" and \"_\")")
		case slices.Contains(builtins, name):
			t.doc.add(at, v.key, "", "every profile has ${%s} already", name)
		default:
			out = append(out, readParam(v.table(), name, at))
		}
	}
	return out
}

func readParam(t *table, name string, at Pos) Param {
	p := Param{Name: name, At: at}
	kind := read(t, "type", oneOf(ParamString, ParamSecret, ParamDirectory, ParamFile, ParamPort, ParamChoice))
	if _, wrote := t.vals["type"]; t.wrote && !wrote {
		t.doc.add(at, t.key, `type = "string"`, "has no type")
	}
	p.Type = kind.v
	p.Description = read(t, "description", asLine).v
	p.Many = read(t, "many", asBool).v
	pattern := read(t, "pattern", asString)
	choices := words(t, "choices", asString)
	for _, c := range choices.items {
		p.Choices = append(p.Choices, c.text)
	}
	if pattern.set {
		p.setPattern(t.doc, pattern)
	}
	switch {
	case kind.v == ParamChoice && len(p.Choices) == 0:
		t.doc.add(at, t.key, `choices = ["a", "b"]`, "is a choice without choices")
	case kind.set && kind.v != ParamChoice && choices.set:
		t.doc.add(choices.at, t.key+".choices", "", "only a choice has choices")
	}
	env := read(t, "env", asEnvName)
	p.Env = env.v
	switch {
	case env.set && p.Many:
		t.doc.add(env.at, env.key, "", "a variable holds one value, and this parameter many")
	case env.set && kind.v == ParamSecret:
		t.doc.add(env.at, env.key, "default = \"env:"+p.Env+"\"", "a secret is named by a reference")
	}
	p.readDefault(t)
	t.done()
	return p
}

func (p *Param) setPattern(doc *document, o opt[string]) {
	if p.Type != "" && p.Type != ParamString {
		doc.add(o.at, o.key, "", "only a string has a pattern")
		return
	}
	re, err := regexp.Compile(`^(?:` + o.v + `)$`)
	if err != nil || len(o.v) > 1000 {
		doc.add(o.at, o.key, "", "%s is not a regular expression of at most 1000 bytes", quote(o.v))
		return
	}
	p.Pattern, p.pattern = o.v, re
}

// readDefault reads the default's shape. Resolve checks its value, since it knows the
// home directory.
func (p *Param) readDefault(t *table) {
	v, ok := t.get("default")
	if !ok {
		return
	}
	p.Optional, p.defAt = true, v.at()
	parse := defaultOf(p.Type)
	if !p.Many {
		if o := read(t, "default", parse); o.set {
			p.Default = []string{o.v}
		}
		return
	}
	p.Default = []string{}
	each(t, "default", func(v value) (struct{}, bool) {
		s, err := parse(v.v)
		if err != nil {
			v.bad(err)
			return struct{}{}, false
		}
		p.Default = append(p.Default, s)
		return struct{}{}, true
	})
}

// defaultOf returns the reader for one value of a default, in the form of the command
// line.
func defaultOf(kind ParamType) func(any) (string, error) {
	switch kind {
	case ParamPort:
		return func(v any) (string, error) {
			n, err := asPort(v)
			return portText(n), err
		}
	case ParamSecret:
		return func(v any) (string, error) {
			s, ok := v.(string)
			if !ok { // and not shown: it may be the secret
				return "", faultf("", "is not a string")
			}
			return s, nil
		}
	}
	return asString
}

// Given is a value that mcpen filled in for the server, by name. Definitions may
// contain the value. Secrets are never included.
type Given struct {
	Name   string   `json:"name"` // of a parameter, or home, state, workspace
	Values []string `json:"values"`
}

// Declared reports whether the profile declares the parameter. Every profile has the
// builtin ones, and a name that begins with a dollar sign is no parameter.
func (g Given) Declared() bool {
	return !slices.Contains(builtins, g.Name) && !strings.HasPrefix(g.Name, "$")
}

// given returns the parameters with known values, sorted by name.
func (r *resolver) given() []Given {
	var out []Given
	for _, name := range r.names {
		if a := r.args[name]; a.state == known && a.kind != ParamSecret && len(a.values) > 0 {
			out = append(out, Given{name, slices.Clone(a.values)})
		}
	}
	return out
}
