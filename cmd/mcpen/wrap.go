package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/clients"
	"mcpen/cmd/mcpen/wrapping"
)

func (a *app) wrapCommand() *cli.Command {
	return &cli.Command{
		Name: "wrap", Usage: "put the servers of your clients into their pens", ArgsUsage: "[PATH…]",
		Description: "Finds the servers in the configurations of MCP clients, shows what each would be able to\n" +
			"do, asks, installs what is a package, and puts mcpen in front of their commands. Nothing\n" +
			"else of a file changes, and unwrap gives the same bytes back. PATH is one file, or the\n" +
			"folder of a repository, instead of your own files.\n\n" +
			"What is proposed is one of\n" +
			"  library  there is a profile for the package\n" +
			"  lock     the package is given nothing, and nothing says that it needs anything\n" +
			"  try      nobody knows what it needs: mcpen try looks. --all wraps it all the same, with no file and no host\n\n" +
			"Clients: " + strings.Join(clients.Names(), ", ") + ".",
		Flags: changeFlags(
			&cli.BoolFlag{Name: "all", Usage: "also the servers of which nobody knows what they need"},
			&cli.StringFlag{Name: "secrets", Value: wrapping.InFile, Usage: "`WHERE` the secrets of the entries are kept: in the file (keep), or in your keyring (keyring), from where unwrap gives them back"},
			&cli.BoolFlag{Name: "no-install", Usage: "install nothing: the first start of a package does"},
			setFlag(),
		),
		Action: func(c *cli.Context) error { return a.wrap(c) },
	}
}

// nothingToChange is the note of a --dry-run without a diff. It goes to stderr, because
// stdout is the diff's.
const nothingToChange = "mcpen: note: nothing would change"

func (a *app) wrap(c *cli.Context) error {
	at, err := a.DirsToRun()
	if err != nil {
		return err
	}
	t, err := a.files(c, at)
	if err != nil {
		return err
	}
	params, err := parameters(c.StringSlice("set"))
	if err != nil {
		return err
	}
	if len(params) > 0 && len(t.Servers) == 0 {
		return usage("mcpen wrap --server NAME --set name=value", "--set needs --server: parameters are those of one server's profile")
	}
	mcpen, err := a.self()
	if err != nil {
		return err
	}
	where := c.String("secrets")
	if where != wrapping.InFile && where != wrapping.InKeyring {
		return usage("mcpen wrap --secrets keyring", "--secrets is %q: it is neither keep nor keyring", where)
	}
	all := wrapping.Proposals(&a.Caller, t, params)
	w := wrapping.Run{Keyring: where == wrapping.InKeyring, Caller: &a.Caller, Out: a.out, Target: t, Mcpen: mcpen, All: all, Every: c.Bool("all"), Install: !c.Bool("no-install"), Set: params}
	w.NoteMoves()
	switch {
	case c.Bool("dry-run"):
		if w.Count() == 0 {
			fmt.Fprintln(a.Err, nothingToChange)
		}
		return w.Diff()
	case t.JSON && !c.Bool("yes"):
		return w.JSON()
	}
	if !t.JSON {
		w.Table()
	}
	if w.Count() == 0 {
		return w.Nothing()
	}
	if !c.Bool("yes") {
		switch agreed, err := a.agreedTo(w.Question(), "mcpen wrap --yes"); {
		case err != nil:
			return err
		case !agreed:
			return nil
		}
	}
	return w.Do(c.Context)
}
