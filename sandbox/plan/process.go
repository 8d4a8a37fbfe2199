package plan

import (
	"fmt"
	"sort"

	"mcpen/sandbox/policy"
)

// process fills in the process to execute.
func (c *compiler) process() {
	h := c.host
	if job := c.prog.Install; job != nil {
		c.plan.Process = Process{Path: c.prog.Path, Args: c.prog.Args, UID: h.UID, GID: h.GID, Admin: h.Admin, Counted: h.Counted, Umask: job.Umask, Dir: c.dir(), Env: job.Env}
		return
	}
	p := Process{Path: c.prog.Path, Args: c.prog.Args, UID: h.UID, GID: h.GID, Admin: h.Admin, Counted: h.Counted, Umask: h.Umask, Dir: c.dir()}
	env := map[string]Env{}
	set := func(e Env) { env[e.Name] = e }
	home, tmp := c.private()
	set(Env{Name: "HOME", Value: home})
	set(Env{Name: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"})
	set(Env{Name: "USER", Value: c.user()})
	set(Env{Name: "LOGNAME", Value: c.user()})
	set(Env{Name: "TMPDIR", Value: tmp})
	for _, e := range c.prog.Env {
		set(e)
	}
	if h.Desk != nil {
		for _, e := range h.Desk.Env {
			set(e)
		}
	}
	for _, e := range c.git() {
		set(e)
	}
	_, trusted := c.bundles()
	for _, e := range trusted {
		set(e)
	}
	for _, e := range c.pol.Env.Pass {
		if v, ok := h.Env[e.Name]; ok {
			set(Env{Name: e.Name, Value: v, At: at(e.At)})
		}
	}
	for _, e := range c.pol.Env.Set {
		set(Env{Name: e.Name, Value: e.Value, At: at(e.At)})
	}
	for _, s := range c.pol.Env.Secret {
		delete(env, s.Name)
		p.Secrets = append(p.Secrets, Secret{Name: s.Name, From: s.From, At: at(s.At)})
	}
	for _, e := range env {
		p.Env = append(p.Env, e)
	}
	sort.Slice(p.Env, func(i, j int) bool { return p.Env[i].Name < p.Env[j].Name })
	c.plan.Process = p
}

// private returns the paths of the server's home and of its temporary files.
func (c *compiler) private() (home, tmp string) {
	if c.plan.Scratch != "" {
		return c.plan.Scratch, c.plan.Scratch
	}
	return c.home(), "/tmp"
}

// dir chooses the working directory: the profile's choice, else the named workspace or
// the directory where mcpen was started if a declared folder holds it, else the private
// home.
func (c *compiler) dir() string {
	d, h := c.pol.Server.Dir, c.host
	home, tmp := c.private()
	if h.Desk != nil {
		return h.Desk.Dir
	}
	if d == "" {
		if h.Cwd != "" && c.declared(h.Cwd) {
			return h.Cwd
		}
		return home
	}
	f, asked := h.Paths[d]
	where := at(c.pol.Server.At)
	for _, deny := range c.denials() {
		if deny.holds(d) || f.Exists && deny.holds(f.Real) {
			c.problem(Problem{At: where, Text: fmt.Sprintf("cannot start in %q: it is denied at %v", d, deny.At)})
			return d
		}
	}
	switch {
	case d == home || d == tmp:
	case !f.Exists:
		c.problem(absent(c.roots(), d, where, true, asked, f))
	case !f.Dir:
		c.problem(Problem{At: where, Text: fmt.Sprintf("cannot start in %q: it is no directory", d)})
	case d == h.Home || f.Real == c.real(h.Home):
		c.problem(Problem{At: where, Text: fmt.Sprintf("cannot start in %q: the user's home is not there as a whole", d),
			Hint: "name a declared folder, or leave dir out: the server then starts in such a folder or in its private home"})
	case !c.visible(f.Real):
		c.problem(Problem{At: where, Text: fmt.Sprintf("cannot start in %q: the profile declares no path that holds it", d),
			Grant: c.roots().AllowPath("read", d)})
	}
	return d
}

// declared reports whether the profile declares a folder that holds p, by the folder's
// name or its target, and denies nothing above p.
func (c *compiler) declared(p string) bool {
	for _, d := range c.denials() {
		if d.holds(p) {
			return false
		}
	}
	for _, r := range append(append([]policy.Path{}, c.pol.Filesystem.Read...), c.pol.Filesystem.Write...) {
		f := c.host.Paths[r.Path]
		if f.Exists && (under(p, r.Path) || under(p, f.Real)) {
			return true
		}
	}
	return false
}
