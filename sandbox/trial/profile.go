package trial

import (
	"fmt"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/plan"
)

// Draft is the smallest profile that allows everything that the program did, with its
// grants.
type Draft struct {
	Text      string
	Hosts     []string
	Secrets   []string // the variables of those without which it is not started
	Workspace bool     // may read the workspace
	Writes    bool     // and may change it
}

// Server is what a profile starts: a package, or a command.
type Server struct {
	Package string
	Command []string
	Args    []string
	Folder  string     // of its own, which it needs; ""
	Env     []plan.Env // that lead into it
	Needs   []Need
}

// Need is a variable that a server needs, or may have.
type Need struct {
	Name   string
	Why    string // a clause, such as "which its code reads"
	May    bool   // it starts without
	Secret bool
	// Value is the same for everybody; "": it is the user's own.
	Value string
}

// Draft drafts a profile, with the reason after every line. Decoys, telemetry and
// unrequested actions are comments. It uses everything observed, however the program
// ended.
func (r *Report) Draft(name string, from Server) Draft {
	var d Draft
	var b strings.Builder
	say := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", onOneLine(a)...) }
	say("# The smallest profile with which %s did what it was asked on %s,", oneLine(r.Subject.Name), r.Time.UTC().Format("2006-01-02"))
	say("# in a trial by mcpen. Verdict: %s.", r.Verdict.Level)
	if !r.Conversation.Opened {
		say("# It did not answer: what follows is what it reached for before it ended.")
	}
	say("version = 1\nname = %s", audit.TOMLString(name))
	variables := r.variables(from.Needs)
	for _, v := range variables {
		v.declare(say)
		if v.Secret && !v.May {
			d.Secrets = append(d.Secrets, v.Name)
		}
	}
	say("\n[server]")
	if from.Package != "" {
		say("package = %s", audit.TOMLString(from.Package))
	} else {
		say("command = [%s]", quotedList(from.Command))
	}
	if len(from.Args) > 0 {
		say("args = [%s]", quotedList(from.Args))
	}
	r.draftFiles(&d, from.Folder, say)
	r.draftHosts(&d, say)
	r.draftEnvironment(variables, from.Env, say)
	d.Text = b.String()
	return d
}

// onOneLine removes line ends from texts, so that a text that a program chose (the name
// of a tool, of a file, of a host) stays in its comment or its string.
func onOneLine(all []any) []any {
	out := slices.Clone(all)
	for i, v := range out {
		if text, ok := v.(string); ok {
			out[i] = oneLine(text)
		}
	}
	return out
}

// oneLine formats a text for a comment.
func oneLine(s string) string { return strings.ReplaceAll(visible(s), "\n", " ") }

func quotedList(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = audit.TOMLString(visible(s))
	}
	return strings.Join(out, ", ")
}

func (r *Report) draftFiles(d *Draft, own string, say func(string, ...any)) {
	var read, write, kept string
	for _, f := range r.Files {
		switch {
		case f.Owner == OwnerWorkspace && f.Write && write == "":
			write = f.When
		case f.Owner == OwnerWorkspace && !f.Missing && read == "" && f.Path != r.Desk.Workspace:
			read = f.When
		case f.Owner == OwnerHome && f.Write && kept == "":
			kept = r.tilde(f.Path)
		}
	}
	for _, w := range r.Written {
		if strings.HasPrefix(w.Path, r.Desk.Workspace+"/") && write == "" && w.Trap == "" {
			write = "it left " + r.tilde(w.Path)
		}
	}
	d.Workspace, d.Writes = read != "" || write != "", write != ""
	if d.Workspace || own != "" {
		say("\n[filesystem]")
	}
	if d.Writes {
		say("write = [\"${workspace}\"] # it changed files there: %s", write)
	}
	if own != "" || d.Workspace && !d.Writes {
		say("read = [")
		if own != "" {
			say("  %s, # its own folder", audit.TOMLString(own))
		}
		if d.Workspace && !d.Writes {
			say("  \"${workspace}\", # it read files there: %s", read)
		}
		say("]")
	}
	if kept != "" {
		say("\n# It keeps files of its own in its home, such as %s. They end with each run;\n# to keep them: [filesystem] write = [\"${state}\"] and a variable or an argument that leads there.", oneLine(kept))
	}
	for _, t := range r.Decoys {
		if !t.Quiet {
			say("# NOT GRANTED: %s (%s), which was %s", r.tilde(t.Path), t.What, t.How)
		}
	}
}

func (r *Report) draftHosts(d *Draft, say func(string, ...any)) {
	type granted struct{ host, why string }
	var lines []granted
	var left []string
	for _, h := range r.Hosts {
		at := place(h)
		why := first(h.When)
		switch {
		case slices.Contains(d.Hosts, at):
			continue
		case h.Use == telemetry:
			left = append(left, fmt.Sprintf("# NOT GRANTED: %s, telemetry, %s", at, why))
			continue
		case h.Use == chosen:
			left = append(left, fmt.Sprintf("# NOT GRANTED: %s, the address that a tool was given. Where people name other hosts, grant those.", at))
			continue
		case slices.Contains(metadata, h.Name) || slices.Contains(metadata, h.Address), h.Name == "":
			left = append(left, fmt.Sprintf("# NOT GRANTED: %s, %s", at, why))
			continue
		case r.leaksTo(at):
			left = append(left, fmt.Sprintf("# NOT GRANTED: %s, to which it sent what it stole, %s", at, why))
			continue
		case audit.AllowHost(at) == nil:
			left = append(left, fmt.Sprintf("# NOT GRANTED: %s, which a profile would take for something else, %s", at, why))
			continue
		}
		d.Hosts = append(d.Hosts, at)
		lines = append(lines, granted{at, fmt.Sprintf("%s, %s", why, plural(h.Requests, "request"))})
	}
	if len(lines) > 0 {
		say("\n[network]\nallow = [")
		for _, l := range lines {
			say("  %s, # %s", audit.TOMLString(l.host), l.why)
		}
		say("]")
	}
	if len(left) > 0 {
		say("")
	}
	for _, l := range left {
		say("%s", l)
	}
}

func (r *Report) leaksTo(at string) bool {
	return slices.ContainsFunc(r.Leaks, func(l Leak) bool { return l.Out && !l.Given && l.Where == at })
}
