package explain

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/locked"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/trust"
	"mcpen/sandbox/user"
)

// Evidence writes the facts that a person needs before they trust a profile, the
// most dangerous first. It trusts none of the texts: it makes unprintable characters
// visible.
func Evidence(out io.Writer, at user.Dirs, e trust.Evidence) {
	line := func(format string, args ...any) string {
		return "  " + trust.Short(audit.Visible(fmt.Sprintf(format, args...)), 400)
	}
	red := func(format string, args ...any) { fmt.Fprintln(out, launch.Red(out, line(format, args...))) }
	plain := func(format string, args ...any) { fmt.Fprintln(out, line(format, args...)) }
	fmt.Fprintf(out, "%s\n", audit.Visible(e.File))
	plain("%s", e.Why)
	if slices.Contains(catalog.OwnNames(at), e.Profile.Name) {
		red("CALLS ITSELF %q, as a server of yours is called: it has a state, a log and pins of its own", e.Profile.Name)
	}
	few(e.Use.Says(e.Starts()), red)
	said := e.Profile.Said()
	for rank := range alarms {
		var texts []string
		for _, s := range said {
			if r, text := alarming(s); text != "" && r == rank {
				texts = append(texts, fmt.Sprintf("%s  (%s)", text, s.At))
			}
		}
		few(texts, red)
	}
	few(prefixed("COMES WITH a client's configuration: ", clientWords(origin.Project(at, e.File))), red)
	few(prefixed("LEADS by the symlink ", e.Links), red)
	showLock(e, red, plain)
	if command := strings.Join(trust.SaidWords(e.Profile, "server.command", "server.package", "server.args"), " "); command != "" {
		plain("%-10s %s", "starts", command)
	} else if len(e.Use.Command) == 0 {
		plain("%-10s nothing by itself: each command that it is used for is trusted with it", "starts")
	}
	for _, s := range said {
		if _, text := alarming(s); text != "" {
			continue
		}
		if word := calm(s.Key); word != "" {
			plain("%-10s %s%s  (%s)", word, variable(s.Key), s.Text, s.At)
		}
	}
	for i, s := range e.Profile.Sources {
		if i > 0 {
			plain("%-10s %s", "extends", s.File)
		}
	}
}

// few writes some of the lines of one kind: many of one kind must not push another kind
// out of sight.
func few(lines []string, write func(string, ...any)) {
	const most = 6
	for i, l := range lines {
		if i == most && len(lines) > most+1 {
			write("… and %d more of these", len(lines)-most)
			return
		}
		write("%s", l)
	}
}

func prefixed(prefix string, words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = prefix + w
	}
	return out
}

// alarms is how many ranks of alarming words there are.
const alarms = 8

// alarming explains a word that gives more than a sandbox takes, and returns its rank,
// the worst first; "" for any other word.
func alarming(s policy.Said) (rank int, text string) {
	secret := strings.HasPrefix(s.Key, "env.secret.")
	switch {
	case secret && strings.HasPrefix(s.Text, "command:"):
		return 0, "RUNS ON THIS MACHINE, with all of your rights: " + strings.TrimPrefix(s.Text, "command:")
	case s.Key == "require.without":
		return 1, "GOES WITHOUT " + s.Text
	case s.Insists:
		return 2, "CONNECTS TO THE HOST ITSELF: " + s.Text
	case secret:
		return 3, "GETS A SECRET: " + variable(s.Key) + s.Text
	case s.Key == "filesystem.unprotect":
		return 4, "CHANGES WHAT CODE OUTSIDE TRUSTS: " + s.Text
	case s.Key == "install.scripts":
		return 5, "RUNS INSTALL SCRIPTS of " + s.Text
	case s.Key == "install.build":
		return 5, "RUNS THE BUILD OF " + s.Text
	case s.Key == "filesystem.write" && outside(s.Text):
		return 6, "CHANGES FILES OUTSIDE THE WORKSPACE: " + s.Text
	case s.Key == "filesystem.read" && outside(s.Text):
		return 7, "READS FILES OUTSIDE THE WORKSPACE: " + s.Text
	}
	return 0, ""
}

// outside reports whether a path is neither in the workspace nor in the server's own
// state.
func outside(text string) bool {
	text = strings.TrimPrefix(text, "?")
	for _, own := range []string{"${workspace}", "${state}"} {
		if rest, ok := strings.CutPrefix(text, own); ok && (rest == "" || rest[0] == '/') && filepath.IsLocal("."+rest) {
			return false
		}
	}
	return true
}

// calm is the plain name of a profile word's effect.
func calm(key string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(key, "env."), ".")
	switch key {
	case "filesystem.write":
		return "changes"
	case "filesystem.read":
		return "reads"
	case "filesystem.deny":
		return "hides"
	case "network.allow":
		return "reaches"
	case "sockets.connect":
		return "connects"
	case "server.dir":
		return "in"
	}
	if strings.HasPrefix(key, "env.") {
		return map[string]string{"pass": "is passed", "set": "sets"}[kind]
	}
	return ""
}

// variable is the name of a key's variable, and the text before its value.
func variable(key string) string {
	name, ok := strings.CutPrefix(key, "env.")
	if !ok {
		return ""
	}
	kind, name, _ := strings.Cut(name, ".")
	if kind == "pass" {
		return ""
	}
	return name + "="
}

// showLock lists the packages that a lock installs, and their age.
func showLock(e trust.Evidence, red, plain func(string, ...any)) {
	if e.Lock == "" {
		return
	}
	l, err := locked.Read(e.Lock)
	if err != nil {
		red("HAS A LOCK that cannot be read: %v", err)
		return
	}
	say := plain
	age := "of unknown age"
	if !l.Published.IsZero() {
		old := time.Since(l.Published)
		if age = "published " + user.Age(old) + " ago"; old < policy.DefaultMinAge {
			say = red
		}
	} else {
		say = red
	}
	say("%-10s %s %s, %s, with %s  (%s)", "locks", l.Package, l.Version, age, user.Count(len(l.Dependencies), "package"), e.Lock)
	if decided, err := trust.Decisions(launch.PinFile{Name: e.Profile.Name, File: e.Lock}); err == nil && len(decided) > 0 {
		plain("%-10s %s of what the server says", "decides", user.Count(len(decided), "definition"))
	}
}
