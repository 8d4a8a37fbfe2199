package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/user"
)

func (a *app) logCommand() *cli.Command {
	return &cli.Command{
		Name:      "log",
		Usage:     "show what was decided: what ran, what was refused and which line would allow it",
		ArgsUsage: "[SERVER]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "f", Usage: "go on as events come"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line"},
			&cli.BoolFlag{Name: "net", Usage: "names and connections only"},
			&cli.BoolFlag{Name: "last", Usage: "the refusals of the last session, each with its why: by which line, and what would allow it"},
			&cli.StringFlag{Name: "since", Usage: "a `TIME` or how long ago: 2026-01-31, 15m, 2h, 3d"},
		},
		Action: func(c *cli.Context) error {
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			o := logOptions{Dir: user.LogDir(at), Server: c.Args().First(), Since: c.String("since"), Net: c.Bool("net"), JSON: c.Bool("json"),
				Follow: c.Bool("f"), Now: time.Now(), Zone: time.Local, Columns: a.columns()}
			if o.Server != "" {
				n, err := a.Named(at, o.Server)
				if err != nil {
					return err
				}
				o.Server, o.Allow = n.Name, n.Profile
			}
			if c.Bool("last") {
				if o.Follow || o.Net || o.Since != "" {
					return usage("mcpen log --last "+o.Server, "--last is one whole session: it goes with --json alone")
				}
				return a.lastLog(c.Context, o, at)
			}
			if o.Follow {
				tick := time.NewTicker(250 * time.Millisecond)
				defer tick.Stop()
				o.Tick = tick.C
			}
			return runLog(c.Context, o, a.out)
		},
	}
}

// logOptions holds the command line of log.
type logOptions struct {
	Dir    string // of the logs
	Server string // empty: all
	Allow  string // the profile to write a right into; "": there is none
	Since  string // as audit.ParseSince reads it; empty: everything that is kept
	Net    bool   // names and connections only
	JSON   bool
	Follow bool
	// Columns is the width of the terminal, 0 for no terminal: one line an event.
	Columns int

	Now  time.Time
	Zone *time.Location   // in which times are shown; nil: UTC
	Tick <-chan time.Time // how often to look for more, with Follow
}

// logMargin indents the continuation of an event that is longer than a terminal's line.
const logMargin = 4

// netKinds are the events of --net.
var netKinds = []audit.Kind{audit.KindName, audit.KindConnect}

// runLog prints the events that o asks for, the oldest first, one a line, and
// with Follow goes on until ctx is done. Lines of a log that are no events are
// counted in the error, which is a noteError then: everything else was printed.
func runLog(ctx context.Context, o logOptions, out io.Writer) error {
	if o.Server != "" {
		var err error
		if o.Server, err = catalog.Meant(logged(o.Dir), o.Server); err != nil {
			return err
		}
	}
	filter := audit.Filter{Server: o.Server}
	if o.Net {
		filter.Kinds = netKinds
	}
	var err error
	if filter.Since, err = audit.ParseSince(o.Since, o.Now, o.zone()); err != nil {
		return &launch.Error{Code: exitUsage, Err: err, Hint: "mcpen log --since 2h"}
	}
	r, err := audit.OpenReader(o.Dir, filter)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("nothing was recorded yet: there is no %q", o.Dir)
	}
	if err != nil {
		return fmt.Errorf("cannot read the log: %w", err)
	}
	defer r.Close()
	if err := o.unknown(); err != nil {
		return err
	}
	var last lastRun
	show := func(e audit.Event) error {
		last.see(e)
		return o.show(out, e)
	}
	if o.Follow {
		err = r.Follow(ctx, o.Tick, show)
	} else {
		err = r.Read(show)
	}
	if err != nil {
		return fmt.Errorf("cannot show the log: %w", err)
	}
	if o.Server != "" && !o.JSON && !o.Net && !o.Follow {
		last.tell(out, o.Allow)
	}
	if r.Foreign > 0 {
		return noteError(fmt.Sprintf("%d lines of the log in %q are no events and were left out", r.Foreign, o.Dir))
	}
	return nil
}

func (o logOptions) zone() *time.Location {
	if o.Zone == nil {
		return time.UTC
	}
	return o.Zone
}

func (o logOptions) show(out io.Writer, e audit.Event) error {
	if o.JSON {
		line, err := audit.Encode(e)
		if err != nil {
			return err
		}
		_, err = out.Write(line)
		return err
	}
	e.Time = e.Time.In(o.zone())
	if o.Columns == 0 {
		_, err := fmt.Fprintln(out, audit.FormatText(e))
		return err
	}
	text, advice := audit.FormatApart(e)
	text = hang(text, o.Columns, logMargin)
	if advice != "" {
		text += "\n" + strings.Repeat(" ", logMargin) + advice // whole, whatever its length: it is to be pasted
	}
	_, err := fmt.Fprintln(out, text)
	return err
}
