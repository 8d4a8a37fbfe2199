package main

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/launch"
	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/guard"
)

func (a *app) reviewCommand() *cli.Command {
	return &cli.Command{
		Name: "review", Usage: "show what servers say that nobody approved, and approve or reject it", ArgsUsage: "[NAME…]",
		Description: "Changes are shown word by word, with what was found in them. At a terminal each\none is asked about; a running server is told at once." + exitStatus,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "approve", Usage: "approve the definition of this `NAME` without asking; may be repeated"},
			&cli.StringSliceFlag{Name: "reject", Usage: "reject the definition of this `NAME` without asking; may be repeated"},
			&cli.BoolFlag{Name: "approve-all", Usage: "approve everything that waits"},
			&cli.BoolFlag{Name: "forget", Usage: "forget everything that was seen and decided"},
		},
		Action: func(c *cli.Context) error {
			at, err := a.place()
			if err != nil {
				return err
			}
			names := c.Args().Slice()
			if len(names) == 0 && (c.Bool("forget") || c.Bool("approve-all")) {
				return usage("mcpen review --approve-all NAME", "name the server")
			}
			files, err := a.pinFiles(at, names)
			if err != nil {
				return err
			}
			r := reviewer{app: a, in: bufio.NewReader(a.in), approve: c.StringSlice("approve"), reject: c.StringSlice("reject"), all: c.Bool("approve-all")}
			for _, f := range files {
				err := a.keepTrustBeside(at, f.File, func() error {
					if c.Bool("forget") {
						return f.Forget()
					}
					return r.review(at, f)
				})
				if err != nil {
					return err
				}
				a.tellRunning(at, f.Name)
			}
			return nil
		},
	}
}

// pinFiles are the files of the servers that were named, or all.
func (a *app) pinFiles(at place, names []string) ([]launch.PinFile, error) {
	var out []launch.PinFile
	for _, p := range launch.PinFiles(at.config, at.state) {
		if len(names) == 0 || slices.Contains(names, p.Name) {
			out = append(out, p)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(out, func(p launch.PinFile) bool { return p.Name == n }) {
			return nil, usage("mcpen run "+n, "nothing is known of %q: it never ran", n)
		}
	}
	return out, nil
}

// reviewer decides about definitions, by flags or by asking.
type reviewer struct {
	app     *app
	in      *bufio.Reader
	approve []string
	reject  []string
	all     bool
}

// verdict is what a person says of a definition. The zero verdict leaves it
// waiting.
type verdict byte

const (
	wait verdict = iota
	approve
	reject
)

// review goes through what waits in one file.
func (r *reviewer) review(at place, f launch.PinFile) error {
	pins, err := f.Read()
	if err != nil {
		return err
	}
	waiting := pins.Waiting()
	if len(waiting) == 0 {
		fmt.Fprintf(r.app.out, "%s: nothing waits\n", f.Name)
		return nil
	}
	others := launch.Others(at.config, at.state, f.Name)
	decided := map[string]verdict{}
	for _, c := range waiting {
		r.show(f.Name, c, others)
		if v := r.decide(c.New.Name); v != wait {
			decided[string(c.New.Kind)+"\x00"+c.New.Name+"\x00"+c.New.SHA256] = v
		}
	}
	if len(decided) == 0 {
		return nil
	}
	return f.Change(func(p guard.Pins) guard.Pins {
		for _, c := range waiting {
			switch decided[string(c.New.Kind)+"\x00"+c.New.Name+"\x00"+c.New.SHA256] {
			case approve:
				p = p.Approve(c.New)
			case reject:
				p = p.Reject(c.New)
			}
		}
		return p
	})
}

// decide asks where no flag answers and somebody is there.
func (r *reviewer) decide(name string) verdict {
	switch {
	case slices.Contains(r.reject, name):
		return reject
	case r.all || slices.Contains(r.approve, name):
		return approve
	case !r.app.terminal(r.app.in):
		return wait
	}
	fmt.Fprint(r.app.err, "approve? [y]es, [n]o, [l]ater: ")
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
func (r *reviewer) show(server string, c guard.Change, others []guard.Other) {
	out := r.app.out
	what := strings.TrimSpace(string(c.New.Kind) + " " + audit.Visible(c.New.Name))
	switch {
	case c.Old.SHA256 == "":
		fmt.Fprintf(out, "\n%s: new %s\n", server, what)
		indent(out, c.New.Lines())
	case c.Renamed:
		fmt.Fprintf(out, "\n%s: %s was approved as %s and is the same but for its name\n", server, what, audit.Visible(c.Old.Name))
	default:
		fmt.Fprintf(out, "\n%s: %s changed since it was approved\n", server, what)
		var b strings.Builder
		for _, e := range guard.Diff(c.Old.Lines(), c.New.Lines()) {
			switch e.Op {
			case guard.Removed:
				b.WriteString("[-" + e.Text + "-]")
			case guard.Added:
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
	for _, f := range guard.Scan(c.New.Kind, raw, others...) {
		fmt.Fprintf(out, "  finding (%s): %s: %s: %q\n", f.Severity, f.Kind, f.Why, audit.Visible(f.Words))
	}
}

func indent(out interface{ WriteString(string) (int, error) }, text string) {
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		out.WriteString("    " + audit.Visible(line) + "\n")
	}
}

// tellRunning has the running servers of a name read their pins again.
func (a *app) tellRunning(at place, name string) {
	records, err := sandbox.Sessions(at.runtime)
	if err != nil {
		a.warn("cannot tell running servers: %v", err)
		return
	}
	for _, r := range records {
		if r.Server == name {
			if err := syscall.Kill(r.PID, launch.Reviewed); err != nil {
				a.warn("cannot tell process %d: %v", r.PID, err)
			}
		}
	}
}
