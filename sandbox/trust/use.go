package trust

import (
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// Use holds the additions to a profile's own words at its start: words that a client's
// configuration, which may be a repository's, says as well. A person's trust in the
// profile does not cover them, so each use that adds a word needs trust of its own. A
// baseline is none of them: it only narrows. The zero use adds nothing.
type Use struct {
	profile   string              // its path
	dir       string              // where it is started, if that is outside of the project that the profile is from, and matters
	Command   []string            // a command that the profile is used for
	args      []string            // arguments behind the profile's own
	params    map[string][]string // parameters
	workspace string              // the named workspace, if it is outside of the project and the profile asks for one
	without   []policy.Layer      // layers to go without
	pass      []string            // variables that it gets
	secrets   map[string]string   // the same, and where they are fetched from
}

// Start holds the words that start a profile, beside the profile's own. The zero Start
// adds none.
type Start struct {
	Command   []string // the program, in place of the profile's
	Args      []string // arguments behind the profile's own
	Params    map[string][]string
	Pass      []string          // variables to pass on
	Secrets   map[string]string // variables and where they are fetched from
	Workspace string
	Without   []policy.Layer
}

// UseOf is the use that a start makes of a profile. One that is the person's own may
// be used as it pleases them.
func UseOf(at user.Dirs, w Start, p *policy.Profile) Use {
	top := projectFrom(at, p)
	if top == "" {
		return Use{}
	}
	u := Use{profile: origin.RealFile(at, p.Sources[0].File), Command: w.Command, args: w.Args, params: map[string][]string{}, without: w.Without, pass: w.Pass, secrets: w.Secrets}
	outside := func(dir string) string {
		if real := origin.RealFile(at, dir); dir != "" && real != top && !strings.HasPrefix(real, top+"/") {
			return real
		}
		return ""
	}
	asks := p.Asks("workspace")
	if asks {
		u.workspace = outside(w.Workspace)
	}
	if asks && w.Workspace == "" || fromHere(at, append(SaidWords(p, "server.command", "server.args"), append(w.Command, w.Args...)...)) {
		u.dir = outside(at.Cwd)
	}
	for name, values := range w.Params {
		for _, v := range values {
			u.params[name] = append(u.params[name], absoluteValue(at, p, name, v))
		}
	}
	return u
}

// projectFrom is the project that a profile is from: that of the first of its files that is
// not the person's own; "" where all are.
func projectFrom(at user.Dirs, p *policy.Profile) string {
	for _, s := range p.Sources {
		if way, why := origin.ForeignWay(at, s.File); why != "" {
			return origin.Project(at, way)
		}
	}
	return ""
}

// fromHere reports whether a word of a command names a file relative to the current
// folder.
func fromHere(at user.Dirs, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool {
		return !filepath.IsAbs(w) && (strings.Contains(w, "/") || host.Look(filepath.Join(at.Cwd, w)).Exists)
	})
}

// absoluteValue is a parameter's value that means the same from every folder.
func absoluteValue(at user.Dirs, p *policy.Profile, name, value string) string {
	path := slices.ContainsFunc(p.Params, func(q policy.Param) bool {
		return q.Name == name && (q.Type == policy.ParamDirectory || q.Type == policy.ParamFile)
	})
	if !path || filepath.IsAbs(value) || strings.HasPrefix(value, "~") {
		return value
	}
	return filepath.Join(at.Cwd, value)
}

// adds reports whether there is anything in a use that the profile does not say.
func (u Use) adds() bool { return u.dir != "" || len(u.words()) > 1 }

// words are the words of a command line that make this use, in one order however they
// were given.
func (u Use) words() []string {
	var out []string
	if u.workspace != "" {
		out = append(out, "--workspace", u.workspace)
	}
	for _, name := range slices.Sorted(maps.Keys(u.params)) {
		for _, v := range u.params[name] {
			out = append(out, "--set", name+"="+v)
		}
	}
	without := slices.Clone(u.without)
	slices.Sort(without)
	for _, l := range slices.Compact(without) {
		out = append(out, "--without", string(l))
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(u.pass))) {
		out = append(out, "--pass", name)
	}
	for _, name := range slices.Sorted(maps.Keys(u.secrets)) {
		out = append(out, "--secret", name+"="+u.secrets[name])
	}
	switch {
	case len(u.Command) > 0:
		return slices.Concat(out, []string{"--profile", u.profile, "--"}, u.Command)
	case len(u.args) > 0:
		return slices.Concat(out, []string{u.profile, "--"}, u.args)
	}
	return append(out, u.profile)
}

// hint is the command line that has a person trust this use.
func (u Use) hint() string {
	line := "mcpen trust " + audit.Command(u.words()...)
	if u.dir != "" {
		line = "cd " + audit.Command(u.dir) + " && " + line
	}
	return line
}

// Says lists a use's additions, the worst first. With own, the profile itself names the
// program to start.
func (u Use) Says(own bool) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(u.params)) {
		for _, v := range u.params[name] {
			if line, runs := strings.CutPrefix(v, "command:"); runs {
				out = append(out, "RUNS ON THIS MACHINE, with all of your rights: "+line)
			}
		}
	}
	for _, l := range u.without {
		out = append(out, "GOES WITHOUT "+string(l))
	}
	if command := audit.Command(u.Command...); command != "" && own {
		out = append(out, "STARTS SOMETHING ELSE than the profile says: "+command)
	} else if command != "" {
		out = append(out, "STARTS "+command)
	}
	if u.workspace != "" {
		out = append(out, "WORKS IN ANOTHER PROJECT: "+u.workspace)
	}
	if u.dir != "" {
		out = append(out, "IS STARTED IN ANOTHER PROJECT: "+u.dir)
	}
	for _, name := range slices.Sorted(maps.Keys(u.params)) {
		out = append(out, fmt.Sprintf("IS GIVEN the parameter %s = %s", name, audit.Command(u.params[name]...)))
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(u.pass))) {
		out = append(out, "IS GIVEN the variable "+name)
	}
	for _, name := range slices.Sorted(maps.Keys(u.secrets)) {
		out = append(out, fmt.Sprintf("IS GIVEN the secret %s, from %s", name, u.secrets[name]))
	}
	if len(u.args) > 0 {
		out = append(out, "IS GIVEN the arguments "+audit.Command(u.args...))
	}
	return out
}

// SaidWords lists a profile's words under some keys.
func SaidWords(p *policy.Profile, keys ...string) []string {
	var words []string
	for _, s := range p.Said() {
		if slices.Contains(keys, s.Key) {
			words = append(words, s.Text)
		}
	}
	return words
}

// Short cuts a text to most bytes at most. It says first that there is more: a cut end
// must not look like the real one.
func Short(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return fmt.Sprintf("(the first %d of %d bytes) %s…", most, len(text), strings.ToValidUTF8(text[:most], ""))
}

// digest tells one use of a profile from another; it is "" for the one that adds
// nothing.
func (u Use) digest() string {
	if !u.adds() {
		return ""
	}
	return hex.EncodeToString(sum(fmt.Appendf(nil, "%q", append([]string{u.dir}, u.words()...))))
}
