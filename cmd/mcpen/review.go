package main

import (
	"bufio"
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/document"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/review"
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
			r := review.Reviewer{Out: a.out, Err: a.Err, Tell: func(server string) { a.tellRunning(at, server) }, Approve: c.StringSlice("approve"), Reject: c.StringSlice("reject"), Revoke: c.StringSlice("revoke"),
				All: c.Bool("all"), ApproveAll: c.Bool("approve-all"), Forget: c.Bool("forget"), Seen: []review.Definition{}}
			if !c.Bool("json") && a.Terminal(a.in) {
				r.In = bufio.NewReader(a.in)
			}
			names := c.Args().Slice()
			if len(names) == 0 && r.Decides() {
				return usage("mcpen review --approve-all NAME", "name the server")
			}
			files, err := a.pinFiles(at, names)
			if err != nil {
				return err
			}
			err = r.Each(at, files)
			if c.Bool("json") {
				err = errors.Join(err, document.WriteJSON(out, r.Seen))
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

// pinFile returns the pin file of the server that word names, directly or by its profile.
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
