package policy

import (
	"path"
	"slices"
	"strings"
	"unicode"
)

// ban is a place that no profile may grant.
type ban struct {
	path  string
	read  bool // refused even for reading
	below bool // and everything below it is refused for writing
	why   string
}

// bans lists the bans. A read-only mount does not stop connect(2), so reading a folder
// of sockets is as bad as writing to it.
var bans = []ban{
	{"/", true, false, "the whole machine"},
	{"/etc", false, true, "the machine's own configuration"},
	{"/usr", false, true, "the machine's own programs"},
	{"/bin", false, true, "the machine's own programs"},
	{"/sbin", false, true, "the machine's own programs"},
	{"/lib", false, true, "the machine's own programs"},
	{"/lib64", false, true, "the machine's own programs"},
	{"/boot", false, true, "the machine's own kernel"},
	{"/proc", true, true, "the server has a /proc of its own"},
	{"/sys", true, true, "the kernel's own settings"},
	{"/dev", true, true, "the machine's devices"},
	{"/run", true, true, "sockets of the machine's services, which a read-only mount does not stop; see [sockets]"},
	{"/var", false, false, "the machine's own state"},
	{"/var/run", true, true, "sockets of the machine's services, which a read-only mount does not stop; see [sockets]"},
	{"/run/user", true, true, "sockets of the session, which a read-only mount does not stop; see [sockets]"},
	{"/var/run/user", true, true, "sockets of the session, which a read-only mount does not stop; see [sockets]"},
	{"/tmp", true, false, "sockets and files of other programs; the server has a /tmp of its own"},
	{"/var/tmp", true, false, "files of other programs; the server has a /tmp of its own"},
}

// home replaces a leading "~".
func (r *resolver) home(s string) (string, error) {
	rest, ok := strings.CutPrefix(s, "~")
	switch {
	case !ok:
		return s, nil
	case rest != "" && rest[0] != '/':
		return "", faultf("", "%s is another user's home (want ~/)", quote(s))
	case !path.IsAbs(r.in.Home):
		return "", faultf("", "%s: no home directory is known", quote(s))
	}
	return r.in.Home + rest, nil
}

// pathText refuses text that cannot be a path rule.
func pathText(s string) error {
	switch {
	case s == "":
		return faultf("", "is an empty path")
	case len(s) > 4095: // PATH_MAX, limits.h, less the NUL
		return faultf("", "%s is longer than a path can be", quote(s))
	case strings.ContainsFunc(s, unicode.IsControl):
		return faultf("", "%s has a control character in it", quote(s))
	}
	return nil
}

// path makes one path rule from one substituted word.
func (r *resolver) path(w word) (Path, bool) {
	text, optional := strings.CutPrefix(w.text, "?")
	p, err := r.home(text)
	if err == nil {
		err = pathText(p)
	}
	if err == nil && !path.IsAbs(p) {
		err = faultf("${workspace}/"+path.Clean(p), "%s is relative (want an absolute path, or one from ~/)", quote(text))
	}
	if err != nil {
		r.fault(w.at, w.key, err)
		return Path{}, false
	}
	return Path{Path: path.Clean(p), Optional: optional, At: w.at}, true
}

// paths makes the rules of one list, each path once.
func (r *resolver) paths(l list[word], check func(string) error) []Path {
	return r.literal(r.noPatterns(l.items, "*?["), check)
}

// places makes rules for paths in which "*" matches any run of characters of an
// element, and "**" any run of elements.
func (r *resolver) places(l list[word]) []Path {
	return r.literal(r.noPatterns(l.items, "?["), func(string) error { return nil })
}

// literal makes path rules from words, each path once.
func (r *resolver) literal(words []word, check func(string) error) []Path {
	var out []Path
	seen := make(map[string]int)
	for _, w := range r.list(words, inPath) {
		p, ok := r.path(w)
		if !ok {
			continue
		}
		if err := check(p.Path); err != nil {
			r.fault(w.at, w.key, err)
			continue
		}
		if i, again := seen[p.Path]; again {
			out[i].Optional = out[i].Optional && p.Optional
			continue
		}
		seen[p.Path] = len(out)
		out = append(out, p)
	}
	return out
}

// noPatterns refuses words with one of the wild characters, which look like patterns: a
// rule grants or hides a folder with everything in it. A parameter's value is a name
// and may contain them.
func (r *resolver) noPatterns(words []word, wild string) []word {
	var out []word
	for _, w := range words {
		segs, err := segments(strings.TrimPrefix(w.text, "?"))
		if err == nil && slices.ContainsFunc(segs, func(s segment) bool { return strings.ContainsAny(s.text, wild) }) {
			r.add(w.at, w.key, "name the folder, or the file, itself", "%s has a \"*\", \"?\" or \"[\" in it, and a path is no pattern", quote(w.text))
			continue
		}
		out = append(out, w)
	}
	return out
}

// Refuse returns the reason why the profile with that name may not get a clean,
// absolute path; nil if it may. Resolve checks every path as written. Whoever follows
// symlinks must check their targets as well, since a project can choose them.
func (in Input) Refuse(profile, path string, write bool) error {
	r := &resolver{in: in, name: profile}
	return r.refuse(path, write)
}

func (r *resolver) readable(p string) error { return r.refuse(p, false) }
func (r *resolver) writable(p string) error { return r.refuse(p, true) }

// refuse returns the reason why a path may not be granted. It checks only names;
// whoever follows a symlink checks its target.
func (r *resolver) refuse(p string, write bool) error {
	verb := "read"
	if write {
		verb = "write"
	}
	for _, b := range bans {
		if p == b.path && (write || b.read) {
			return faultf("", "cannot %s %s: %s", verb, quote(p), b.why)
		}
		if b.below && within(p, b.path) && (write || b.path == "/proc") {
			return faultf("", "cannot %s %s: %s", verb, quote(p), b.why)
		}
	}
	for _, runtime := range []string{"/run/user", "/var/run/user"} {
		if path.Dir(p) == runtime {
			return faultf("", "cannot %s %s: sockets of the session, which a read-only mount does not stop; see [sockets]", verb, quote(p))
		}
	}
	if why, isHost := HostSocket(p); isHost && (path.Ext(p) == ".sock" || within(p, "/run") || within(p, "/var/run") || within(p, "/tmp")) {
		return faultf("", "cannot %s %s: %s; see [sockets]", verb, quote(p), why)
	}
	for _, home := range []string{r.in.Home, r.in.Login.Home} {
		if path.IsAbs(home) && within(path.Clean(home), p) {
			return faultf("", "cannot %s %s: a whole home directory, with its keys and start files", verb, quote(p))
		}
	}
	return r.refuseOwn(p, verb)
}

// refuseOwn keeps mcpen's own files out of every sandbox, except for the server's own
// state.
func (r *resolver) refuseOwn(p, verb string) error {
	if state := r.in.ServerState(r.name); state != "" && within(p, state) {
		return nil
	}
	for _, own := range []string{r.in.State, r.in.Config, r.in.Login.State, r.in.Login.Config} {
		if !path.IsAbs(own) {
			continue
		}
		if own = path.Clean(own); within(p, own) || within(own, p) {
			return faultf("", "cannot %s %s: mcpen keeps its own files in %s", verb, quote(p), quote(own))
		}
	}
	return nil
}

// within reports whether a clean path is dir or lies below it.
func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

// bindWorkspace makes the workspace absolute and refuses one that would grant more than
// a project.
func (r *resolver) bindWorkspace() {
	a := r.args["workspace"]
	defer func() { r.args["workspace"] = a }()
	if r.in.Workspace == "" {
		a.state = unknown
		return
	}
	p, err := r.argumentPath(r.in.Workspace, true)
	if err == nil {
		err = r.refuse(p, true)
	}
	if err != nil {
		a.state = unknown
		r.badWorkspace = true
		if !r.bounds { // the profile's own resolver reports it
			r.fault(Pos{}, "--workspace", err)
		}
		return
	}
	a.values, a.state = []string{p}, known
}
