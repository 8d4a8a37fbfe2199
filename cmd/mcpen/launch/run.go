package launch

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/guard"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// Stdio is the client's side of a run.
type Stdio struct{ In, Out, Err *os.File }

// EndsServer are the signals by which a client asks a server to end. The relay
// ends it in order.
var EndsServer = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

// enough is the memory that a launcher is content with, in bytes: an ordinary one
// has a third of it.
const enough = 32 << 20

// Main is the launcher: it does what it was ordered to and returns the exit
// code.
func Main(env []string, stdio Stdio) int {
	// A start allocates some megabytes and keeps few: collecting them meanwhile
	// costs more than it frees. A server that runs has the usual setting again.
	debug.SetGCPercent(400)
	// What long lines leave behind is collected before it is this much, whatever the
	// percentage. It is no limit: a line may be longer.
	debug.SetMemoryLimit(enough)
	// A program that is executed by a descriptor is called by its number.
	_ = os.WriteFile("/proc/self/comm", []byte("mcpen"), 0)
	// What mcpen left open for this process is for no other.
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return Report(stdio.Err, fmt.Errorf("cannot close inherited descriptors: %w", os.NewSyscallError("close_range", err)))
	}
	o, err := received(env)
	if err != nil {
		return Report(stdio.Err, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), EndsServer...)
	exit, err := o.Run(ctx, stdio)
	stop()
	if err != nil {
		return Report(stdio.Err, err)
	}
	return End(exit)
}

// Run starts the server, carries its messages until it ends, and keeps what it
// said. An error is never the server's own end.
func (o Order) Run(ctx context.Context, stdio Stdio) (sandbox.Exit, error) {
	log, err := OpenJournal(o.Plan, o.Logs, stdio.Err)
	if err != nil {
		return sandbox.Exit{}, err
	}
	defer log.Close()
	again, stop := listenForReviews()
	defer stop()
	keep := &keeper{pins: o.Pins, tell: stdio.Err, saw: make(chan struct{}, 1), again: again}
	box, err := sandbox.Start(ctx, o.Plan, sandbox.Stdio{In: stdio.In, Out: stdio.Out, Err: stdio.Err,
		Pins: o.Pins.Read, Saw: keep.notice, Others: func() []guard.Other { return Others(o.Config, o.State, o.Plan.Name) }}, log.Write)
	// What package ahead started is over; no other child ends without a signal.
	_, _ = unix.Wait4(-1, nil, unix.WNOHANG|unix.WCLONE, nil)
	if failed := log.Failed(); err != nil && failed != nil {
		return sandbox.Exit{}, failed
	}
	if err != nil {
		return sandbox.Exit{}, err
	}
	runtime.GOMAXPROCS(o.Procs)
	if !o.Quiet {
		fmt.Fprintln(stdio.Err, "mcpen: "+StartLine(o.Plan))
	}
	followed := make(chan struct{})
	go func() { defer close(followed); keep.run(ctx, box) }()
	exit, err := box.Wait()
	<-followed
	if o.Keep {
		keep.keep(box)
	}
	if failed := log.Failed(); failed != nil {
		return sandbox.Exit{}, failed
	}
	if err != nil {
		return sandbox.Exit{}, &Error{Code: ExitSandbox, Err: err}
	}
	return exit, nil
}

// StartLine says what holds, and by name what does not.
func StartLine(p plan.Plan) string {
	layers := make([]string, len(p.Layers))
	for i, l := range p.Layers {
		layers[i] = string(l)
		if l == policy.LayerLandlock {
			layers[i] = fmt.Sprintf("landlock (ABI %d)", p.Landlock.ABI)
		}
	}
	line := p.Name + ": held by " + strings.Join(layers, ", ")
	for _, g := range p.Gaps {
		line += fmt.Sprintf("; not held: %s (%s)", g.Want, g.Why)
	}
	return line
}

// listenForReviews is called before anybody can know of this run: the signal
// would end it otherwise.
func listenForReviews() (again <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, Reviewed)
	return c, func() { signal.Stop(c) }
}
