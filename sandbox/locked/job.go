package locked

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/pack/install"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// job runs a tool in its own sandbox: its folder, its runtime, one port of the
// loopback, and nothing else.
func (c *Packages) job(ctx context.Context, at user.Dirs, job install.Job) error {
	pol := policy.Closed("install")
	pol.Network.Allow = job.Network
	pol.Filesystem.Write = []policy.Path{{Path: job.Dir}}
	for _, r := range job.Reads {
		pol.Filesystem.Read = append(pol.Filesystem.Read, policy.Path{Path: r})
	}
	pol.Server.Dir = job.Dir
	install := &plan.Install{Dir: job.Dir, Umask: 0o022}
	for _, kv := range job.Env {
		name, value, _ := strings.Cut(kv, "=")
		install.Env = append(install.Env, plan.Env{Name: name, Value: value})
	}
	prog := plan.Program{Path: job.Argv[0], Args: job.Argv, Install: install}
	ask := c.Question(at, pol, prog)
	ask.Grounds = origin.Grounds(at, "")
	h, err := host.Probe(ctx, ask)
	if err != nil {
		return err
	}
	p, err := plan.Compile(pol, prog, h)
	if err != nil {
		return err
	}
	log, err := launch.OpenJournal(p, user.LogDir(at), c.Err)
	if err != nil {
		return err
	}
	defer log.Close()
	sink := func(e audit.Event) error {
		e.Package = job.For
		if c.Saw != nil {
			c.Saw(e)
		}
		return log.Write(e)
	}
	return c.runRaw(ctx, p, job.Stdout, job.Stderr, sink)
}

// runRaw runs a program that is no server and waits for it and its output.
func (c *Packages) runRaw(ctx context.Context, p plan.Plan, stdout, stderr io.Writer, log audit.Sink) error {
	in, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer in.Close()
	var copies sync.WaitGroup
	sink := func(to io.Writer) (*os.File, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		if to == nil {
			to = io.Discard
		}
		copies.Go(func() { io.Copy(to, r); r.Close() })
		return w, nil
	}
	out, err := sink(stdout)
	if err != nil {
		return err
	}
	errs, err := sink(stderr)
	if err != nil {
		out.Close()
		copies.Wait()
		return err
	}
	box, err := sandbox.Start(ctx, p, sandbox.Stdio{In: in, Out: out, Err: errs}, log, sandbox.Options{Raw: true})
	var exit sandbox.Exit
	if err == nil {
		exit, err = box.Wait()
	}
	out.Close()
	errs.Close()
	copies.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case exit.Signal != 0:
		return fmt.Errorf("it was ended by %v", exit.Signal)
	case exit.Code != 0:
		return fmt.Errorf("it exited with code %d", exit.Code)
	}
	return nil
}

// silence is how long an install says nothing where nobody looks on: a log gets a
// line now and then, and one that is over soon gets none.
const silence = 5 * time.Second

// progress reports the steps of an install. At a terminal it uses one line and removes
// it at the end; elsewhere it writes a line every few seconds. At the end it repeats
// the last line with the final numbers if they have changed.
func (c *Packages) progress(now func() time.Time) install.Progress {
	var mu sync.Mutex
	var last time.Time // of a line; the first step gets none
	shown := false
	said, newest := "", map[string]string{} // the step of the last line; of each step
	terminal := c.Terminal(c.Err)
	return func(step, detail string) {
		mu.Lock()
		defer mu.Unlock()
		text := audit.Visible("mcpen: " + step + ": " + detail)
		if step != "" {
			newest[step] = text
		}
		switch {
		case terminal && step != "":
			shown = true
			fmt.Fprintf(c.Err, "\r\x1b[K%.78s", text)
		case terminal && shown:
			shown = false
			fmt.Fprint(c.Err, "\r\x1b[K")
		case !terminal && step != "" && last.IsZero():
			last = now()
		case !terminal && step != "" && now().Sub(last) >= silence:
			last, said = now(), step
			fmt.Fprintln(c.Err, text)
			delete(newest, step)
		case !terminal && step == "":
			if more := newest[said]; said != "" && more != "" {
				fmt.Fprintln(c.Err, more)
			}
			said = ""
			clear(newest)
		}
	}
}
