package plan

import (
	"path"
	"slices"

	"mcpen/sandbox/policy"
)

// Ask is a path whose facts Compile needs.
type Ask struct {
	Path     string
	Writable bool // the protected places below it are wanted too
}

// Asks lists the paths for which Compile(pol, prog, h) will read h.Paths. own are the
// directories that hold mcpen's own files: h.State, h.Config, h.Runtime and those of
// h.Login. If a symlink leads to one of them and own leaves it out, Compile refuses
// that directory by its name only.
//
// The caller must add a fact for every place in the Below of another fact, keyed by its
// full path.
func Asks(pol policy.Policy, prog Program, home string, own ...string) []Ask {
	var asks []Ask
	ask := func(paths ...string) {
		for _, p := range paths {
			asks = append(asks, Ask{Path: p})
		}
	}
	for _, s := range system {
		ask(s.path)
	}
	for _, dir := range append([]string{home}, own...) {
		if path.IsAbs(dir) {
			ask(upwards(dir)...)
		}
	}
	if path.IsAbs(prog.Path) {
		ask(prog.Path)
	}
	for _, n := range prog.Needs {
		ask(n.Path)
		ask(n.Led...)
	}
	if pol.Server.Dir != "" {
		ask(pol.Server.Dir)
	}
	for _, r := range pol.Filesystem.Read {
		ask(r.Path)
	}
	for _, r := range pol.Filesystem.Write {
		asks = append(asks, Ask{Path: r.Path, Writable: true})
		for _, tail := range tails("") {
			ask(path.Join(r.Path, tail))
		}
	}
	for _, r := range pol.Filesystem.Deny {
		ask(upwards(r.Path)...)
	}
	for _, r := range pol.Filesystem.Unprotect {
		ask(upwards(path.Dir(r.Path))...)
	}
	for _, s := range pol.Sockets {
		ask(s.Path)
		ask(upwards(path.Dir(s.Path))...)
	}
	for _, s := range pol.Env.Secret {
		if file, ok := SecretFile(s.From); ok {
			ask(file)
		}
	}
	for _, b := range pol.Bounds {
		ask(boundPaths(b)...)
	}
	return asks
}

// boundPaths lists the paths of a baseline and their parents.
func boundPaths(b policy.Bounds) []string {
	var out []string
	for _, r := range slices.Concat(b.Read, b.Write, socketPaths(b.Connect)) {
		out = append(out, upwards(r.Path)...)
	}
	for _, u := range b.Unprotect {
		out = append(out, upwards(path.Dir(u.Path))...)
	}
	return out
}

// upwards lists a path and its parents. If the path does not exist yet, the deepest
// existing parent decides where it will lie.
func upwards(p string) []string {
	var out []string
	for p = path.Clean(p); p != "/" && p != "."; p = path.Dir(p) {
		out = append(out, p)
	}
	return out
}

// EnvNames lists the variables that the policy passes on from mcpen's own environment.
// The caller fills h.Env with those that are set.
func EnvNames(pol policy.Policy) []string {
	names := make([]string, len(pol.Env.Pass))
	for i, e := range pol.Env.Pass {
		names[i] = e.Name
	}
	return names
}
