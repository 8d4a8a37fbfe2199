package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/store"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/trust"
	"mcpen/sandbox/user"
)

// Prepared is everything that a run starts from.
type Prepared struct {
	Dirs    user.Dirs
	Choice  Choice
	Package pack.Ref // whose program it is; its Name is "" for a program of this machine
	Policy  policy.Policy
	Program plan.Program
	Host    plan.Host
	Plan    plan.Plan
	start   string      // where the server starts if its profile declares that: --workspace, or where mcpen was started
	Found   string      // the message that the package's own profile is used, or ""
	Tree    *store.Tree // of a package: GC leaves it alone until close

	Untrusted error    // why nothing starts from the profile; nil where something does, or it was not only to be looked at
	withheld  []string // variables that are set and that the plan does not give
	said      Words
	workspace string // from the command line or the folder of the start; "" if there is none
}

// Close ends the use of the package tree.
func (p *Prepared) Close() {
	if p.Tree != nil {
		p.Tree.Close()
	}
}

// Files are the open files that keep the package tree in use.
func (p *Prepared) Files() []*os.File {
	if p.Tree == nil {
		return nil
	}
	return []*os.File{p.Tree.File()}
}

// Prepare walks the pipeline up to the plan. It changes only the server's own state
// directory, which it makes, and, for a package that was never locked, the store and
// the lock. If the choice is only to look, it changes nothing. The caller closes the
// result.
func (c *Caller) Prepare(ctx context.Context, w Words) (p Prepared, err error) {
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	p.said = w
	find := c.DirsToRun
	if w.Look {
		find = c.Dirs
	}
	if p.Dirs, err = find(); err != nil {
		return p, err
	}
	if p.Choice, err = c.Choose(p.Dirs, w); err != nil {
		return p, err
	}
	ch := p.Choice
	p.Found = ch.foundText()
	r, err := c.Resolve(ch, p.Dirs)
	if err != nil {
		return p, err
	}
	p.start = p.Dirs.Cwd
	if ch.Workspace != "" {
		if p.start, err = filepath.Abs(ch.Workspace); err != nil {
			return p, fmt.Errorf("cannot tell where --workspace %q is: %w", ch.Workspace, err)
		}
	}
	p.Policy = r.Policy
	if w.Interview {
		p.Policy = p.Policy.Unguarded()
	}
	p.workspace = c.input(ch.Words, p.Dirs, nil).Workspace
	if err = c.install(ctx, ch, r, &p); err != nil {
		return p, err
	}
	if err = c.compile(ctx, &p, ch.Look); err != nil {
		return p, err
	}
	if err := p.profileApart(); err != nil {
		return p, err
	}
	if err := c.vetCommands(p); err != nil || ch.Look {
		return p, err
	}
	return p, origin.RecordWritten(p.Dirs, p.Plan)
}

// compile asks this machine for the facts that the plan needs, and makes the plan.
// Nothing changes the plan afterwards but the secrets, whose values it only names.
func (c *Caller) compile(ctx context.Context, p *Prepared, look bool) (err error) {
	own := OwnState(p.Policy, p.Dirs)
	if own != "" && !look {
		if err := os.MkdirAll(own, 0o700); err != nil {
			return fmt.Errorf("cannot make the server's state directory: %w", err)
		}
	}
	if p.Host, err = host.Probe(ctx, c.Ask(*p)); err != nil {
		return err
	}
	if p.Host.Proxies, err = c.proxies(p.Policy); err != nil {
		return err
	}
	p.Host.Certificates, p.Host.Trusted = c.certificates(p.Dirs, p.Policy)
	if plan.SaysGit(p.Policy, p.Program) {
		p.Host.Git = c.git(ctx, p.Dirs)
	}
	if own != "" && look {
		assumeDir(p.Host.Paths, own)
	}
	p.Plan, err = plan.Compile(p.Policy, p.Program, p.Host)
	p.withheld = c.withheld(p.Plan)
	return err
}

// maxWithheld bounds the variables that a run looks for in what its server says.
const maxWithheld = 512

// withheld names the variables that are set and that a plan does not give. Names in one
// word, such as HOME, occur in any text and are left out.
func (c *Caller) withheld(p plan.Plan) (names []string) {
	given := map[string]bool{}
	for _, e := range p.Process.Env {
		given[e.Name] = true
	}
	for _, s := range p.Process.Secrets {
		given[s.Name] = true
	}
	for _, kv := range c.Env {
		name, _, _ := strings.Cut(kv, "=")
		if strings.Trim(name, "_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "" && strings.Contains(strings.Trim(name, "_"), "_") && !given[name] && len(names) < maxWithheld {
			given[name] = true
			names = append(names, name)
		}
	}
	return names
}

// install finds or installs the program, once the person trusts everything that names
// it. If it only looks for the program, it remembers the missing trust.
func (c *Caller) install(ctx context.Context, ch Choice, r Resolved, p *Prepared) error {
	if top := origin.Repository(p.Dirs, p.Dirs.State); top != "" && !ch.Look {
		hint := "export HOME=" + audit.Command(p.Dirs.Login.Home)
		if user.Absolute(c.Getenv("XDG_STATE_HOME")) != "" {
			hint = "unset XDG_STATE_HOME"
		}
		return &launch.Error{Code: launch.ExitRefused, Err: fmt.Errorf("cannot keep state in %q: it is in the repository %s", p.Dirs.State, top), Hint: hint}
	}
	confirm := c.Confirm
	if ch.Look {
		confirm = nil
	}
	asked, err := trust.Gate(p.Dirs, confirm, c.withVariables(ch.Words, r.profile).Start(), r.profile, r.baselines...)
	if p.Untrusted = err; err != nil && !ch.Look {
		return err
	}
	program := func() (err error) {
		if p.Package, _, _, err = ch.starts(p.Policy); err != nil {
			return err
		}
		if err := c.unset(p.Policy); err != nil && !ch.Look {
			return err
		}
		p.Program, p.Tree, err = c.Program(ctx, ch, p.Dirs, p.Policy)
		return err
	}
	if ch.Look || !asked {
		return program()
	}
	return trust.Change(p.Dirs, r.profile, program)
}
