package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
)

// logOptions holds the command line of log.
type logOptions struct {
	Dir    string // of the logs
	Server string // empty: all
	Allow  string // the profile to write a right into; "": there is none
	Since  string // as audit.ParseSince reads it; empty: everything that is kept
	Net    bool   // names and connections only
	JSON   bool
	Follow bool

	Now  time.Time
	Zone *time.Location   // in which times are shown; nil: UTC
	Tick <-chan time.Time // how often to look for more, with Follow
}

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

// unknown is an error if the named server has no log, and nobody waits for one.
func (o logOptions) unknown() error {
	if o.Server == "" || o.Follow {
		return nil
	}
	servers := logged(o.Dir)
	if slices.Contains(servers, strings.TrimSuffix(audit.FileName(o.Server), ".jsonl")) {
		return nil
	}
	hint := policy.DidYouMean(o.Server, servers)
	// A package with a profile is called as that is.
	for _, from := range []string{"npm:", "pypi:"} {
		if name, ok := profiles.For(from + o.Server); ok && slices.Contains(servers, name) {
			hint = "mcpen log " + name
		}
	}
	return &launch.Error{Code: 1, Err: fmt.Errorf("nothing was recorded of %q", o.Server), Hint: hint}
}

// logged lists the servers with a log, rotated or not.
func logged(dir string) []string {
	var out []string
	files, _ := os.ReadDir(dir) // reading the log reports the error
	for _, f := range files {
		if name, _, ok := strings.Cut(f.Name(), ".jsonl"); ok {
			out = append(out, name)
		}
	}
	return out
}

// noteError is a note for a person about a command that did its work.
type noteError string

func (n noteError) Error() string { return string(n) }

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
	_, err := fmt.Fprintln(out, audit.FormatText(e))
	return err
}
