package draft

import (
	"fmt"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/pack"
)

// Described is the beginning of a profile, from a description. It has no file and no
// host: neither format names a server's needs of those.
func Described(name, ref string, d pack.Draft) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "version = 1\nname = %s\n", Quote(name))
	if d.Description != "" {
		fmt.Fprintf(&b, "description = %s\n", Quote(d.Description))
	}
	for _, p := range d.Params {
		kind := p.Type
		if kind == "path" {
			kind = "directory"
		}
		fmt.Fprintf(&b, "\n[params.%s]\ntype = %s\n", p.Name, Quote(kind))
		if p.Description != "" {
			fmt.Fprintf(&b, "description = %s\n", Quote(p.Description))
		}
		if p.Default != "" && kind != "secret" {
			fmt.Fprintf(&b, "default = %s\n", Quote(p.Default))
		}
	}
	args := make([]string, len(d.Args))
	for i, arg := range d.Args {
		args[i] = Quote(arg)
	}
	fmt.Fprintf(&b, "\n[server]\npackage = %s\nargs = [%s]\n", Quote(ref), strings.Join(args, ", "))
	for _, secret := range []bool{false, true} {
		table := map[bool]string{false: "env.set", true: "env.secret"}[secret]
		for _, e := range d.Env {
			if e.Secret == secret {
				if table != "" {
					fmt.Fprintf(&b, "\n[%s]\n", table)
					table = ""
				}
				fmt.Fprintf(&b, "%s = %s\n", e.Name, Quote(e.Value))
			}
		}
	}
	return []byte(b.String())
}

// Quote is a TOML string. It makes invisible characters visible: a stranger wrote
// them.
func Quote(s string) string { return audit.TOMLString(audit.Visible(s)) }
