package policy

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"mcpen/sandbox/internal/lazy"
)

// maxText bounds one string after substitution, since parameters can contain
// parameters.
const maxText = 64 << 10

// state says whether a parameter's value is known.
type state int

const (
	unknown state = iota // not given, and this is only a sample; or already a mistake
	known
)

// argument is a parameter with its values.
type argument struct {
	values []string
	state  state
	many   bool
	kind   ParamType
}

// place is the kind of string in which a parameter is substituted; it decides which
// parameters may stand there.
type place int

const (
	inText place = iota
	inPath
	inSecret
)

// segment is a piece of a template: literal text, or the name of a parameter.
type segment struct{ text, name string }

// segments splits a template. "$${" stands for a literal "${"; any other "$" is an
// ordinary character.
func segments(s string) ([]segment, error) {
	var out []segment
	var text strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			text.WriteString(s)
			return append(out, segment{text: text.String()}), nil
		}
		if i > 0 && s[i-1] == '$' {
			text.WriteString(s[:i-1])
			text.WriteString("${")
			s = s[i+2:]
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 || !paramName().MatchString(s[i+2:i+end]) {
			return nil, faultf("", `a "${" that starts no parameter's name (write "$${" for the characters themselves)`)
		}
		text.WriteString(s[:i])
		out = append(out, segment{text: text.String()}, segment{name: s[i+2 : i+end]})
		text.Reset()
		s = s[i+end+1:]
	}
}

// one substitutes parameters in a string that stays one string. ok is false if the
// result is unknown, or after a mistake, which one has added.
func (r *resolver) one(w word, in place) (string, bool) {
	if len(w.text) > maxText {
		r.add(w.at, w.key, "", "is longer than %d bytes", maxText)
		return "", false
	}
	segs, err := segments(w.text)
	if err != nil {
		r.fault(w.at, w.key, err)
		return "", false
	}
	var b strings.Builder
	ok := true
	for _, seg := range segs {
		text := seg.text
		if seg.name != "" {
			var good bool
			if text, good = r.single(w, seg.name, in, soleReference(segs)); !good {
				ok = false
				continue
			}
		}
		if b.Len()+len(text) > maxText {
			r.add(w.at, w.key, "", "grows beyond %d bytes", maxText)
			return "", false
		}
		b.WriteString(text)
	}
	if ok && strings.ContainsRune(b.String(), 0) {
		r.add(w.at, w.key, "", "has a NUL in it")
		return "", false
	}
	return b.String(), ok
}

// soleReference reports whether a template is exactly one parameter.
func soleReference(segs []segment) bool {
	return len(segs) == 3 && segs[0].text == "" && segs[2] == segment{}
}

// single returns the value of a parameter inside a string.
func (r *resolver) single(w word, name string, in place, alone bool) (string, bool) {
	a, ok := r.args[name]
	switch {
	case !ok:
		r.add(w.at, w.key, r.guess(name, r.names), "${%s} is no parameter of this profile", name)
		return "", false
	case a.kind == ParamSecret && (in != inSecret || !alone):
		r.add(w.at, w.key, "", "${%s} is a secret, which can only be a whole value of env.secret", name)
		return "", false
	case a.many:
		r.add(w.at, w.key, "", "${%s} holds many values, and can only be a whole element of a list", name)
		return "", false
	case a.state == unknown:
		if slices.Contains(builtins, name) && !r.badWorkspace && !r.bounds {
			hint := ""
			if name == "workspace" {
				hint = "--workspace DIR"
			}
			r.add(w.at, w.key, hint, "${%s} is not known here", name)
		}
		return "", false
	}
	v := a.values[0]
	if in == inPath && a.kind != ParamDirectory && a.kind != ParamFile && slices.Contains(strings.Split(v, "/"), "..") {
		r.add(w.at, w.key, "", `${%s} has ".." in it, which cannot be part of a path`, name)
		return "", false
	}
	return v, true
}

// list substitutes parameters in the elements of a list. An element that is exactly one
// parameter with many values becomes that many elements, each with the element's "?" if
// it is a path.
func (r *resolver) list(words []word, in place) []word {
	var out []word
	for _, w := range words {
		mark := ""
		if rest, ok := strings.CutPrefix(w.text, "?"); ok && in == inPath {
			mark, w.text = "?", rest
		}
		if a, ok := r.args[strings.TrimSuffix(strings.TrimPrefix(w.text, "${"), "}")]; ok && a.many && refers(w.text) && a.kind != ParamSecret {
			for _, v := range a.values {
				out = append(out, word{mark + v, w.key, w.at})
			}
		} else if text, ok := r.one(w, in); ok {
			out = append(out, word{mark + text, w.key, w.at})
		}
		if len(out) > maxList {
			r.add(w.at, w.key, "", "the list grows beyond %d elements", maxList)
			return nil
		}
	}
	return out
}

var wholeReference = lazy.Pattern(`^\$\{[a-z][a-z0-9_-]*\}$`)

func refers(s string) bool { return wholeReference().MatchString(s) }

// bind gives every parameter its value: from the command line, or else its default. In
// a sample, a required parameter without a value stays unknown.
func (r *resolver) bind(params []Param) {
	r.args = make(map[string]argument)
	for name, v := range map[string]string{"home": r.in.Home, "state": r.in.ServerState(r.name), "workspace": r.in.Workspace} {
		a := argument{values: []string{v}, kind: ParamDirectory}
		if path.IsAbs(v) {
			a.state = known
		}
		r.args[name] = a
		r.names = append(r.names, name)
	}
	r.bindWorkspace()
	for _, p := range params {
		r.names = append(r.names, p.Name)
		r.args[p.Name] = r.argument(p)
	}
	slices.Sort(r.names)
	r.unknownParams(params)
}

func (r *resolver) unknownParams(params []Param) {
	declared := make(map[string]bool, len(params))
	for _, p := range params {
		declared[p.Name] = true
	}
	given := make([]string, 0, len(r.in.Params))
	for name := range r.in.Params {
		given = append(given, name)
	}
	slices.Sort(given)
	for _, name := range given {
		if !declared[name] {
			r.add(Pos{}, "--set "+printable(name), cmp.Or(r.guess(name, r.names), listed(params)), "the profile has no such parameter")
		}
	}
}

// listed formats a profile's parameters for a hint.
func listed(params []Param) string {
	var names []string
	for _, p := range params {
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "it has " + strings.Join(names, ", ")
}

func (r *resolver) argument(p Param) argument {
	a := argument{kind: p.Type, many: p.Many}
	raw := r.in.Params[p.Name]
	given := len(raw) > 0
	at, key := Pos{}, "--set "+p.Name
	if v := r.in.Env[p.Env]; !given && v != "" {
		given, raw, key = true, []string{v}, "params."+p.Name+".env: "+p.Env
	}
	switch {
	case given:
	case p.Optional:
		raw, at, key = p.Default, p.defAt, "params."+p.Name+".default"
	case !r.sample:
		r.add(p.At, "params."+p.Name, "--set "+p.Name+"="+p.example(), "is not given, and has no default")
		return a
	default:
		return a
	}
	if !p.Many && len(raw) != 1 {
		if given { // a default that did not parse is already a mistake
			r.add(at, key, "", "is given %d times, and holds one value", len(raw))
		}
		return a
	}
	if len(raw) > maxList {
		r.add(at, key, "", "has %d values (want %d at most)", len(raw), maxList)
		return a
	}
	a.state, a.values = known, make([]string, 0, len(raw))
	for _, v := range raw {
		text, err := r.check(p, v, given)
		if err != nil {
			r.fault(at, key, err)
			a.state = unknown
			continue
		}
		a.values = append(a.values, text)
	}
	if a.state == unknown {
		a.values = nil
	}
	return a
}

// check validates and returns the value of a parameter of this type. Only a value from
// the command line may be relative to the current directory.
func (r *resolver) check(p Param, v string, given bool) (string, error) {
	switch p.Type {
	case ParamSecret:
		_, err := r.secret(v)
		return v, err
	case ParamDirectory, ParamFile:
		return r.argumentPath(v, given)
	case ParamPort:
		if _, err := parsePort(v); err != nil {
			return "", err
		}
	case ParamChoice:
		if !slices.Contains(p.Choices, v) {
			return "", faultf(didYouMean(v, p.Choices), "%s is none of %s", quote(v), strings.Join(p.Choices, ", "))
		}
	default:
		if len(v) > maxText || strings.ContainsRune(v, 0) {
			return "", faultf("", "is longer than %d bytes or has a NUL in it", maxText)
		}
		if p.pattern != nil && !p.pattern.MatchString(v) {
			return "", faultf("", "%s does not match %s", quote(v), quote(p.Pattern))
		}
	}
	return v, nil
}

func (r *resolver) argumentPath(v string, given bool) (string, error) {
	p, err := r.home(v)
	if err != nil {
		return "", err
	}
	if err := pathText(p); err != nil {
		return "", err
	}
	if !path.IsAbs(p) {
		if !given || !path.IsAbs(r.in.Cwd) {
			return "", faultf("", "%s is relative (want an absolute path, or one from ~/)", quote(v))
		}
		p = path.Join(r.in.Cwd, p)
	}
	return path.Clean(p), nil
}

// example is a sample value for a hint.
func (p Param) example() string {
	switch p.Type {
	case ParamSecret:
		return "env:" + strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_"))
	case ParamDirectory, ParamFile:
		return "/path"
	case ParamPort:
		return "8080"
	case ParamChoice:
		if len(p.Choices) > 0 {
			return p.Choices[0]
		}
	}
	return "VALUE"
}

func portText(n uint16) string { return strconv.Itoa(int(n)) }

// printable returns a name as it is, or quoted if it is not a valid parameter name.
func printable(name string) string {
	if paramName().MatchString(name) {
		return name
	}
	return quote(name)
}
