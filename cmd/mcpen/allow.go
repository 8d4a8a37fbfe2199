package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

func (a *app) allowCommand() *cli.Command {
	return &cli.Command{
		Name: "allow", Usage: "write a right into a server's profile", ArgsUsage: "SERVER HOST:PORT|PATH|env:VARIABLE…",
		Description: "SERVER is a profile's name or path. Comments and order stay as they are; the lines\n" +
			"that change are shown first. A profile that mcpen carries is extended by one of\nyour own. It holds from the server's next start on.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "write", Usage: "the server may change the path, too"},
			&cli.BoolFlag{Name: "unprotect", Usage: "the server may change a path that is protected although it lies in a folder it writes"},
			&cli.BoolFlag{Name: "socket", Usage: "the server may connect to the socket of that path"},
			&cli.BoolFlag{Name: "private", Usage: "the host may have a private address"},
			&cli.BoolFlag{Name: "no-tls", Usage: "the host speaks no TLS, or names another server in it"},
			&cli.BoolFlag{Name: "repository", Usage: "change a profile that others share, too: everybody is asked to trust it again"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
		},
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			if len(words) < 2 {
				return usage("mcpen allow NAME api.example.com:443", "want a server and what it may have")
			}
			return a.allow(words[0], words[1:], c)
		},
	}
}

// allow adds the rights that the words name to a server's profile.
func (a *app) allow(name string, words []string, c *cli.Context) error {
	at, err := a.Dirs()
	if err != nil {
		return err
	}
	file, old, err := a.writableProfile(at, name, c.Bool("repository"))
	if err != nil {
		return err
	}
	text := old
	for _, w := range words {
		g, err := a.granted(at, w, c)
		if err != nil {
			return err
		}
		next, err := policy.Insert(text, *g)
		if errors.Is(err, policy.ErrGranted) {
			fmt.Fprintf(a.out, "%s has it already: %s\n", file, g.Line())
			continue
		}
		if err != nil {
			return usage("add these lines by hand:\n"+g.TOML(), "%s: %v", file, err)
		}
		text = next
	}
	if string(text) == string(old) {
		return nil
	}
	if _, err := policy.Parse(file, text, catalog.Loader(at)); err != nil {
		return err
	}
	return a.writeProfile(file, old, text, c)
}

// writeProfile shows the lines that change, asks the person, and writes the file. It
// refuses where the file changed meanwhile.
func (a *app) writeProfile(file string, old, text []byte, c *cli.Context) error {
	fmt.Fprintln(a.out, file)
	for _, line := range policy.Changed(old, text) {
		fmt.Fprintln(a.out, audit.Visible(line))
	}
	if !c.Bool("yes") {
		if !a.Terminal(a.in) {
			again := []string{"mcpen", c.Command.Name, "--yes"}
			for _, f := range c.Command.Flags {
				name := f.Names()[0]
				if _, word := f.(*cli.StringFlag); word && c.String(name) != "" {
					again = append(again, "--"+name, c.String(name))
				}
				if name != "yes" && c.Bool(name) {
					again = append(again, "--"+name)
				}
			}
			return usage(audit.Command(append(again, c.Args().Slice()...)...), "nothing was changed: there is nobody to ask")
		}
		if !a.yes("write it?") {
			return &launch.Error{Code: 1, Err: errors.New("nothing was changed")}
		}
	}
	now, err := wholefile.Read(file, policy.MaxFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && string(now) != string(old) || err != nil && len(old) > 0 && wholefile.Exists(file) {
		return usage(audit.Command(append([]string{"mcpen", c.Command.Name}, c.Args().Slice()...)...), "nothing was changed: %s was written meanwhile", file)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("cannot write %q: %w", file, err)
	}
	if err := wholefile.Replace(file, text, 0o644); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "written; it holds from the next start on")
	return nil
}

// writableProfile is the file of a server's profile and its text. For a profile
// that mcpen carries it is a new one that extends it.
func (a *app) writableProfile(at user.Dirs, word string, shared bool) (string, []byte, error) {
	n, err := a.Named(at, word)
	if err != nil {
		return "", nil, err
	}
	name := cmp.Or(n.Profile, word)
	file, data, err := catalog.Loader(at)(name, "")
	switch {
	case err != nil && n.Name != word && n.Profile == "":
		return "", nil, usage("mcpen add "+word, "%s has no profile yet", word)
	case err != nil:
		return "", nil, catalog.NoProfile(at, name, err)
	}
	if profiles.Ships(file) {
		own := filepath.Join(at.Config, "profiles", name+".toml")
		return own, fmt.Appendf(nil, "version = 1\nname = %q\nextends = [%q]\n", name, name), nil
	}
	if why := origin.Foreign(at, file); why != "" && !shared {
		return "", nil, &launch.Error{Code: exitRefused, Err: fmt.Errorf("%q is not yours alone: %s", file, why),
			Hint: "add --repository, which asks everybody who has it to trust it again"}
	}
	return origin.RealFile(at, file), data, nil
}

// granted reads one word of the command line.
func (a *app) granted(at user.Dirs, word string, c *cli.Context) (*audit.Grant, error) {
	bad := func(format string, args ...any) (*audit.Grant, error) {
		return nil, usage("mcpen allow NAME api.example.com:443, or a path, or env:VARIABLE", format, args...)
	}
	if name, ok := strings.CutPrefix(word, "env:"); ok {
		if name == "" || strings.ContainsAny(name, "= \t\n\"") {
			return bad("cannot allow %q: it is no name of a variable", word)
		}
		return &audit.Grant{Table: "env", Key: "pass", Values: []audit.GrantValue{{Text: name}}}, nil
	}
	if strings.ContainsAny(word[:min(1, len(word))], "/~.$") {
		return a.grantedPath(at, word, c)
	}
	h, err := policy.ParseHost(word)
	if err != nil {
		if !strings.Contains(word, ":") && wholefile.Exists(filepath.Join(at.Cwd, word)) {
			return bad("cannot allow %q: a path is absolute, or begins with ./ or ~/", word)
		}
		return bad("cannot allow %q: %v", word, err)
	}
	g := audit.AllowRule(h.String())
	switch {
	case c.Bool("private") && c.Bool("no-tls"):
		return bad("cannot write --private and --no-tls at once: write the line by hand")
	case c.Bool("private"):
		g = g.With("host", "private", true)
	case c.Bool("no-tls"):
		g = g.With("host", "tls", false)
	}
	return g, nil
}

// grantedPath is the grant of a path: as a profile spells it, or as it is.
func (a *app) grantedPath(at user.Dirs, word string, c *cli.Context) (*audit.Grant, error) {
	key := "read"
	switch {
	case c.Bool("unprotect"):
		key = "unprotect"
	case c.Bool("write"):
		key = "write"
	}
	g := &audit.Grant{Table: "filesystem", Key: key, Values: []audit.GrantValue{{Text: word}}}
	socket := c.Bool("socket")
	if !strings.HasPrefix(word, "$") && !strings.HasPrefix(word, "~") {
		path := word
		if !filepath.IsAbs(path) {
			path = filepath.Join(at.Cwd, path)
		}
		path = filepath.Clean(path)
		roots := audit.Roots{Home: at.Home} // the workspace is where the server starts, not where a person types
		if g = roots.AllowPath(key, path); g == nil {
			return nil, usage("rename it", "cannot allow %q: no profile can spell this name", path)
		}
		f := host.Look(path)
		if !f.Exists {
			return nil, usage(audit.Command("ls", "-ld", "--", filepath.Dir(path)), "cannot allow %q: it does not exist", path)
		}
		socket = socket || f.Socket
	}
	if socket {
		g.Table, g.Key = "sockets", "connect"
	}
	return g, nil
}
