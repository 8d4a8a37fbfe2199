// Package sandbox starts a program under a plan: namespaces, a root of its own,
// Landlock, seccomp, limits, and a relay between its stdio and the client's. It
// is the only place that joins these mechanisms.
//
// A program that uses it calls Hook first thing in main, because the stages
// inside the sandbox are the program itself, executed again:
//
//	func main() {
//		sandbox.Hook()
//		…
//		box, err := sandbox.Start(ctx, p, sandbox.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, sink)
//		if err != nil { … }
//		exit, err := box.Wait()
//	}
//
// Nothing is enforced halfway: Start returns an error and leaves nothing
// running when any layer of the plan cannot be had.
package sandbox

import (
	"context"
	"errors"
	"fmt"
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
	"mcpen/sandbox/internal/container"
	"mcpen/sandbox/internal/egress"
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
type Stdio struct {
	In  *os.File
	Out *os.File
	Err *os.File
	// Raw lets bytes pass as they are, with nobody looking at them: for programs
	// that are no MCP servers.
	Raw bool

	// Pins tells what a person approved of what the server says; it is asked while
	// the sandbox is built, and its error ends the server before it is sent
	// anything. Others tells what other servers define, once the first definition
	// is looked at. Where they are nil nothing is approved and nobody known.
	// Saw is called when Box.Pins has something new, and returns at once; nil: nobody
	// asks.
	Pins   func() (definition.Pins, error)
	Saw    func()
	Others func() []finding.Other

	// Trial is what a plan with a desk needs, and is nil for any other.
	Trial *Trial
	// Allow is the word by which "mcpen allow" knows the server; "": no profile
	// of it can be written, and hints are lines of one.
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

// Filters says what compiled the system call filters that this package carries.
func Filters() string { return seccomp.MadeBy() }

// Box is one running sandbox. Its methods may be called from any goroutine.
type Box struct {
	plan     plan.Plan
	digest   string
	session  *session
	keeps    *Confinement // nil: this process is not confined
	trial    *Trial       // nil: it is no trial
	terminal *terminal    // nil: the server has terminals, or the machine's
	secure   func(ctx context.Context, c net.Conn, name string) (net.Conn, error)
	sink     audit.Sink
	allow    string // see Stdio.Allow
	stderr   *os.File

	groups  *container.Groups       // nil: no group of version 1 holds a limit
	cgroups []string                // the directories of all groups that hold one
	over    []string                // the limits that the server met, once it is gone
	met     map[plan.LimitName]bool // the limits that the server had met when it ended
	body    body
	control *child.Control
	// talking is held while something is sent to pid 1, and to end that for good:
	// the descriptor's number may be somebody else's afterwards.
	talking sync.RWMutex
	silent  bool
	carrier *carrier
	changed *replaced
	guard   *guard.Guard // nil: raw
	egress  []*egress.Egress

	started chan error    // one value: nil, or why it did not start
	attend  chan bool     // one value: whether what the server says is to be heard
	heard   chan error    // one value: nil, or why it cannot be
	since   time.Time     // when the server started
	done    chan struct{} // closed when the server and everything of it is gone
	// released is closed when the first process was waited for, and its thread may go.
	released chan struct{}
	exit     Exit
	err      error

	finish sync.Once
}

// Start builds the sandbox and starts the server in it. It returns when the
// server's program was executed, or with the reason why it was not: a *Lack, a
// *NotExecutable, or an internal error. Ending ctx ends the server, by the same
// steps as the end of the client's stdin.
//
// A limit that only a control group holds, and that turns out not to be had, is a gap
// of Box.Plan, unless the plan says that it is required.
func Start(ctx context.Context, p plan.Plan, stdio Stdio, sink audit.Sink) (*Box, error) {
	b, err := start(ctx, p, stdio, sink)
	lack, ok := err.(*Lack)
	if !ok || !lack.grouping || ctx.Err() != nil {
		return b, err
	}
	// Nothing of the server ran. Whether the groups were the cause is told by a start
	// without them.
	less, ok := p.Ungrouped("no control group was to be had at the start: " + lack.Err.Error())
	if !ok {
		return nil, err
	}
	return start(ctx, less, stdio, sink)
}

// start is Start with all that the plan holds, or nothing.
func start(ctx context.Context, p plan.Plan, stdio Stdio, sink audit.Sink) (*Box, error) {
	if p.Version != plan.Version {
		return nil, fmt.Errorf("internal error: plan version %d, want %d", p.Version, plan.Version)
	}
	if err := bounded(p); err != nil {
		return nil, err
	}
	if (p.Network.Every || p.Desk != nil) && (stdio.Trial == nil || stdio.Trial.World == nil) {
		return nil, errors.New("internal error: a trial without a world")
	}
	if err := host.Descriptors(); err != nil {
		return nil, &Lack{Step: "start", Err: err}
	}
	s, err := newSession(p.Runtime)
	if err != nil {
		return nil, &Lack{Step: "prepare a run", Err: err}
	}
	b := &Box{plan: p, digest: p.Digest(), session: s, keeps: stdio.Confine, secure: stdio.Secure, trial: stdio.Trial, allow: stdio.Allow, stderr: stdio.Err, started: make(chan error, 1), done: make(chan struct{}), released: make(chan struct{}),
		attend: make(chan bool, 1), heard: make(chan error, 1)}
	b.sink = b.stamp(sink)
	guarded := guardOf(p, stdio)
	if err := b.build(stdio); err != nil {
		b.release()
		if b.carrier != nil {
			b.carrier.closeServer()
		}
		return nil, err
	}
	go b.listen()
	if err := <-b.started; err != nil {
		b.kill()
		<-b.done
		return nil, err
	}
	err = b.begun()
	if err == nil {
		b.guard, err = guarded()
	}
	if err == nil && !stdio.Raw {
		err = b.carrier.converse(b)
	}
	b.awaitTerminal()
	if err == nil {
		err = b.confine()
	}
	b.attend <- err == nil
	if err == nil {
		err = <-b.heard
	}
	if err != nil {
		b.kill()
		<-b.done
		return nil, err
	}
	go b.changed.run()
	go b.carrier.run(ctx, b)
	shrink := time.AfterFunc(child.ShrinkAfter, child.Shrink)
	go func() { <-b.done; shrink.Stop() }()
	return b, nil
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
	launch, pins := b.bare, []child.Pin(nil)
	if b.plan.Holds(policy.LayerNamespaces) {
		var err error
		if launch, pins, err = b.contained(); err != nil {
			return err
		}
	}
	b.changed = newReplaced(b, pins)
	boot, err := child.Boot{Plan: b.plan, Secrets: secrets(b.plan), Pins: pins}.Pack()
	if err != nil {
		return err
	}
	defer boot.Close()
	control, inside, err := child.NewControl()
	if err != nil {
		return &Lack{Step: "connect to the sandbox", Err: err}
	}
	defer inside.Close()
	b.control = control
	b.carrier, err = newCarrier(stdio)
	if err != nil {
		return &Lack{Step: "make the server's stdio", Err: err}
	}
	defer b.carrier.closeInside()
	// Before anything runs, so that nothing runs that nobody can list.
	if err := b.session.record(b.plan, b.digest, b.groups.Paths()); err != nil {
		return &Lack{Step: "prepare a run", Err: err}
	}
	cgroup, err := b.onThread(launch, boot, inside)
	if err != nil {
		return err
	}
	b.cgroups = append(b.groups.Paths(), cgroup...)
	if len(cgroup) > 0 {
		if err := b.session.record(b.plan, b.digest, cgroup); err != nil {
			return &Lack{Step: "prepare a run", Err: err}
		}
	}
	return nil
}

// onThread launches on a thread that lives as long as the box. pid 1 dies with
// the thread that started it, not with the process (PR_SET_PDEATHSIG, prctl(2)),
// and Go ends a thread whose goroutine returns without unlocking it, as
// goroutines of libcontainer do on whichever thread they run.
func (b *Box) onThread(launch launch, files ...*os.File) (cgroups []string, err error) {
	launched := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cgroups, err = launch(files)
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

// listen takes what the stages inside say, until they are gone.
func (b *Box) listen() {
	var listeners sync.WaitGroup
	startErr := error(&Lack{Step: "build the sandbox", Err: errors.New("it ended before the server was started")})
	reported, told, over := false, false, false
	var held []child.Message // until this process is confined
	for {
		m, err := b.control.Receive()
		if err != nil && over {
			break
		}
		if err != nil {
			// A signal that pid 1 did not read any more resets the socket, and that
			// is told before what pid 1 had still said (unix(7)).
			over = true
			continue
		}
		switch m.Kind {
		case child.Notify, child.Listeners, child.Seen, child.Laid:
			if b.keeps != nil && !reported {
				held = append(held, m)
			} else if err := b.hear(m, &listeners); err != nil {
				startErr = err
				b.kill()
			}
		case child.Started:
			reported = true
			b.started <- nil
			b.heard <- b.hearAll(held, &listeners)
			held = nil
		case child.Failed:
			startErr = failed(m.Explain(b.plan), b.plan.Process.Path)
		case child.Exited:
			told = true
			b.exit = Exit{Code: m.Code, Signal: syscall.Signal(m.Signal)}
			b.met = container.Over(b.cgroups) // before the user manager takes an empty scope away
			b.acknowledge()
		}
	}
	if !told {
		b.exit = Exit{Signal: syscall.SIGKILL} // pid 1 was killed, and the kernel ended the rest
	}
	if err := b.body.wait(); err != nil {
		b.err = fmt.Errorf("cannot wait for the sandbox: %w", err)
	}
	closeHeld(held)
	listeners.Wait()
	if reported {
		b.weigh()
	}
	b.closeEgress()
	b.release()
	if !reported {
		b.started <- startErr
	}
	close(b.done)
}

// acknowledge lets pid 1 go, which waits for it behind the server's end.
func (b *Box) acknowledge() {
	b.talking.RLock()
	defer b.talking.RUnlock()
	if !b.silent {
		_ = b.control.Send(child.Message{Kind: child.Signal}) // an error: it is gone
	}
}

// release gives everything back. What is still inside is killed.
func (b *Box) release() {
	b.finish.Do(func() {
		defer close(b.released)
		b.endTerminal()
		if b.body != nil {
			if err := b.body.destroy(); err != nil && b.err == nil {
				b.err = fmt.Errorf("cannot take the sandbox down: %w", err)
			}
		}
		if err := b.groups.Remove(); err != nil && b.err == nil {
			b.err = fmt.Errorf("cannot take the sandbox's control groups away: %w", err)
		}
		if b.control != nil {
			b.talking.Lock()
			b.silent = true
			b.control.Close()
			b.talking.Unlock()
		}
		if err := b.session.close(); err != nil && b.err == nil {
			b.err = fmt.Errorf("cannot take the run's directory away: %w", err)
		}
	})
}

// kill ends the sandbox at once. pid 1 dies, and the kernel ends the rest.
func (b *Box) kill() {
	b.talking.RLock()
	defer b.talking.RUnlock()
	if b.silent {
		return // everything inside is gone
	}
	b.control.Shutdown()
	b.body.kill()
}

// Signal sends a signal to the server. SIGKILL ends everything inside. The error
// is os.ErrProcessDone where nothing is left to get it.
func (b *Box) Signal(sig os.Signal) error {
	s, ok := sig.(syscall.Signal)
	if !ok {
		return fmt.Errorf("cannot send %v: not a signal of this system", sig)
	}
	if s == syscall.SIGKILL {
		b.kill()
		return nil
	}
	b.talking.RLock()
	defer b.talking.RUnlock()
	if b.silent {
		return os.ErrProcessDone
	}
	return b.control.Send(child.Message{Kind: child.Signal, Signal: int(s)})
}

// status says how the server ended, for a sentence.
func (b *Box) status() string {
	met := ""
	if len(b.over) > 0 {
		met = " (" + strings.Join(b.over, ", ") + ")"
	}
	if b.exit.Signal != 0 {
		return "was killed by " + unix.SignalName(b.exit.Signal) + met
	}
	return fmt.Sprintf("exited with code %d", b.exit.Code) + met
}

// Done is closed when the server and everything it started is gone.
func (b *Box) Done() <-chan struct{} { return b.done }

// Plan is what holds: the plan that Start was given, or that without the limits for
// which no control group was to be had.
func (b *Box) Plan() plan.Plan { return b.plan }

// Session names this run in the log.
func (b *Box) Session() string { return b.session.id }

// Wait waits until the server is gone and what it wrote was passed on. The
// error is of the sandbox itself or of the sink, never the server's exit.
func (b *Box) Wait() (Exit, error) {
	<-b.done
	<-b.carrier.done
	return b.exit, errors.Join(b.err, b.carrier.err)
}

// stamp adds to every event what it cannot know.
func (b *Box) stamp(sink audit.Sink) audit.Sink {
	digest := b.digest
	return func(e audit.Event) error {
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		e.Session, e.Server, e.Plan = b.session.id, b.plan.Name, digest
		if sink == nil {
			return nil
		}
		return sink(e)
	}
}
