package draft

import (
	"fmt"
	"strings"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/server"
)

// Profile holds the program that a new profile starts and the profiles that it
// extends.
type Profile struct {
	Name    string
	Package string // as npm:NAME or pypi:NAME; "": a command, or what it extends
	Command []string
	Extends []string
}

// Complete chooses the profile to extend if the person named none: the one that mcpen
// carries for the package or of its name, and else the one for servers of its language.
func (p *Profile) Complete() error {
	if p.Package != "" && len(p.Command) > 0 {
		return launch.Usage("mcpen profile new "+p.Name+" -- COMMAND", "a server is a package or a command")
	}
	if p.Package == "" && len(p.Command) == 0 {
		if _, ok := profiles.Read(p.Name); !ok && len(p.Extends) == 0 {
			return launch.Usage("mcpen profile new "+p.Name+" --package npm:NAME", "%q is to start something: a package, a command, or a profile that it extends", p.Name)
		} else if len(p.Extends) == 0 {
			p.Extends = []string{p.Name}
		}
	}
	if p.Package == "" || len(p.Extends) > 0 {
		return nil
	}
	ref, err := pack.ParseRef(p.Package)
	if err != nil {
		return &launch.Error{Code: launch.ExitUsage, Err: err, Hint: "npm:NAME or pypi:NAME"}
	}
	p.Package = server.Bare(ref)
	p.Extends = []string{map[pack.Ecosystem]string{pack.NPM: "node", pack.PyPI: "python"}[ref.Ecosystem]}
	if ships, ok := profiles.For(p.Package); ok {
		p.Extends, p.Package = []string{ships}, ""
	}
	return nil
}

// Text is the text of the profile, with possible additions as comments.
func (p Profile) Text() []byte {
	var b strings.Builder
	list := func(words []string) string {
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = audit.TOMLString(w)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	fmt.Fprintf(&b, "version = 1\nname = %s\n", audit.TOMLString(p.Name))
	if len(p.Extends) > 0 {
		fmt.Fprintf(&b, "extends = %s\n", list(p.Extends))
	}
	switch {
	case p.Package != "":
		fmt.Fprintf(&b, "\n[server]\npackage = %s\n", audit.TOMLString(p.Package))
	case len(p.Command) > 0:
		fmt.Fprintf(&b, "\n[server]\ncommand = %s\n", list(p.Command))
	}
	b.WriteString(`
# What the server may do. What is not written here, or in what it extends, it may not.

# [filesystem]
# read = ["${workspace}"]
# write = ["${state}"]

# [network]
# allow = ["api.example.com:443"]

# [env.secret]
# API_KEY = "env:API_KEY"
`)
	return []byte(b.String())
}
