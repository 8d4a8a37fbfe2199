// Package sandbox starts a program under a plan: namespaces, a root of its own,
// Landlock, seccomp, limits, and a relay between its stdio and the client's. It is the
// only place that joins these mechanisms.
//
// A program that uses it calls Hook first thing in main, because the stages inside the
// sandbox are the program itself, executed again:
//
//	func main() {
//		sandbox.Hook()
//		…
//		box, err := sandbox.Start(ctx, p, sandbox.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, sink, sandbox.Options{})
//		if err != nil { … }
//		exit, err := box.Wait()
//	}
//
// The package enforces nothing halfway: if any layer of the plan cannot be had, Start
// returns an error and leaves nothing running.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/guard"
	"mcpen/sandbox/host"
	"mcpen/sandbox/internal/child"
	"mcpen/sandbox/internal/confine"
	"mcpen/sandbox/internal/container"
	"mcpen/sandbox/internal/relay"
	"mcpen/sandbox/internal/seccomp"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// Hook runs a stage of a sandbox, and does not return, when this process was
// started as one. It has to be called before anything else in main, and in
// TestMain of tests that start sandboxes.
func Hook() { child.Hook() }

// Stdio is the client's side. The files stay open; Start puts none of them into
// the sandbox, where a shared descriptor would be a way out.
type Stdio struct{ In, Out, Err *os.File }

// Options holds the settings of a run that are not part of a plan. The zero Options
// guard an MCP server without any approved definition.
type Options struct {
	// Raw passes bytes as they are, unexamined: for programs that are no MCP servers.
	Raw bool

	// Pins returns the definitions that a person approved. Start calls it while it builds
	// the sandbox; its error ends the server before anything is sent to it. Others
	// returns the definitions of other servers, and is called with the first definition
	// of this one. Where they are nil nothing is approved and nobody known.
	// Saw is called when Box.Pins has something new, and returns at once; nil: nobody
	// asks.
	Pins   func() (definition.Pins, error)
	Saw    func()
	Others func() []finding.Other

	// Trial is needed by a plan with a desk, and nil for any other.
	Trial *Trial
	// Allow is the server's name for "mcpen allow". If it is "", mcpen cannot write a
	// profile of the server, and hints are lines of one.
	Allow string

	// Secure makes TLS of a connection to a proxy of that name. Nil: a plan with such a
	// proxy does not start.
	Secure func(ctx context.Context, c net.Conn, name string) (net.Conn, error)

	// Confine, where it is not nil, has Start confine this process: see Confinement.
	Confine *Confinement
}

// Exit is how the server ended: a code, or a signal.
type Exit struct {
	Code   int
	Signal syscall.Signal // 0: it exited by itself
}

// Filters names the compiler of the system call filters that this package carries.
func Filters() string { return seccomp.MadeBy() }

// Box is one running sandbox: its parts, and how they meet. Its methods may be called
// from any goroutine.
type Box struct {
	plan    plan.Plan
	digest  string // of plan
	options Options

	session      *session
	reporter     *reporter
	housing      housing
	process      process
	conversation *conversation // nil until its pipes are there
	declared     *declared
	network      *network
	watch        *watch

	cgroups  []string      // the directories of all groups that hold a limit
	since    time.Time     // when the server started
	started  chan error    // one value: nil, or why it did not start
	attend   chan bool     // one value: whether messages from inside may be dealt with
	attended chan error    // one value: nil, or why they could not be
	done     chan struct{} // closed when the server and everything of it is gone
	// released is closed when the first process was waited for, and its thread may go.
	released chan struct{}
	finish   sync.Once

	exit   Exit
	limits []string // those that the server met
	err    error
}

// Start builds the sandbox and starts the server in it. It returns once the server's
// program is executed, or with the reason why it is not: a *Lack, a *NotExecutable, or
// an internal error. Ending ctx ends the server, by the same steps as the end of the
// client's stdin. A nil sink keeps no event.
//
// If only a control group can hold a limit, and the group cannot be had, the limit
// becomes a gap of Box.Plan, unless the plan requires it.
func Start(ctx context.Context, p plan.Plan, stdio Stdio, sink audit.Sink, o Options) (*Box, error) {
	b, err := start(ctx, p, stdio, sink, o)
	lack, ok := err.(*Lack)
	if !ok || !lack.grouping || ctx.Err() != nil {
		return b, err
	}
	// Nothing of the server ran. A start without the groups shows whether they were
	// the cause.
	less, ok := p.Ungrouped("no control group was to be had at the start: " + lack.Err.Error())
	if !ok {
		return nil, err
	}
	return start(ctx, less, stdio, sink, o)
}

// start is Start with all that the plan holds, or nothing.
func start(ctx context.Context, p plan.Plan, stdio Stdio, sink audit.Sink, o Options) (*Box, error) {
	if p.Version != plan.Version {
		return nil, fmt.Errorf("internal error: plan version %d, want %d", p.Version, plan.Version)
	}
	if err := bounded(p); err != nil {
		return nil, err
	}
	if (p.Network.Every || p.Desk != nil) && (o.Trial == nil || o.Trial.World == nil) {
		return nil, errors.New("internal error: a trial without a world")
	}
	if err := host.Descriptors(); err != nil {
		return nil, &Lack{Step: "start", Err: err}
	}
	s, err := newSession(p.Runtime)
	if err != nil {
		return nil, &Lack{Step: "prepare a run", Err: err}
	}
	b := newBox(p, s, stdio.Err, sink, o)
	guarded := guardOf(p, o)
	if err := b.build(stdio); err != nil {
		b.release()
		if b.conversation != nil {
			b.conversation.closeServer()
		}
		return nil, err
	}
	go b.listen()
	if err := <-b.started; err != nil {
		b.process.kill()
		<-b.done
		return nil, err
	}
	if err := b.begin(guarded); err != nil {
		b.process.kill()
		<-b.done
		return nil, err
	}
	go b.declared.run(b.done)
	go b.conversation.run(ctx, b.process.kill)
	shrink := time.AfterFunc(child.ShrinkAfter, child.Shrink)
	go func() { <-b.done; shrink.Stop() }()
	return b, nil
}

// newBox joins the parts of a run that nothing has to be made for.
func newBox(p plan.Plan, s *session, stderr *os.File, sink audit.Sink, o Options) *Box {
	b := &Box{plan: p, digest: p.Digest(), options: o, session: s, started: make(chan error, 1), done: make(chan struct{}), released: make(chan struct{}),
		attend: make(chan bool, 1), attended: make(chan error, 1)}
	b.reporter = &reporter{log: stamped(sink, s.id, p.Name, b.digest), server: p.Name, allow: o.Allow, stderr: stderr, kill: b.process.kill}
	b.network = networkOf(p, o, o.Trial.world(p), b.reporter, b.inFlight)
	b.watch = &watch{filter: p.Seccomp, roots: p.Roots(), judge: o.Trial.judge(p, b.network.open),
		report: b.reporter.report, warnOf: b.reporter.warnOf, barred: b.network.barred, inFlight: b.inFlight}
	return b
}

// begin begins the conversation with a server that was executed. It confines this
// process before it reads a byte of the server's.
func (b *Box) begin(guarded func() (*guard.Guard, error)) error {
	b.since = time.Now()
	err := b.reporter.started(b.plan)
	var g *guard.Guard
	if err == nil {
		g, err = guarded()
	}
	if err == nil {
		err = b.conversation.begin(b.plan, g, around{
			process:  relay.Process{Signal: b.Signal, Done: b.done, Status: b.status},
			reporter: b.reporter,
			asked:    b.declared.ask,
			last:     b.declared.finish,
			ended: func(step relay.Step) error {
				return b.reporter.ended(b.plan.Process.Path, b.exit, step, b.limits, time.Since(b.since))
			},
		})
	}
	b.housing.terminal.await(b.noTerminal)
	if err == nil && b.options.Confine != nil {
		_ = time.Local.String() // read from a file when it is first asked for
		if lack := confine.Process(needs(b.plan, b.options.Confine, b.session.dir, b.cgroups)); lack != nil {
			err = &Lack{Step: "confine the launcher", Err: lack}
		}
	}
	b.attend <- err == nil
	if err == nil {
		err = <-b.attended
	}
	return err
}

// bounded refuses a plan that is no boundary, however it came about: the zero
// plan holds nothing, and without namespaces the two other layers are all there
// is, and the filter's refusal of IPv4 and IPv6 sockets the only rule on the
// network.
func bounded(p plan.Plan) error {
	if p.Holds(policy.LayerNamespaces) {
		return nil
	}
	if p.Holds(policy.LayerLandlock) && p.Holds(policy.LayerSeccomp) && p.Seccomp.On && p.Seccomp.Alone {
		return nil
	}
	return &Lack{Step: "build a boundary", Err: errors.New("without namespaces both Landlock and seccomp are needed, and no network")}
}

// build makes everything that stands before the server runs.
func (b *Box) build(stdio Stdio) error {
	var err error
	if b.housing, err = houseOf(b.plan, b.session); err != nil {
		return err
	}
	b.declared = newDeclared(b.plan, b.housing.pins, b.replaced)
	boot, err := child.Boot{Plan: b.plan, Secrets: secrets(b.plan), Pins: b.housing.pins}.Pack()
	if err != nil {
		return err
	}
	defer boot.Close()
	control, inside, err := child.NewControl()
	if err != nil {
		return &Lack{Step: "connect to the sandbox", Err: err}
	}
	defer inside.Close()
	b.process.control = control
	b.conversation, err = newConversation(stdio, b.options.Raw)
	if err != nil {
		return &Lack{Step: "make the server's stdio", Err: err}
	}
	defer b.conversation.closeInside()
	// Before anything runs, so that nothing runs that nobody can list.
	if err := b.record(b.housing.groups.Paths()); err != nil {
		return err
	}
	cgroups, err := b.onThread(boot, inside)
	if err != nil {
		return err
	}
	b.cgroups = append(b.housing.groups.Paths(), cgroups...)
	if len(cgroups) == 0 {
		return nil
	}
	return b.record(cgroups)
}

// record writes down the run and its groups.
func (b *Box) record(cgroups []string) error {
	if err := b.session.record(b.plan, b.digest, cgroups); err != nil {
		return &Lack{Step: "prepare a run", Err: err}
	}
	return nil
}

// onThread launches on a thread that lives as long as the box. pid 1 dies with
// the thread that started it, not with the process (PR_SET_PDEATHSIG, prctl(2)),
// and Go ends a thread whose goroutine returns without unlocking it, as
// goroutines of libcontainer do on whichever thread they run.
func (b *Box) onThread(files ...*os.File) (cgroups []string, err error) {
	launched := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		b.process.body, cgroups, err = b.housing.launch(b.conversation.inside, files)
		close(launched)
		<-b.released
	}()
	<-launched
	return cgroups, err
}

func secrets(p plan.Plan) map[string]string {
	m := map[string]string{}
	for _, s := range p.Process.Secrets {
		m[s.Name] = string(s.Value)
	}
	return m
}

// listen takes the messages of the stages inside until they are gone.
func (b *Box) listen() {
	var listeners sync.WaitGroup
	startErr := error(&Lack{Step: "build the sandbox", Err: errors.New("it ended before the server was started")})
	started, exited, reset := false, false, false
	var met map[plan.LimitName]bool
	var early []child.Message // until this process is confined
	for {
		m, err := b.process.control.Receive()
		if err != nil && reset {
			break
		}
		if err != nil {
			// An unread signal resets the socket; ECONNRESET may arrive before pid 1's
			// last message (unix(7)).
			reset = true
			continue
		}
		switch m.Kind {
		case child.Notify, child.Listeners, child.Seen, child.Laid:
			if b.options.Confine != nil && !started {
				early = append(early, m)
			} else if err := b.handle(m, &listeners); err != nil {
				startErr = err
				b.process.kill()
			}
		case child.Started:
			started, startErr = true, nil
			b.started <- nil
			b.attended <- b.handleAll(early, &listeners)
			early = nil
		case child.Failed:
			startErr = failed(m.Explain(b.plan), b.plan.Process.Path)
		case child.Exited:
			exited = true
			b.exit = Exit{Code: m.Code, Signal: syscall.Signal(m.Signal)}
			met = container.Over(b.cgroups) // before the user manager takes an empty scope away
			b.process.acknowledge()
		}
	}
	if !exited {
		b.exit = Exit{Signal: syscall.SIGKILL} // pid 1 was killed, and the kernel ended the rest
	}
	if err := b.process.body.wait(); err != nil {
		b.err = fmt.Errorf("cannot wait for the sandbox: %w", err)
	}
	if started && b.err == nil {
		b.err = startErr // of a part that failed while the server ran, which ended it
	}
	closeFiles(early)
	listeners.Wait()
	if started {
		b.warnOfLimits(met)
	}
	if err := b.network.close(); err != nil && b.err == nil {
		b.err = err
	}
	b.release()
	if !started {
		b.started <- startErr
	}
	close(b.done)
}

// handle has a part deal with one message that brings it something.
func (b *Box) handle(m child.Message, listeners *sync.WaitGroup) error {
	switch m.Kind {
	case child.Notify:
		listeners.Go(func() { b.watch.serve(m.Files[0]) })
	case child.Seen:
		b.watch.mediated(m.Data)
	case child.Laid:
		b.options.Trial.laid(m.Files)
	default:
		return b.network.serve(m.Data, m.Files)
	}
	return nil
}

// handleAll waits until this process is confined, and deals with all that came before.
// The server waits meanwhile, for the little that it asks for so early.
func (b *Box) handleAll(early []child.Message, listeners *sync.WaitGroup) error {
	if !<-b.attend {
		closeFiles(early)
		return nil
	}
	for i, m := range early {
		if err := b.handle(m, listeners); err != nil {
			closeFiles(early[i+1:])
			return err
		}
	}
	return nil
}

func closeFiles(of []child.Message) {
	for _, m := range of {
		for _, f := range m.Files {
			f.Close()
		}
	}
}

// warnOfLimits warns of the limits that the server met, while their groups are there.
// met are those that were when it ended.
func (b *Box) warnOfLimits(met map[plan.LimitName]bool) {
	over := container.Over(b.cgroups)
	maps.Copy(over, met)
	for _, x := range exceededOf(b.plan.Limits, over, b.exit) {
		b.limits = append(b.limits, x.limit)
		b.reporter.warn(x.text)
		b.reporter.hint(x.hint)
	}
}

// replaced reports a declared path that was replaced outside.
func (b *Box) replaced(e audit.Event) {
	b.reporter.report(e)
	b.reporter.warn(audit.Visible(e.Subject) + " " + audit.Visible(e.Detail))
}

// noTerminal reports that the server asked for a terminal.
func (b *Box) noTerminal() {
	e := noTerminal(b.inFlight())
	b.reporter.report(e)
	b.reporter.warnOf(e)
}

// inFlight is the request that is being answered, where it is known.
func (b *Box) inFlight() *audit.Request {
	if b.conversation == nil {
		return nil
	}
	return b.conversation.inFlight()
}

// release gives everything back. It kills the processes that are still inside.
func (b *Box) release() {
	b.finish.Do(func() {
		defer close(b.released)
		keep := func(format string, err error) {
			if err != nil && b.err == nil {
				b.err = fmt.Errorf(format, err)
			}
		}
		b.housing.terminal.end(b.noTerminal)
		if b.process.body != nil {
			keep("cannot take the sandbox down: %w", b.process.body.destroy())
		}
		keep("cannot take the sandbox's control groups away: %w", b.housing.groups.Remove())
		b.process.hangUp()
		keep("cannot take the run's directory away: %w", b.session.close())
	})
}

// Signal sends a signal to the server. SIGKILL ends everything inside. The error
// is os.ErrProcessDone where nothing is left to get it.
func (b *Box) Signal(sig os.Signal) error {
	s, ok := sig.(syscall.Signal)
	if !ok {
		return fmt.Errorf("cannot send %v: not a signal of this system", sig)
	}
	if s == syscall.SIGKILL {
		b.process.kill()
		return nil
	}
	return b.process.signal(s)
}

// status says how the server ended, for a sentence.
func (b *Box) status() string {
	met := ""
	if len(b.limits) > 0 {
		met = " (" + strings.Join(b.limits, ", ") + ")"
	}
	if b.exit.Signal != 0 {
		return "was killed by " + unix.SignalName(b.exit.Signal) + met
	}
	return fmt.Sprintf("exited with code %d", b.exit.Code) + met
}

// Done is closed when the server and everything it started is gone.
func (b *Box) Done() <-chan struct{} { return b.done }

// Plan is the plan that holds: that of Start, or the same without the limits for which
// no control group was to be had.
func (b *Box) Plan() plan.Plan { return b.plan }

// Pins are the approved definitions and those that the server gave in this run, as
// seen. A raw run has none.
func (b *Box) Pins() definition.Pins { return b.conversation.pins() }

// Reload takes new pins, as after a review, and has the client ask again.
func (b *Box) Reload(p definition.Pins) error { return b.conversation.reload(p) }

// Wait waits until the server is gone and its last line was passed on. The error is of
// the sandbox itself or of the sink, never the server's exit.
func (b *Box) Wait() (Exit, error) {
	<-b.done
	<-b.conversation.done
	return b.exit, errors.Join(b.err, b.conversation.err)
}
