package review

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/trust"
	"mcpen/sandbox/user"
)

// Reviewer decides about definitions, by flags or by asking.
type Reviewer struct {
	Out, Err                io.Writer
	In                      *bufio.Reader       // nil: nobody is there to ask
	Tell                    func(server string) // the running servers of a name that somebody decided about them
	Approve, Reject, Revoke []string
	All                     bool
	ApproveAll              bool
	Forget                  bool
	Seen                    []Definition // the shown definitions

	named map[string]bool // names of flags that something was found for
}

// Definition is one definition that was shown, for a program.
type Definition struct {
	Server   string                 `json:"server"`
	Kind     definition.Kind        `json:"kind"`
	Name     string                 `json:"name,omitempty"`
	State    definition.State       `json:"state"`
	Old      *definition.Definition `json:"old,omitempty"` // the definition approved, or seen first, before
	New      definition.Definition  `json:"new"`
	Findings []Finding              `json:"findings,omitempty"`
	Decided  definition.State       `json:"decided,omitempty"` // here and now
}

// Finding is one finding in a definition, for a program.
type Finding struct {
	Kind     finding.Kind `json:"kind"`
	Severity string       `json:"severity"`
	Why      string       `json:"why"`
	Words    string       `json:"words"`
}

// newDefinition holds the facts of a change that show shows.
func newDefinition(server string, c definition.Change, siblings [][]byte, others []finding.Other) Definition {
	out := Definition{Server: server, Kind: c.New.Kind, Name: c.New.Name, State: c.New.State, New: c.New}
	if c.Old.SHA256 != "" {
		out.Old = &c.Old
	}
	raw, err := c.New.Canonical()
	if err != nil {
		return out // show says why
	}
	for _, f := range found(c.New.Kind, raw, siblings, others) {
		out.Findings = append(out.Findings, Finding{f.Kind, f.Severity.String(), f.Why, f.Words})
	}
	return out
}

// Decides reports whether flags decide something.
func (r *Reviewer) Decides() bool {
	return r.ApproveAll || r.Forget || len(r.Approve)+len(r.Reject)+len(r.Revoke) > 0
}

// Each goes through files, and tells the servers that run.
func (r *Reviewer) Each(at user.Dirs, files []launch.PinFile) error {
	r.named = map[string]bool{}
	if len(files) == 0 {
		fmt.Fprintln(r.Out, "nothing waits: no server ran yet")
	}
	for _, f := range files {
		err := trust.ChangeBeside(at, f.File, func() error {
			if !r.Forget {
				return r.review(at, f)
			}
			if err := f.Forget(); err != nil {
				return err
			}
			fmt.Fprintf(r.Out, "%s: forgot everything that was seen and decided\n", f.Name)
			return nil
		})
		if err != nil {
			return err
		}
		r.Tell(f.Name)
	}
	for _, name := range slices.Concat(r.Approve, r.Reject, r.Revoke) {
		if !r.named[name] {
			return launch.Usage("mcpen review --all "+files[0].Name, "nothing called %q is there to decide about", name)
		}
	}
	return nil
}

// answer is a person's answer about a definition. The zero answer leaves it waiting.
type answer byte

const (
	wait answer = iota
	approve
	reject
)

// review goes through the waiting definitions of one file.
func (r *Reviewer) review(at user.Dirs, f launch.PinFile) error {
	pins, err := f.Read()
	if err != nil {
		return err
	}
	if err := r.takeBack(f, pins); err != nil {
		return err
	}
	shown := r.candidates(pins)
	if len(shown) == 0 && len(r.Revoke) == 0 {
		fmt.Fprintf(r.Out, "%s: nothing waits%s\n", f.Name, unreviewed(pins))
		return nil
	}
	others := launch.Others(at.Config, at.State, f.Name)
	siblings := toolsOf(pins)
	decided := map[definition.Definition]answer{}
	for _, c := range shown {
		if c.New.State == definition.Waiting || r.All {
			Show(r.Out, f.Name, c, siblings, others)
		}
		said := newDefinition(f.Name, c, siblings, others)
		if v := r.decide(c.New.Name); v != wait {
			decided[c.New] = v
			said.Decided = map[answer]definition.State{approve: definition.Approved, reject: definition.Rejected}[v]
		}
		r.Seen = append(r.Seen, said)
	}
	if len(decided) == 0 {
		return nil
	}
	err = f.Change(func(p definition.Pins) definition.Pins {
		for _, c := range shown {
			switch decided[c.New] {
			case approve:
				p = p.Approve(c.New)
			case reject:
				p = p.Reject(c.New)
			}
		}
		return p
	})
	if err != nil {
		return err
	}
	for _, c := range shown {
		if v := decided[c.New]; v != wait {
			r.did(f, map[answer]string{approve: "approved", reject: "rejected"}[v], c.New)
		}
	}
	return nil
}

// did reports a decision.
func (r *Reviewer) did(f launch.PinFile, what string, d definition.Definition) {
	fmt.Fprintf(r.Out, "%s: %s %s (%s)\n", f.Name, what, Title(d), f.File)
}

// Title is the name of a definition in a sentence.
func Title(d definition.Definition) string {
	return strings.TrimSpace(string(d.Kind) + " " + audit.Visible(d.Name))
}

// unreviewed says how much is in use that nobody looked at.
func unreviewed(pins definition.Pins) string {
	n := len(pins.Waiting(true)) - len(pins.Waiting(false))
	if len(pins.Definitions) == 0 {
		return ": nothing of it was seen yet"
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %s in use as first seen, without a review", user.Count(n, "definition"))
}

// candidates lists the definitions to decide about: waiting ones, and those seen first
// if the person asks for them or names them.
func (r *Reviewer) candidates(pins definition.Pins) []definition.Change {
	var out []definition.Change
	for _, c := range pins.Waiting(true) {
		named := slices.Contains(r.Approve, c.New.Name) || slices.Contains(r.Reject, c.New.Name)
		if named {
			r.named[c.New.Name] = true
		}
		if c.New.State == definition.Waiting || r.All || r.ApproveAll || named {
			out = append(out, c)
		}
	}
	// Of one that was seen first and one that waits under the same name, a name on
	// the command line means the latter.
	return slices.DeleteFunc(out, func(c definition.Change) bool {
		return !r.All && c.New.State == definition.Seen && slices.ContainsFunc(out, func(o definition.Change) bool {
			return o.New.State == definition.Waiting && o.New.Kind == c.New.Kind && o.New.Name == c.New.Name
		})
	})
}

// takeBack revokes decisions: approved and rejected definitions wait again.
func (r *Reviewer) takeBack(f launch.PinFile, pins definition.Pins) error {
	var back []definition.Definition
	for _, d := range pins.Decided().Definitions {
		if slices.Contains(r.Revoke, d.Name) {
			back = append(back, d)
			r.named[d.Name] = true
		}
	}
	if len(back) == 0 {
		return nil
	}
	err := f.Change(func(p definition.Pins) definition.Pins {
		for _, d := range back {
			p = p.Forget(d).Wait(d)
		}
		return p
	})
	if err != nil {
		return err
	}
	for _, d := range back {
		r.did(f, "revoked what was "+string(d.State)+" of", d)
	}
	return nil
}

// toolsOf are the tools that a server is known to define.
func toolsOf(pins definition.Pins) [][]byte {
	var out [][]byte
	for _, d := range pins.Definitions {
		if raw, err := d.Canonical(); d.Kind == definition.KindTool && d.State != definition.Rejected && err == nil {
			out = append(out, raw)
		}
	}
	return out
}

// decide returns a flag's answer, or else asks the person if there is one.
func (r *Reviewer) decide(name string) answer {
	switch {
	case slices.Contains(r.Reject, name):
		return reject
	case r.ApproveAll || slices.Contains(r.Approve, name):
		return approve
	case r.Decides() || r.In == nil:
		return wait
	}
	fmt.Fprint(r.Err, "approve? [y]es, [n]o, [l]ater: ")
	answer, _ := r.In.ReadString('\n') // no answer is later
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return approve
	case "n", "no":
		return reject
	}
	return wait
}

// Show prints one definition: all of it when it is new, the words that changed
// otherwise.
func Show(out io.Writer, server string, c definition.Change, siblings [][]byte, others []finding.Other) {
	what := Title(c.New)
	was := map[definition.State]string{definition.Approved: "approved", definition.Seen: "first seen"}[c.Old.State]
	switch {
	case c.New.State == definition.Seen && c.Old.SHA256 == "":
		fmt.Fprintf(out, "\n%s: %s, in use since it was first seen%s\n", server, what, seenOn(c.New))
		indent(out, c.New.Lines())
	case c.Old.SHA256 == "":
		fmt.Fprintf(out, "\n%s: new %s\n", server, what)
		indent(out, c.New.Lines())
	case c.Renamed:
		fmt.Fprintf(out, "\n%s: %s was %s as %s and is the same but for its name\n", server, what, was, audit.Visible(c.Old.Name))
	default:
		fmt.Fprintf(out, "\n%s: %s changed since it was %s\n", server, what, was)
		if c.Old.At != "" {
			fmt.Fprintf(out, "  seen on %s, the new one on %s\n", audit.Visible(c.Old.At), audit.Visible(c.New.At))
		}
		var b strings.Builder
		for _, e := range definition.Diff(c.Old.Lines(), c.New.Lines()) {
			switch e.Op {
			case definition.Removed:
				b.WriteString("[-" + e.Text + "-]")
			case definition.Added:
				b.WriteString("{+" + e.Text + "+}")
			default:
				b.WriteString(e.Text)
			}
		}
		indent(out, b.String())
	}
	raw, err := c.New.Canonical()
	if err != nil {
		fmt.Fprintf(out, "  finding: it cannot be read: %v\n", err)
		return
	}
	for line := range strings.Lines(string(c.New.Given)) {
		if !strings.HasPrefix(line, "$") { // a word of the command line may stand there by chance
			fmt.Fprintf(out, "  it holds %s\n", audit.Visible(strings.TrimSpace(line)))
		}
	}
	for _, f := range found(c.New.Kind, raw, siblings, others) {
		fmt.Fprintf(out, "  finding (%s): %s: %s: %q\n", f.Severity, f.Kind, f.Why, audit.Visible(f.Words))
	}
}

// found lists the findings in a definition among others of its server.
func found(kind definition.Kind, raw []byte, siblings [][]byte, others []finding.Other) []finding.Finding {
	if kind == definition.KindTool {
		return finding.ScanAmong(kind, raw, siblings, others...)
	}
	return finding.Scan(kind, raw, others...)
}

// seenOn says when a definition was seen, where that is known.
func seenOn(d definition.Definition) string {
	if d.At == "" {
		return ""
	}
	return " on " + audit.Visible(d.At)
}

func indent(out io.Writer, text string) {
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintln(out, "    "+audit.Visible(line))
	}
}
