package launch

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// Stdio is the client's side of a run.
type Stdio struct {
	In, Out, Err *os.File
	// Secure starts TLS with a proxy: see sandbox.Options. The launcher has none.
	Secure func(ctx context.Context, c net.Conn, name string) (net.Conn, error)
}

// EndsServer are the signals by which a client asks a server to end. The relay then
// ends it in order.
var EndsServer = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

// libcontainer logs the errors that it also returns, and stderr is for mcpen's
// messages.
func init() { logrus.SetOutput(io.Discard) }

// enough is the soft memory limit of a launcher, in bytes: an ordinary one uses half of
// it.
const enough = 24 << 20

// Main is the launcher: it carries out its order and returns the exit code.
func Main(env []string, stdio Stdio) int {
	// A start allocates some megabytes and keeps few: collecting them meanwhile costs
	// more than it frees. A running server's launcher uses the default again.
	debug.SetGCPercent(400)
	// The limit makes the collector free the garbage of long lines below it, whatever
	// the percentage. It is soft: a line may be longer.
	debug.SetMemoryLimit(enough)
	// The kernel names a program that is executed by a descriptor after the
	// descriptor's number.
	_ = os.WriteFile("/proc/self/comm", []byte("mcpen"), 0)
	// The descriptors that mcpen left open are for this process only.
	if err := HideDescriptors(); err != nil {
		return Report(stdio.Err, err)
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

// Run starts the server, relays its messages until it ends, and stores the definitions
// it saw. An error never means that the server itself ended.
func (o Order) Run(ctx context.Context, stdio Stdio) (sandbox.Exit, error) {
	UseBus(o.Bus)
	log, err := OpenJournal(o.Plan, o.Logs, stdio.Err)
	if err != nil {
		return sandbox.Exit{}, err
	}
	defer log.Close()
	again, stop := listenForReviews()
	defer stop()
	shelved, err := o.Pins.shelve()
	if err != nil {
		warn(stdio.Err, "%v", err)
	}
	keep := &keeper{pins: shelved, tell: stdio.Err, saw: make(chan struct{}, 1), again: again}
	withheld := newWithheld(o.Withheld, o.Allow, log.Write)
	box, err := sandbox.Start(ctx, o.Plan, sandbox.Stdio{In: stdio.In, Out: stdio.Out, Err: stdio.Err}, withheld.Write, sandbox.Options{
		Pins: o.Pins.Read, Saw: keep.notice, Others: func() []finding.Other { return Others(o.Config, o.State, o.Plan.Name) },
		Allow: o.Allow, Secure: stdio.Secure, Confine: o.confinement()})
	// Reap the child of package ahead, which has ended by now. No other child ends
	// without SIGCHLD (__WCLONE, waitpid(2)).
	_, _ = unix.Wait4(-1, nil, unix.WNOHANG|unix.WCLONE, nil)
	if failed := log.failed(); err != nil && failed != nil {
		return sandbox.Exit{}, failed
	}
	if err != nil {
		_ = log.Write(NotStarted(err)) // the caller reports the error itself
		return sandbox.Exit{}, err
	}
	mayUse(o.Procs)
	if !o.Quiet {
		line := "mcpen: " + o.startLine(box.Plan())
		if len(o.Plan.Without) > 0 {
			line = Red(stdio.Err, line)
		}
		fmt.Fprintln(stdio.Err, line)
	}
	followed := make(chan struct{})
	go func() { defer close(followed); keep.run(ctx, box) }()
	exit, err := box.Wait()
	<-followed
	if o.Keep {
		keep.keep(box)
	}
	if failed := log.failed(); failed != nil {
		return sandbox.Exit{}, failed
	}
	if err != nil {
		return sandbox.Exit{}, &Error{Code: ExitSandbox, Err: err}
	}
	withheld.tell(stdio.Err)
	if o.Death != "" && exit.Code != 0 && exit.Signal == 0 && ctx.Err() == nil {
		_ = log.Write(audit.Event{Kind: audit.KindPackage, Verdict: audit.Observed, Detail: "some of its packages have install scripts that did not run", Hint: oneLine(o.Death)}) // stderr says it as well
		fmt.Fprintln(stdio.Err, "mcpen: hint: "+o.Death)
	}
	return exit, nil
}

// confinement lists the files that this process needs beside those of the sandbox: the
// log, the server's shelf, and the index of the user's other servers. It leaves out
// folders that cannot be made: their users report that.
func (o Order) confinement() *sandbox.Confinement {
	c := &sandbox.Confinement{}
	if o.Config != "" {
		c.Read = append(c.Read, filepath.Join(o.Config, "profiles"))
	}
	folders := []string{o.Logs}
	if o.State != "" {
		folders = append(folders, filepath.Join(o.State, toolsFolder), filepath.Join(o.State, gapsFolder))
	}
	if o.Keep && o.Pins.Seen != "" {
		folders = append(folders, filepath.Dir(o.Pins.Seen))
	}
	for _, dir := range folders {
		if dir != "" && os.MkdirAll(dir, 0o700) == nil {
			c.Write = append(c.Write, dir)
		}
	}
	return c
}

// heldLine names the layers that hold, and those that somebody switched off.
func heldLine(p plan.Plan) string {
	layers := make([]string, len(p.Layers))
	for i, l := range p.Layers {
		layers[i] = string(l)
		if l == policy.LayerLandlock {
			layers[i] = fmt.Sprintf("landlock (ABI %d)", p.Landlock.ABI)
		}
	}
	line := p.Name + ": "
	for _, w := range p.Without {
		line += Without(w) + "; "
	}
	line += "held by " + strings.Join(layers, ", ")
	for _, m := range p.Root {
		if strings.HasPrefix(m.Why, plan.Beside) {
			line += fmt.Sprintf("; %s may be read (%s)", m.Target, m.Why)
		}
	}
	return line
}

// Without says which layer is off, and who switched it off.
func Without(w policy.Without) string {
	who := "--without"
	if w.At != (policy.Pos{}) {
		who = w.At.String()
	}
	return fmt.Sprintf("WITHOUT %s (%s)", w.Layer, who)
}

// listenForReviews must run before anybody can know about this run: until then the
// signal would end it.
func listenForReviews() (again <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, Reviewed)
	return c, func() { signal.Stop(c) }
}

// mayUse lets the launcher use n of Go's processors, now that the start is over. The
// network may already have asked for more.
func mayUse(n int) { runtime.GOMAXPROCS(max(n, runtime.GOMAXPROCS(0))) }
