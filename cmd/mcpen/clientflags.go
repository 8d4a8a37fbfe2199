package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/clients"
	"mcpen/cmd/mcpen/wrapping"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// wrapFlags are those of wrap, unwrap and clients.
func wrapFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{Name: "client", Usage: "only the files of the client `NAME`; may be repeated"},
		&cli.StringSliceFlag{Name: "server", Usage: "only the server `NAME`; may be repeated"},
		&cli.BoolFlag{Name: "project", Usage: "the files of the repository in which mcpen was started, too: they are everybody's who works on it"},
		&cli.BoolFlag{Name: "json", Usage: "print JSON"},
	}, more...)
}

// changeFlags are those of wrap and unwrap.
func changeFlags(more ...cli.Flag) []cli.Flag {
	return wrapFlags(append([]cli.Flag{
		&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
		&cli.BoolFlag{Name: "dry-run", Usage: "print what would change as a diff, and change nothing"},
	}, more...)...)
}

// files finds the files that a command line means.
func (a *app) files(c *cli.Context, at user.Dirs) (*wrapping.Target, error) {
	t := &wrapping.Target{At: at, Servers: c.StringSlice("server"), JSON: c.Bool("json")}
	names := c.StringSlice("client")
	for _, n := range names {
		if _, err := clients.Named(n); err != nil {
			return nil, usage("mcpen "+c.Command.Name+" --client "+nearest(n, clients.Names()), "%v", err)
		}
	}
	roots := a.roots(at)
	if c.Bool("project") {
		roots.Project = at.Cwd
	}
	if c.NArg() == 0 {
		t.Places = clients.Places(roots, names)
		return t, nil
	}
	for _, path := range c.Args().Slice() {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			hint := "mcpen clients"
			if !strings.ContainsAny(path, "/.") {
				hint = "mcpen " + c.Command.Name + " --server " + audit.Command(path)
			}
			return nil, usage(hint, "cannot look at %q: %v", path, errors.Unwrap(err))
		case info.IsDir():
			t.Places = append(t.Places, clients.Places(clients.Roots{Project: server.AbsolutePath(at, path)}, names)...)
		default:
			p, err := clients.At(path)
			if err != nil {
				return nil, usage("mcpen clients", "%v", err)
			}
			t.Places = append(t.Places, p)
		}
	}
	return t, nil
}

// roots are where the clients of this environment look.
func (a *app) roots(at user.Dirs) clients.Roots {
	config := user.Absolute(a.Getenv("XDG_CONFIG_HOME"))
	if config == "" && at.Home != "" {
		config = filepath.Join(at.Home, ".config")
	}
	if own := host.PasswdHome(passwd, os.Getuid()); own != "" && own != at.Home {
		fmt.Fprintf(a.Err, "mcpen: note: HOME is %s, and your account's home is %s: clients' files are looked for in the first\n", audit.Visible(at.Home), audit.Visible(own))
	}
	return clients.Roots{Home: at.Home, Config: config, Env: a.Getenv}
}

// nearest is the name that was meant, or NAME where none is like it.
func nearest(name string, names []string) string {
	for _, n := range names {
		if name != "" && (strings.Contains(n, name) || strings.Contains(name, n)) || policy.DidYouMean(name, []string{n}) != "" {
			return n
		}
	}
	return "NAME"
}
