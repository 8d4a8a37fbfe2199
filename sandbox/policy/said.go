package policy

import "slices"

// Said is one setting of a profile as written, before substitution.
type Said struct {
	Key  string // "filesystem.read", "env.secret.TOKEN"
	Text string
	At   Pos
	// Insists is set for a socket that is the host itself and that the profile wants
	// nevertheless.
	Insists bool
}

// Said lists the requests of the profile, with the extended ones folded in: the
// command, files, hosts, sockets, variables and layers to go without. It is for
// decisions about a profile before any part of it is resolved.
func (p *Profile) Said() []Said {
	b := p.body
	var out []Said
	add := func(key string, words ...word) {
		for _, w := range words {
			out = append(out, Said{Key: key, Text: w.text, At: w.at})
		}
	}
	add("server.command", b.command.items...)
	add("server.package", b.pkg.word()...)
	add("server.args", b.args.items...)
	add("server.dir", b.dir.word()...)
	for _, v := range b.env {
		add("env."+string(v.kind)+"."+v.name, v.value)
	}
	for _, q := range p.Params {
		if q.Env != "" {
			add("params."+q.Name+".env", word{q.Env, "", q.At})
		}
	}
	add("filesystem.write", b.write.items...)
	add("filesystem.unprotect", b.unprotect.items...)
	add("filesystem.read", b.read.items...)
	add("filesystem.deny", b.deny.items...)
	for _, h := range b.allow.items {
		add("network.allow", h.word)
	}
	for _, s := range b.connect.items {
		out = append(out, Said{Key: "sockets.connect", Text: s.text, At: s.at, Insists: s.override.v != ""})
	}
	add("install.scripts", b.scripts.items...)
	add("install.build", b.build.items...)
	for _, l := range b.without.items {
		out = append(out, Said{Key: "require.without", Text: string(l.v), At: l.at})
	}
	return slices.Clip(out)
}

// word returns a text setting as a list of at most one word.
func (o opt[T]) word() []word {
	if text, ok := any(o.v).(string); ok && o.set {
		return []word{{text, o.key, o.at}}
	}
	return nil
}

// Asks reports whether a parameter, or a builtin such as "workspace", appears in any
// request of the profile.
func (p *Profile) Asks(name string) bool {
	return slices.ContainsFunc(p.Said(), func(s Said) bool {
		segs, err := segments(s.Text)
		return err != nil || slices.ContainsFunc(segs, func(seg segment) bool { return seg.name == name })
	})
}
