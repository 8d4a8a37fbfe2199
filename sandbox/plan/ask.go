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

// Asks lists the paths of which Compile(pol, prog, h) will read h.Paths. own are
// the directories that mcpen keeps its own files in: h.State, h.Config and
// h.Runtime, and those of h.Login. Where one of them is reached through a symlink and is left out
// here, it is refused by its name only.
//
// Whoever answers adds a fact for every place that is in the Below of another,
// by its full path.
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

// boundPaths are the paths of a baseline, and what they lie in.
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

// upwards lists a path and what it lies in: the deepest that exists tells what
// the path is once it does, too.
func upwards(p string) []string {
	var out []string
	for p = path.Clean(p); p != "/" && p != "."; p = path.Dir(p) {
		out = append(out, p)
	}
	return out
}

// EnvNames lists the variables of mcpen's own environment that the policy
// passes on: what h.Env should hold where they are set.
func EnvNames(pol policy.Policy) []string {
	names := make([]string, len(pol.Env.Pass))
	for i, e := range pol.Env.Pass {
		names[i] = e.Name
	}
	return names
}
