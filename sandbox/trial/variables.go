package trial

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/plan"
)

var readsVariable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?:process\.env\.|process\.env\[["']|os\.environ\.get\(\s*["']|os\.environ\[["']|os\.getenv\(\s*["']|getenv\(\s*["']|env\.)([A-Z][A-Z0-9_]{3,60})`)
})

// takesVariables matches the JavaScript that takes several at once.
var takesVariables = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\{([^{}]*)\}\s*=\s*process\.env\b`)
})

var upperWord = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b[A-Z][A-Z0-9_]{3,60}\b`) })

// variablesOf lists the variables that a text of code reads.
func variablesOf(text []byte) (out []string) {
	for _, m := range readsVariable().FindAllSubmatch(text, 512) {
		out = append(out, string(m[1]))
	}
	for _, m := range takesVariables().FindAllSubmatch(text, 64) {
		for _, name := range upperWord().FindAll(m[1], 64) {
			out = append(out, string(name))
		}
	}
	return out
}

// Variables lists the variables of the code in a folder, without its dependencies.
func Variables(dir string) []string {
	var out []string
	left := int64(24 << 20)
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || left <= 0 || len(out) >= 256 {
			return fs.SkipAll
		}
		if d.IsDir() && p != dir && (d.Name() == "node_modules" || d.Name() == "site-packages" || d.Name() == "lib" && filepath.Base(dir) != "lib" && strings.Contains(dir, "bundle")) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || !slices.Contains([]string{".js", ".mjs", ".cjs", ".ts", ".py"}, filepath.Ext(p)) {
			return nil
		}
		f, err := os.Open(p)
		if err != nil {
			return nil
		}
		defer f.Close()
		text, _ := io.ReadAll(io.LimitReader(f, 4<<20))
		left -= int64(len(text))
		for _, name := range variablesOf(text) {
			if !slices.Contains(out, name) && len(out) < 256 {
				out = append(out, name)
			}
		}
		return nil
	})
	slices.Sort(out)
	return out
}

var wordOfVariable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\b[A-Z][A-Z0-9]*_[A-Z0-9_]{2,60}\b`) })

// GuessVariable is a value for a variable by its name, on a desk.
func GuessVariable(name string, d *Desk) string {
	switch {
	case strings.Contains(name, "URL"), strings.Contains(name, "URI"), strings.Contains(name, "ENDPOINT"):
		return Canned
	case strings.Contains(name, "EMAIL"), strings.Contains(name, "USER"):
		return d.User + "@example.com"
	case strings.Contains(name, "HOST"), strings.Contains(name, "DOMAIN"):
		return "www.example.com"
	case strings.Contains(name, "PORT"):
		return "443"
	case strings.Contains(name, "DIR"), strings.Contains(name, "PATH"), strings.Contains(name, "ROOT"):
		return "${desk}"
	}
	return "storefront"
}

// VariablesIn lists the variables that a program's words name.
func VariablesIn(words string) []string { return wordOfVariable().FindAllString(words, 32) }

// variable matches the name of a variable that is also a TOML key.
var variable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,254}$`) })

// parameter matches the name of a parameter of a profile.
var parameter = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`) })

// given is a variable that a profile gives to a server.
type given struct {
	Need
	param string // by which the user sets it; "": none
}

// variables lists the variables of a profile: those that the program sent to a host,
// and the needs, each once.
func (r *Report) variables(needs []Need) (out []given) {
	var all []Need
	for _, l := range r.Leaks {
		if name, ok := strings.CutPrefix(l.File, "$"); ok && l.Given && l.Out {
			all = append(all, Need{Name: name, Why: "which it sends to " + l.Where, Secret: true})
		}
	}
	all = append(all, needs...)
	for _, may := range []bool{false, true} { // what it must have wins
		for _, n := range all {
			if n.May == may && variable().MatchString(n.Name) && !slices.ContainsFunc(out, func(g given) bool { return g.Name == n.Name }) {
				out = append(out, given{n, paramFor(n, out)})
			}
		}
	}
	return out
}

// paramFor is the name of a parameter for a variable beside others; "" for none.
func paramFor(n Need, others []given) string {
	name := strings.ToLower(n.Name)
	if n.Value != "" || !parameter().MatchString(name) || slices.Contains([]string{"home", "state", "workspace"}, name) || slices.ContainsFunc(others, func(g given) bool { return g.param == name }) {
		return ""
	}
	return name
}

// from is where a profile takes the secret from.
func (g given) from() string {
	if g.May {
		return "?env:" + g.Name
	}
	return "env:" + g.Name
}

// declare writes the parameter of a variable.
func (g given) declare(say func(string, ...any)) {
	described := audit.TOMLString(visible(g.Name + ", " + g.Why))
	switch {
	case g.param == "":
	case g.Secret:
		say("\n[params.%s]\ntype = \"secret\"\ndefault = \"%s\"\ndescription = %s", g.param, g.from(), described)
	default:
		say("\n[params.%s]\ntype = \"string\"\nenv = \"%s\"\ndescription = %s", g.param, g.Name, described)
	}
}

// value is the value of a variable in a profile.
func (g given) value() string {
	switch {
	case g.param != "":
		return "${" + g.param + "}"
	case g.Secret && g.Value == "":
		return g.from()
	}
	return g.Value
}

// draftEnvironment drafts the variables. own are those that lead into the program's own
// folder.
func (r *Report) draftEnvironment(variables []given, own []plan.Env, say func(string, ...any)) {
	known := map[string]bool{}
	var set, secret []given
	for _, e := range own {
		known[e.Name] = true
		set = append(set, given{Need: Need{Name: e.Name, Value: e.Value, Why: "in its own folder"}})
	}
	for _, v := range variables {
		switch {
		case known[v.Name]:
			continue
		case v.Secret && v.Value == "":
			secret = append(secret, v)
		case v.Value != "" || v.param != "":
			set = append(set, v)
		}
		known[v.Name] = true
	}
	for _, table := range []struct {
		name string
		rows []given
	}{{"[env.set]", set}, {"[env.secret]", secret}} {
		if len(table.rows) > 0 {
			say("\n%s", table.name)
		}
		for _, v := range table.rows {
			say("%s = %s # %s", v.Name, audit.TOMLString(v.value()), v.Why)
		}
	}
	rest := slices.DeleteFunc(slices.Clone(r.Subject.Variables), func(name string) bool { return known[name] })
	if len(rest) > 0 {
		say("\n# It also reads: %s. What it needs of them goes into\n# [env.set], or into [env.secret] as NAME = \"?env:NAME\".", strings.Join(rest, ", "))
	}
}
