package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trust"
	"mcpen/sandbox/user"
)

func (a *app) reviewCommand() *cli.Command {
	return &cli.Command{
		Name: "review", Usage: "show what servers say that waits for a person, and approve or reject it", ArgsUsage: "[SERVER…]",
		Description: "SERVER is a name, or the path of a profile. Changes are shown word by word, with what\n" +
			"was found in them. At a terminal each one is asked about; a running server is told\n" +
			"at once. What was seen first is in use without a review, and shown with --all.\n\n" +
			"With --json nobody is asked, and what was shown is in an array of mcpen.review/1: server,\n" +
			"kind, name, state (waiting, or seen: in use as it was seen first), old and new (the\n" +
			"definitions), findings (kind, severity, why, words) and decided (approved, rejected, or\n" +
			"nothing). What people are told goes to stderr.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "approve", Usage: "approve the definition of this `NAME` without asking; may be repeated"},
			&cli.StringSliceFlag{Name: "reject", Usage: "reject the definition of this `NAME` without asking; may be repeated"},
			&cli.StringSliceFlag{Name: "revoke", Usage: "take back what was decided about this `NAME`: it waits again; may be repeated"},
			&cli.BoolFlag{Name: "all", Usage: "what was seen first as well"},
			&cli.BoolFlag{Name: "approve-all", Usage: "approve everything that nobody decided about"},
			&cli.BoolFlag{Name: "forget", Usage: "forget everything that was seen and decided"},
			&cli.BoolFlag{Name: "json", Usage: "print what is shown as JSON, and ask nobody"},
		},
		Action: func(c *cli.Context) error {
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			out := a.asked(c)
			r := reviewer{app: a, mute: c.Bool("json"), in: bufio.NewReader(a.in), approve: c.StringSlice("approve"), reject: c.StringSlice("reject"), revoke: c.StringSlice("revoke"),
				all: c.Bool("all"), approveAll: c.Bool("approve-all"), forget: c.Bool("forget"), named: map[string]bool{}, seen: []reviewed{}}
			names := c.Args().Slice()
			if len(names) == 0 && r.decides() {
				return usage("mcpen review --approve-all NAME", "name the server")
			}
			files, err := a.pinFiles(at, names)
			if err != nil {
				return err
			}
			err = r.each(at, files)
			if c.Bool("json") {
				err = errors.Join(err, encode(out, r.seen))
			}
			return err
		},
	}
}

// pinFiles are the files of the servers that were named, or all.
func (a *app) pinFiles(at user.Dirs, servers []string) ([]launch.PinFile, error) {
	known := catalog.KnownPins(at)
	if len(servers) == 0 {
		return known, nil
	}
	var out []launch.PinFile
	for _, s := range servers {
		p, err := a.pinFile(at, known, s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// pinFile is that of one server, which is named or whose profile is.
func (a *app) pinFile(at user.Dirs, known []launch.PinFile, word string) (launch.PinFile, error) {
	n, err := a.Named(at, word)
	if err != nil {
		return launch.PinFile{}, err
	}
	named := func(p launch.PinFile) bool { return p.Name == n.Name }
	if n.ByFile {
		beside := server.AbsolutePath(at, strings.TrimSuffix(n.Lock, ".lock"))
		named = func(p launch.PinFile) bool { return p.File == beside+".pins" }
	}
	var found []launch.PinFile
	for _, p := range known {
		if named(p) {
			found = append(found, p)
		}
	}
	own := filepath.Join(at.Config, "profiles", n.Name+".pins")
	if i := slices.IndexFunc(found, func(p launch.PinFile) bool { return p.File == own }); i >= 0 {
		return found[i], nil
	}
	switch len(found) {
	case 0:
		return a.neverRan(at, n, word)
	case 1:
		return found[0], nil
	}
	var paths []string
	for _, p := range found {
		paths = append(paths, strings.TrimSuffix(p.File, ".pins")+".toml")
	}
	return launch.PinFile{}, usage("mcpen review "+paths[0], "%q is the name of several: %s", word, strings.Join(paths, ", "))
}

// neverRan returns the pins of a profile whose server never ran. It names the missing
// condition of a run.
func (a *app) neverRan(at user.Dirs, n server.Named, word string) (launch.PinFile, error) {
	p, err := trust.Named(at, cmp.Or(n.Profile, word))
	if err != nil {
		return launch.PinFile{}, usage("mcpen run "+word, "nothing is known of %q: it never ran", word)
	}
	if err := trust.GateOf(at, p); err != nil {
		a.notYet(err)
	}
	pins := catalog.PinsOf(at, server.AbsolutePath(at, strings.TrimSuffix(n.Lock, ".lock")))
	pins.Name = p.Name
	return pins, nil
}

// reviewer decides about definitions, by flags or by asking.
type reviewer struct {
	app                     *app
	in                      *bufio.Reader
	approve, reject, revoke []string
	all                     bool
	approveAll              bool
	forget                  bool
	named                   map[string]bool // names of flags that something was found for
	mute                    bool            // mcpen asks nobody
	seen                    []reviewed      // the shown definitions
}

// reviewed is one definition that was shown, for a program.
type reviewed struct {
	Server   string                 `json:"server"`
	Kind     definition.Kind        `json:"kind"`
	Name     string                 `json:"name,omitempty"`
	State    definition.State       `json:"state"`
	Old      *definition.Definition `json:"old,omitempty"` // the definition approved, or seen first, before
	New      definition.Definition  `json:"new"`
	Findings []reviewedFinding      `json:"findings,omitempty"`
	Decided  definition.State       `json:"decided,omitempty"` // here and now
}

type reviewedFinding struct {
	Kind     finding.Kind `json:"kind"`
	Severity string       `json:"severity"`
	Why      string       `json:"why"`
	Words    string       `json:"words"`
}

// newReviewed holds the facts of a change that show shows.
func newReviewed(server string, c definition.Change, siblings [][]byte, others []finding.Other) reviewed {
	out := reviewed{Server: server, Kind: c.New.Kind, Name: c.New.Name, State: c.New.State, New: c.New}
	if c.Old.SHA256 != "" {
		out.Old = &c.Old
	}
	raw, err := c.New.Canonical()
	if err != nil {
		return out // show says why
	}
	for _, f := range found(c.New.Kind, raw, siblings, others) {
		out.Findings = append(out.Findings, reviewedFinding{f.Kind, f.Severity.String(), f.Why, f.Words})
	}
	return out
}

// decides reports whether flags decide something.
func (r *reviewer) decides() bool {
	return r.approveAll || r.forget || len(r.approve)+len(r.reject)+len(r.revoke) > 0
}

// each goes through files, and tells the servers that run.
func (r *reviewer) each(at user.Dirs, files []launch.PinFile) error {
	if len(files) == 0 {
		fmt.Fprintln(r.app.out, "nothing waits: no server ran yet")
	}
	for _, f := range files {
		err := trust.ChangeBeside(at, f.File, func() error {
			if !r.forget {
				return r.review(at, f)
			}
			if err := f.Forget(); err != nil {
				return err
			}
			fmt.Fprintf(r.app.out, "%s: forgot everything that was seen and decided\n", f.Name)
			return nil
		})
		if err != nil {
			return err
		}
		r.app.tellRunning(at, f.Name)
	}
	for _, name := range slices.Concat(r.approve, r.reject, r.revoke) {
		if !r.named[name] {
			return usage("mcpen review --all "+files[0].Name, "nothing called %q is there to decide about", name)
		}
	}
	return nil
}

// verdict is a person's verdict on a definition. The zero verdict leaves it waiting.
type verdict byte

const (
	wait verdict = iota
	approve
	reject
)

// review goes through the waiting definitions of one file.
func (r *reviewer) review(at user.Dirs, f launch.PinFile) error {
	pins, err := f.Read()
	if err != nil {
		return err
	}
	if err := r.takeBack(f, pins); err != nil {
		return err
	}
	shown := r.candidates(pins)
	if len(shown) == 0 && len(r.revoke) == 0 {
		fmt.Fprintf(r.app.out, "%s: nothing waits%s\n", f.Name, unreviewed(pins))
		return nil
	}
	others := launch.Others(at.Config, at.State, f.Name)
	siblings := toolsOf(pins)
	decided := map[definition.Definition]verdict{}
	for _, c := range shown {
		if c.New.State == definition.Waiting || r.all {
			r.show(f.Name, c, siblings, others)
		}
		said := newReviewed(f.Name, c, siblings, others)
		if v := r.decide(c.New.Name); v != wait {
			decided[c.New] = v
			said.Decided = map[verdict]definition.State{approve: definition.Approved, reject: definition.Rejected}[v]
		}
		r.seen = append(r.seen, said)
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
			r.did(f, map[verdict]string{approve: "approved", reject: "rejected"}[v], c.New)
		}
	}
	return nil
}

// did reports a decision.
func (r *reviewer) did(f launch.PinFile, what string, d definition.Definition) {
	fmt.Fprintf(r.app.out, "%s: %s %s (%s)\n", f.Name, what, title(d), f.File)
}

// title is the name of a definition in a sentence.
func title(d definition.Definition) string {
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
func (r *reviewer) candidates(pins definition.Pins) []definition.Change {
	var out []definition.Change
	for _, c := range pins.Waiting(true) {
		named := slices.Contains(r.approve, c.New.Name) || slices.Contains(r.reject, c.New.Name)
		if named {
			r.named[c.New.Name] = true
		}
		if c.New.State == definition.Waiting || r.all || r.approveAll || named {
			out = append(out, c)
		}
	}
	// Of one that was seen first and one that waits under the same name, a name on
	// the command line means the latter.
	return slices.DeleteFunc(out, func(c definition.Change) bool {
		return !r.all && c.New.State == definition.Seen && slices.ContainsFunc(out, func(o definition.Change) bool {
			return o.New.State == definition.Waiting && o.New.Kind == c.New.Kind && o.New.Name == c.New.Name
		})
	})
}

// takeBack revokes decisions: approved and rejected definitions wait again.
func (r *reviewer) takeBack(f launch.PinFile, pins definition.Pins) error {
	var back []definition.Definition
	for _, d := range pins.Decided().Definitions {
		if slices.Contains(r.revoke, d.Name) {
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

// decide asks where no flag answers and somebody is there.
func (r *reviewer) decide(name string) verdict {
	switch {
	case slices.Contains(r.reject, name):
		return reject
	case r.approveAll || slices.Contains(r.approve, name):
		return approve
	case r.decides() || r.mute || !r.app.Terminal(r.app.in):
		return wait
	}
	fmt.Fprint(r.app.Err, "approve? [y]es, [n]o, [l]ater: ")
	answer, _ := r.in.ReadString('\n') // no answer is later
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return approve
	case "n", "no":
		return reject
	}
	return wait
}

// show prints one definition: all of it when it is new, the words that changed
// otherwise.
func (r *reviewer) show(server string, c definition.Change, siblings [][]byte, others []finding.Other) {
	out := r.app.out
	what := title(c.New)
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

func indent(out interface{ WriteString(string) (int, error) }, text string) {
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		out.WriteString("    " + audit.Visible(line) + "\n")
	}
}

// tellRunning has the running servers of a name read their pins again.
func (a *app) tellRunning(at user.Dirs, name string) {
	records, err := sandbox.Sessions(at.Runtime)
	if err != nil {
		a.Warn("cannot tell running servers: %v", err)
		return
	}
	for _, r := range records {
		if r.Server == name {
			if err := syscall.Kill(r.PID, launch.Reviewed); err != nil {
				a.Warn("cannot tell process %d: %v", r.PID, err)
			}
		}
	}
}
