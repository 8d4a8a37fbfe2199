// Package selftest attacks a sandbox of this machine with the probes of the escape
// suite, under the plan of a real profile. It also makes every attack outside, where it
// has to work: an attack that fails outside proves nothing inside.
//
// Outside it tries only attacks that an ordinary user may make or that work in their
// own namespaces. None of them changes the machine, whoever runs it.
package selftest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/internal/probe"
	"mcpen/sandbox/internal/probe/stage"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// Mark is the first argument with which a program that carries the attacks is
// started by itself; those from it on are for Attack.
const Mark = probe.Mark

// Canary is a variable that has to be in the environment of the caller of OfProfile: no
// profile passes it, and the attacks look for it.
const Canary = stage.Canary

// Attack is the attacker. args are those from Mark on. It returns the exit status.
func Attack(args []string, stdin io.Reader, stderr io.Writer) int {
	return probe.Main(args, stdin, stderr)
}

// rig holds the rights that the attacks need in addition to the profile under test.
type rig struct {
	Program string   // the attacker, an absolute path
	Read    []string // folders of the rig's own
	Write   []string
	// Protected lists the parts of the workspace that must not change. Without
	// namespaces mcpen cannot protect them, and the profile has to say so.
	Protected []string
	// Workspace is the folder of the rig's that stands for the person's project.
	Workspace string
}

// profile returns the text of a profile called name that adds the rig to another one.
// The limits are the rig's own and low: outside, an attack on them works. extends names
// the other profile; "" means the rig alone. bare is for a profile without namespaces.
func (r rig) profile(name, extends string, bare bool) []byte {
	quoted := func(words []string) string {
		var out []string
		for _, w := range words {
			out = append(out, fmt.Sprintf("%q", w))
		}
		return strings.Join(out, ", ")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "version = 1\nname = %q\n", name)
	if extends != "" {
		fmt.Fprintf(&b, "extends = [%q]\n", extends)
	}
	fmt.Fprintf(&b, "[filesystem]\nread = [%s]\nwrite = [%s]\n", quoted(r.Read), quoted(r.Write))
	if bare {
		fmt.Fprintf(&b, "unprotect = [%s]\n", quoted(r.Protected))
	}
	fmt.Fprintf(&b, "[limits]\nprocesses = %d\nopen-files = %d\nfile-size = \"%dMiB\"\ntmp = \"%dMiB\"\ntmp-files = %d\n",
		stage.Processes, stage.OpenFiles, fileSize>>20, tmpBytes>>20, stage.TmpFiles)
	return []byte(b.String())
}

// /tmp must have room for the attacker's copy of itself.
const (
	tmpBytes = 96 << 20
	fileSize = 64 << 20
)

// target describes the sandbox under attack and the place of the attacks.
type target struct {
	Dir    string   // an empty folder of the caller's own, in a place where a person has folders: not /tmp
	Binary string   // a program that calls Attack where its first argument is Mark
	State  string   // where mcpen keeps its own files: one is made there, and removed
	Only   []string // the names of groups; none: all
	// Plan is the plan of a program with the rights of the profile and the rig.
	Plan func(ctx context.Context, r rig, argv []string) (plan.Plan, error)
}

// ErrPlace is the error of a Dir that a sandbox has anyway.
var ErrPlace = errors.New("cannot use the folder of the attacks")

// assess makes the attacks and assesses them. It takes seconds, and leaves only the
// files that the caller gave it. After an error there is no verdict.
func assess(ctx context.Context, t target) (r Report, err error) {
	if longest := filepath.Join(t.Dir, "home/project/daemon.sock"); len(longest) > 107 { // unix(7)
		return r, fmt.Errorf("%w: %q is too long a path for a socket", ErrPlace, longest)
	}
	state, err := own(t.State)
	if err != nil {
		return r, err
	}
	defer os.Remove(state)
	s, err := newStage(t, state)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.Err, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
		return r, err
	}
	defer s.Err.Close()
	a := &attack{target: t, stage: s, rig: rigOf(s), groups: chosen(t.Only)}
	if a.plan, err = t.Plan(ctx, a.rig, []string{s.Program}); err != nil {
		return r, err
	}
	if err := outOfReach(a.plan, t.Dir); err != nil {
		return r, err
	}
	outside := a.outside(ctx)
	inside, err := a.inside(ctx, a.table(), same)
	if err != nil {
		return r, err
	}
	r = newReport(a.plan)
	j := assessor{plan: a.plan, here: addresses()}
	for _, g := range a.groups {
		r.Groups = append(r.Groups, j.group(g, outside, inside))
	}
	if len(t.Only) == 0 || slices.Contains(t.Only, lentName) {
		lent, err := a.lent(ctx, outside)
		if err != nil {
			return r, err
		}
		r.Groups = append(r.Groups, lent...)
	}
	return r, ctx.Err()
}

// newStage creates the targets of the attacks and installs the attacker. state is a file
// of mcpen's own. The caller closes the stage.
func newStage(t target, state string) (*stage.Stage, error) {
	if err := stage.Place(t.Dir, t.Binary); err != nil {
		return nil, fmt.Errorf("cannot put the attacker in its place: %w", err)
	}
	s, err := stage.New(t.Dir, func(w *probe.World) {
		w.State, w.TmpBytes, w.FileSize = state, tmpBytes, fileSize
	})
	if err != nil {
		return nil, fmt.Errorf("cannot make what is attacked: %w", err)
	}
	return s, nil
}

// rigOf returns the rights that the attacks of a stage need.
func rigOf(s *stage.Stage) rig {
	r := rig{Program: s.Program, Read: []string{s.World.Docs, filepath.Dir(s.Program)},
		Write: []string{s.World.Project, s.World.Tmp}, Workspace: s.World.Project}
	for _, name := range []string{".git", ".vscode", ".claude", "sub/.git"} {
		r.Protected = append(r.Protected, filepath.Join(s.World.Project, name))
	}
	return r
}

// outOfReach returns an error if the plan gives dir to the program, or a folder above
// it: the attacks on dir would then work and prove nothing.
func outOfReach(p plan.Plan, dir string) error {
	m, ok := covers(p, dir)
	if !ok {
		return nil
	}
	why := "which every server has for itself"
	if m.At != "" {
		why = "which the profile gives (" + m.At + ")"
	}
	return fmt.Errorf("%w: %q is in %q, %s", ErrPlace, dir, m.Target, why)
}

// own makes a file beside those of mcpen's own.
func own(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("cannot make a file of mcpen's own: %w", err)
	}
	f, err := os.CreateTemp(dir, "selftest-*")
	if err != nil {
		return "", fmt.Errorf("cannot make a file of mcpen's own: %w", err)
	}
	return f.Name(), f.Close()
}

// covers is the folder that the plan gives, or makes, and that holds dir.
func covers(p plan.Plan, dir string) (plan.Mount, bool) {
	for _, m := range p.Root {
		given := m.Kind == plan.MountBind && m.At != "" || m.Kind == plan.MountTmpfs && m.Writable
		if given && (m.Target == dir || strings.HasPrefix(dir, m.Target+"/")) {
			return m, true
		}
	}
	return plan.Mount{}, false
}

// addresses are those of this machine.
func addresses() []string {
	var out []string
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		out = append(out, a.String())
	}
	return out
}

// attack is one run of the attacks.
type attack struct {
	target target
	stage  *stage.Stage
	rig    rig
	groups []probe.Group
	plan   plan.Plan // without the arguments
}

// Names are those of the groups.
func Names() []string {
	var out []string
	for _, g := range probe.Groups() {
		out = append(out, g.Name)
	}
	return append(out, lentName)
}

// chosen are the groups of these names; none: all.
func chosen(names []string) []probe.Group {
	all := probe.Groups()
	if len(names) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(g probe.Group) bool { return !slices.Contains(names, g.Name) })
}

func (a *attack) table() []probe.Probe {
	var all []probe.Probe
	for _, g := range a.groups {
		all = append(all, g.Probes...)
	}
	return all
}

// twin is the outcome of an attack outside: a result, or the reason why there is none.
type twin struct {
	probe.Result
	why Why
}

// outside makes the attacks where they have to work.
func (a *attack) outside(ctx context.Context) map[string]twin {
	twins := map[string]twin{}
	table := a.table()
	for _, id := range lentIDs {
		if p, ok := probe.Find(id); ok && !slices.ContainsFunc(table, func(q probe.Probe) bool { return q.ID == id }) {
			table = append(table, p)
		}
	}
	for _, at := range stage.Sites(table) {
		got, err := map[string]probe.Result(nil), error(nil)
		if at.Twin != probe.TwinRoot && ctx.Err() == nil {
			got, err = a.stage.At(at)
		}
		for _, id := range at.IDs {
			r, ran := got[id]
			switch t := (twin{Result: r}); {
			case at.Twin == probe.TwinRoot:
				t.why = WhyRoot
				twins[id] = t
			case err != nil:
				t.why, t.Detail = WhyTwin, err.Error()
				twins[id] = t
			case ran:
				twins[id] = t
			}
		}
	}
	if d := twins[daemonID]; d.OK {
		endDaemon(d.Detail)
	}
	return twins
}

// daemonID names the attack that is assessed by the process it leaves behind.
const daemonID = "daemon"

// endDaemon kills the daemon that the attack left outside, by the pid that it reported.
func endDaemon(pid string) {
	var n int
	if _, err := fmt.Sscan(pid, &n); err == nil && n > 1 {
		_ = unix.Kill(n, unix.SIGKILL)
	}
}

// same leaves a plan as it is.
func same(p plan.Plan) plan.Plan { return p }

// inside makes the attacks in sandboxes. One that took its sandbox with it has
// worked; those after it are made in a new one.
func (a *attack) inside(ctx context.Context, table []probe.Probe, change func(plan.Plan) plan.Plan) (map[string]probe.Result, error) {
	results := map[string]probe.Result{}
	for start := 0; start < len(table); start = len(results) {
		got, err := a.box(ctx, table[start:], change)
		if err != nil {
			return nil, err
		}
		maps.Copy(results, got)
		if missing := start + len(got); missing < len(table) {
			id := table[missing].ID
			results[id] = probe.Result{ID: id, OK: true, Detail: "the sandbox is gone"}
		}
	}
	if d, ok := results[daemonID]; ok {
		if left := a.left(); left != 0 {
			results[daemonID] = probe.Result{ID: daemonID, OK: true, Detail: fmt.Sprintf("process %d outlived the sandbox", left)}
		} else {
			d.OK, d.Errno = false, probe.Held
			results[daemonID] = d
		}
	}
	return results, nil
}

// box makes attacks in one sandbox. Its stdio is that of a careless client: a socket, a
// file, and a descriptor that every program inherits.
func (a *attack) box(ctx context.Context, table []probe.Probe, change func(plan.Plan) plan.Plan) (map[string]probe.Result, error) {
	s := a.stage
	if err := s.Reset(); err != nil {
		return nil, err
	}
	out, err := s.Output(filepath.Join(s.World.Project, "results.jsonl"))
	if err != nil {
		return nil, err
	}
	world, err := json.Marshal(a.within())
	if err != nil {
		return nil, err
	}
	argv := []string{s.Program, Mark, "run", string(world), out}
	for _, p := range table {
		argv = append(argv, p.ID)
	}
	p, err := a.target.Plan(ctx, a.rig, argv)
	if err != nil {
		return nil, err
	}
	if err := a.start(ctx, change(p)); err != nil {
		return nil, err
	}
	return stage.Read(out)
}

func (a *attack) start(ctx context.Context, p plan.Plan) error {
	stdin, client, err := stage.Socket()
	if err != nil {
		return err
	}
	defer client.Close()
	defer stdin.Close()
	stdout, err := os.Create(filepath.Join(a.stage.World.Home, "stdout"))
	if err != nil {
		return err
	}
	defer stdout.Close()
	leak, err := unix.FcntlInt(stdout.Fd(), unix.F_DUPFD, 77)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	defer unix.Close(leak)
	box, err := sandbox.Start(ctx, p, sandbox.Stdio{In: stdin, Out: stdout, Err: stdout}, nil, sandbox.Options{Raw: true})
	if err != nil {
		return err
	}
	exit, err := box.Wait()
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case exit.Signal == 0 && exit.Code != 0:
		said, _ := os.ReadFile(stdout.Name())
		return fmt.Errorf("the attacker ended with code %d: %.300s", exit.Code, strings.TrimSpace(string(said)))
	}
	return nil
}

// within is the world as it is seen from the sandbox.
func (a *attack) within() probe.World {
	w := a.stage.World
	if a.plan.Holds(policy.LayerNamespaces) {
		w.Inside, w.Pid, w.Tmp = true, 1, "/tmp"
	}
	return w
}

// left is a process of the attacker's that is still there a moment after its
// sandbox, or 0.
func (a *attack) left() int {
	for range 20 {
		pid := a.running()
		if pid == 0 {
			return 0
		}
		time.Sleep(50 * time.Millisecond)
	}
	return a.running()
}

// running is a process that executes the attacker and is not the stage's own, or 0.
func (a *attack) running() int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		var pid int
		fmt.Sscan(filepath.Base(dir), &pid)
		args, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err == nil && pid != a.stage.World.Stranger && strings.HasPrefix(string(args), a.stage.Program+"\x00") {
			return pid
		}
	}
	return 0
}

// lentName is the group that is attacked by a mount that errs.
const lentName = "landlock"

// lentIDs are attacks on a folder that was lent for reading: two layers hold them.
var lentIDs = []string{"write-docs", "create-docs", "remove-docs"}

// lent makes the folder's mount writable and attacks it again. Then Landlock alone
// holds the attack, and no other attack shows its absence. Without namespaces the other
// groups show it already.
func (a *attack) lent(ctx context.Context, outside map[string]twin) ([]Group, error) {
	if !a.plan.Holds(policy.LayerNamespaces) {
		return nil, nil
	}
	g := probe.Group{Name: lentName, About: "a folder lent for reading, by a mount that errs"}
	for _, id := range lentIDs {
		p, ok := probe.Find(id)
		if !ok {
			return nil, fmt.Errorf("internal error: no attack %q", id)
		}
		p.Want, p.By = "EACCES", probe.Landlock
		g.Probes = append(g.Probes, p)
	}
	writable := func(p plan.Plan) plan.Plan { return p.WithWritable(a.rig.Read) }
	inside, err := a.inside(ctx, g.Probes, writable)
	if err != nil {
		return nil, err
	}
	return []Group{assessor{plan: a.plan}.group(g, outside, inside)}, nil
}
