package server

import (
	"path/filepath"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Extent says how far a right goes that a person gives. The zero Extent is the least: to
// read a path, to reach a public host by TLS.
type Extent struct {
	Write     bool // a path may be changed
	Unprotect bool // a protected path may be changed
	Socket    bool // a path is a socket, to connect to
	Private   bool // a host may have a private address
	Plain     bool // a host speaks no TLS, or names another server in it
}

// Granted reads a word of a person's as a right: a path, HOST:PORT, a host alone, whose
// grant is that of audit.AllowName, or a word with one of audit.Prefix.
func Granted(at user.Dirs, word string, far Extent) (*audit.Grant, error) {
	bad := func(format string, args ...any) (*audit.Grant, error) {
		return nil, launch.Usage("mcpen allow NAME api.example.com:443, or a path, or env:VARIABLE, or tool:TOOL", format, args...)
	}
	for table, prefix := range audit.Prefix {
		name, ok := strings.CutPrefix(word, prefix)
		switch {
		case !ok:
			continue
		case table == "env":
			if g := audit.AllowVariable(name); g != nil {
				return g, nil
			}
			return bad("cannot allow %q: it is no name of a variable", word)
		}
		if g := audit.AllowNamed(table, name); g != nil {
			return g, nil
		}
		return bad("cannot allow %q: as a pattern it would allow other names, too; write the line by hand", word)
	}
	if strings.ContainsAny(word[:min(1, len(word))], "/~.$") {
		return grantedPath(at, word, far)
	}
	if !strings.Contains(word, ":") && wholefile.Exists(filepath.Join(at.Cwd, word)) {
		return bad("cannot allow %q: a path is absolute, or begins with ./ or ~/", word)
	}
	h, err := policy.ParseHost(word)
	g := audit.AllowRule(h.String())
	if IsName(word) {
		g, err = audit.AllowName(word), nil
	}
	switch {
	case err != nil:
		return bad("cannot allow %q: %v", word, err)
	case far.Private && far.Plain:
		return bad("cannot write --private and --no-tls at once: write the line by hand")
	case far.Private:
		g = g.With("host", "private", true)
	case far.Plain:
		g = g.With("host", "tls", false)
	}
	return g, nil
}

// IsName reports whether a word is the name of a host, in lower case, with a dot and
// without a port.
func IsName(word string) bool {
	h, err := policy.ParseHost(word + ":443")
	return err == nil && h.Kind == policy.HostName && h.Name == word && strings.Contains(word, ".")
}

// grantedPath is the grant of a path: as a profile spells it, or as it is.
func grantedPath(at user.Dirs, word string, far Extent) (*audit.Grant, error) {
	key := "read"
	switch {
	case far.Unprotect:
		key = "unprotect"
	case far.Write:
		key = "write"
	}
	g := &audit.Grant{Table: "filesystem", Key: key, Values: []audit.GrantValue{{Text: word}}}
	socket := far.Socket
	if !strings.HasPrefix(word, "$") && !strings.HasPrefix(word, "~") {
		path := word
		if !filepath.IsAbs(path) {
			path = filepath.Join(at.Cwd, path)
		}
		path = filepath.Clean(path)
		roots := audit.Roots{Home: at.Home} // the workspace is where the server starts, not where a person types
		if g = roots.AllowPath(key, path); g == nil {
			return nil, launch.Usage("rename it", "cannot allow %q: no profile can spell this name", path)
		}
		f := host.Look(path)
		if !f.Exists {
			return nil, launch.Usage(audit.Command("ls", "-ld", "--", filepath.Dir(path)), "cannot allow %q: it does not exist", path)
		}
		socket = socket || f.Socket
	}
	if socket {
		g.Table, g.Key = "sockets", "connect"
	}
	return g, nil
}
