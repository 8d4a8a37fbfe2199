package policy

import (
	"slices"
	"strings"
)

// Package is the package that the profile starts, as written; "" if it starts none.
func (p *Profile) Package() string { return p.body.pkg.v }

// EnvOf lists the variables that give parameters their values. The caller fills
// Input.Env with those that are set.
func (p *Profile) EnvOf() []string {
	var names []string
	for _, q := range p.Params {
		if q.Env != "" {
			names = append(names, q.Env)
		}
	}
	return names
}

// InstallOnly returns a profile with only this one's package and [install], which
// resolve without any parameter.
func (p *Profile) InstallOnly() *Profile {
	return &Profile{Name: p.Name, Sources: p.Sources, body: body{pkg: p.body.pkg, scripts: p.body.scripts, build: p.body.build, minAge: p.body.minAge, python: p.body.python}}
}

// serverArgs returns the arguments of the profile's server as written, with "${name}"
// in them.
func (p *Profile) serverArgs() []string {
	out := make([]string, len(p.body.args.items))
	for i, w := range p.body.args.items {
		out[i] = w.text
	}
	return out
}

// Bind matches a command line against the arguments that the profile gives its server:
// ["--repository", "${workspace}"] matched with "--repository /src -v" gives workspace
// "/src" and leaves "-v". A parameter with many values takes the words up to the first
// that begins with "-". ok is false if the command line does not begin with these
// arguments, or if they contain something that no command line may give: a secret,
// ${home}, ${state}, or one parameter twice.
func (p *Profile) Bind(args []string) (params map[string][]string, rest []string, ok bool) {
	template := p.serverArgs()
	if len(template) == 0 {
		return nil, args, false
	}
	params = make(map[string][]string)
	for _, word := range template {
		segs, err := segments(word)
		if err != nil || len(args) == 0 {
			return nil, nil, false
		}
		if len(segs) == 1 {
			if args[0] != segs[0].text {
				return nil, nil, false
			}
			args = args[1:]
			continue
		}
		values, taken := p.bindWord(segs, args)
		if name := segs[1].name; taken == 0 || params[name] != nil {
			return nil, nil, false
		}
		params[segs[1].name], args = values, args[taken:]
	}
	return params, args, true
}

// bindWord matches the first words of a command line against a template with one
// parameter. It returns the parameter's values and the number of words taken; 0 if the
// words do not match.
func (p *Profile) bindWord(segs []segment, args []string) (values []string, taken int) {
	name := segs[1].name
	many, known := p.given(name)
	if len(segs) != 3 || !known {
		return nil, 0
	}
	for _, arg := range args {
		value, front := strings.CutPrefix(arg, segs[0].text)
		value, back := strings.CutSuffix(value, segs[2].text)
		if !front || !back || value == "" || strings.HasPrefix(value, "-") {
			break
		}
		values = append(values, value)
		if !many {
			break
		}
	}
	return values, len(values)
}

// given reports whether a command line may give a parameter its values, and whether it
// may give several.
func (p *Profile) given(name string) (many, ok bool) {
	if name == "workspace" {
		return false, true
	}
	i := slices.IndexFunc(p.Params, func(q Param) bool { return q.Name == name })
	return i >= 0 && p.Params[i].Many, i >= 0 && p.Params[i].Type != ParamSecret
}
