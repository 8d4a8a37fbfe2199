package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
)

func (a *app) allowCommand() *cli.Command {
	return &cli.Command{
		Name: "allow", Usage: "write a right into a server's profile", ArgsUsage: "SERVER HOST[:PORT]|PATH|env:VARIABLE|tool:TOOL…",
		Description: "SERVER is a profile's name or path. Comments and order stay as they are; the lines\n" +
			"that change are shown first. A profile that mcpen carries is extended by one of\nyour own. It holds from the server's next start on.\n" +
			"A host without a port is asked for one at a terminal; elsewhere it is 443, that of HTTPS.",
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
	file, old, err := a.WritableProfile(at, name, c.Bool("repository"))
	if err != nil {
		return err
	}
	p, err := policy.Parse(file, old, catalog.Loader(at))
	if err != nil {
		return err
	}
	text := old
	for _, w := range words {
		g, err := server.Granted(at, w, server.Extent{Write: c.Bool("write"), Unprotect: c.Bool("unprotect"), Socket: c.Bool("socket"), Private: c.Bool("private"), Plain: c.Bool("no-tls")})
		if err != nil {
			return err
		}
		if g, err = a.withPort(g, c.Bool("yes")); err != nil {
			return err
		}
		if given, err := a.given(file, p, *g); err != nil || given {
			if err != nil {
				return err
			}
			continue
		}
		next, err := policy.Insert(text, *g)
		if errors.Is(err, policy.ErrGranted) {
			fmt.Fprintf(a.out, "%s has it already: %s\n", file, already(*g))
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

// already names, for a message, a grant that the profile already has.
func already(g audit.Grant) string {
	if name := g.Secret(); name != "" {
		return "env:" + name
	}
	return g.Line()
}

// given reports whether the profile already allows a listed name, such as a tool's. A
// profile without an allow list allows every name, and a first entry would hide the rest.
func (a *app) given(file string, p *policy.Profile, g audit.Grant) (bool, error) {
	if _, named := audit.Prefix[g.Table]; !named || g.Table == "env" {
		return false, nil
	}
	name := g.Values[0].Text
	switch at, deny, hidden := p.Filter(g.Table).Hides(name); {
	case deny != "":
		return false, usage(fmt.Sprintf("take %q out of %s.deny", deny, g.Table), "cannot allow %q: %s denies %q, and that wins", name, at, deny)
	case hidden:
		return false, nil
	}
	fmt.Fprintf(a.out, "%s lets it pass already: no list of %s says otherwise\n", file, g.Table)
	return true, nil
}

// withPort returns the grant of a host with a port. If the word has no port, it asks the
// person. If it cannot ask, it takes the port of HTTPS and says so.
func (a *app) withPort(g *audit.Grant, yes bool) (*audit.Grant, error) {
	name, bare := g.Name()
	if !bare {
		return g, nil
	}
	port := ""
	if !yes && a.Terminal(a.in) {
		fmt.Fprintf(a.Err, "%s: on which port? [443, HTTPS] ", name)
		port, _ = bufio.NewReader(a.in).ReadString('\n')
		port = strings.TrimSpace(port)
	}
	if port == "" {
		port = "443"
		fmt.Fprintf(a.out, "%s has no port here: 443, that of HTTPS, is taken; any other is named with the host, as %s:8443\n", name, name)
	}
	h, err := policy.ParseHost(name + ":" + port)
	if err != nil {
		return nil, usage("mcpen allow NAME "+name+":443", "cannot allow %q: %v", name+":"+port, err)
	}
	first := g.Values[0]
	first.Text = h.String()
	g.Values = []audit.GrantValue{first}
	return g, nil
}
