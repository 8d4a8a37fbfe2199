package interview

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"mcpen/sandbox"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// era is one way to begin a conversation: the two know different methods, and a
// server may say something else in each.
type era struct{ revision, opening string }

var eras = []era{{"2025-11-25", "initialize"}, {"2026-07-28", "server/discover"}}

// Bounds of the questions to a server, and of their duration.
const (
	openingTime    = 30 * time.Second // to answer first; a package may have to warm up
	describingTime = 2 * time.Minute  // for everything
	maxPages       = 256              // of one list
	maxDefinitions = 20_000           // of one server
)

// Statement is one thing that a server says about itself.
type Statement struct {
	Kind definition.Kind
	Name string
	Raw  json.RawMessage
}

// Described is all that a server says about itself, in both eras, each
// definition once.
type Described struct {
	Server      string
	File        string // of the profile, or of the lock if there is none
	Definitions []Statement
	given       []policy.Given // to the server that said it
}

// Tools are the definitions of tools, and their names.
func (d Described) Tools() (raw [][]byte, names []string) {
	for _, def := range d.Definitions {
		if def.Kind == definition.KindTool {
			raw, names = append(raw, def.Raw), append(names, def.Name)
		}
	}
	return raw, names
}

// Ask starts a server once for each era, in the sandbox that its profile
// describes, and asks it for everything that a model would read. It also asks for
// things that the profile hides from clients: the profile may allow them tomorrow. The
// workspace is an empty folder, and not the user's.
func Ask(ctx context.Context, c *server.Caller, version string, w server.Words, file string) (Described, error) {
	workspace, err := os.MkdirTemp("", "mcpen-scan-")
	if err != nil {
		return Described{}, fmt.Errorf("cannot make an empty workspace: %w", err)
	}
	defer os.RemoveAll(workspace)
	w.Workspace, w.Empty, w.Interview = workspace, true, true
	p, err := c.Prepare(ctx, w)
	if err != nil {
		return Described{}, err
	}
	defer p.Close()
	secrets, err := c.FetchSecrets(ctx, p)
	if err != nil {
		return Described{}, err
	}
	started := p.Plan.WithSecrets(secrets)
	d := Described{Server: p.Policy.Name, File: file, given: p.Policy.Given}
	if len(p.Policy.Sources) > 0 && file == "" {
		d.File = p.Policy.Sources[0].File
	}
	seen := map[string]bool{}
	var shut error // why no conversation began
	opened := false
	for _, e := range eras {
		said, err := converse(ctx, c, started, p.Dirs, e, version)
		var no *noConversation
		if errors.As(err, &no) {
			if shut == nil {
				shut = err
			}
			continue
		}
		if err != nil {
			return Described{}, err
		}
		opened = true
		for _, def := range said {
			known, err := definition.Define(def.Kind, def.Raw)
			if err != nil {
				return Described{}, fmt.Errorf("a %s of it cannot be read: %w", def.Kind, err)
			}
			if key := string(def.Kind) + known.SHA256; !seen[key] {
				seen[key] = true
				d.Definitions = append(d.Definitions, Statement{def.Kind, known.Name, def.Raw})
			}
		}
	}
	if !opened {
		return Described{}, shut
	}
	return d, nil
}

// noConversation is the error of a server that does not speak as it was spoken
// to: it may do so in the other era.
type noConversation struct{ err error }

func (e *noConversation) Error() string { return e.err.Error() }
func (e *noConversation) Unwrap() error { return e.err }

// converse starts a server, lets it describe itself in one era and ends it. The
// relay is between, so that nothing comes here that two readers could take for
// different things.
func converse(ctx context.Context, c *server.Caller, p plan.Plan, at user.Dirs, e era, version string) ([]Statement, error) {
	ctx, cancel := context.WithTimeout(ctx, describingTime)
	defer cancel()
	var ends [3][2]*os.File
	for i := range ends {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		defer w.Close()
		ends[i] = [2]*os.File{r, w}
	}
	log, err := launch.OpenJournal(p, user.LogDir(at), c.Err)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	box, err := sandbox.Start(ctx, p, sandbox.Stdio{In: ends[0][0], Out: ends[1][1], Err: ends[2][1]}, log.Write, sandbox.Options{Secure: server.Secure(p)})
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := box.Wait()
		// Tell the reader at the other ends.
		ends[0][0].Close()
		ends[1][1].Close()
		ends[2][1].Close()
		ended <- err
	}()
	last := &tail{}
	var stderr sync.WaitGroup
	stderr.Go(func() { io.Copy(last, ends[2][0]) })
	t := &talk{era: e, version: version, in: ends[0][1], out: bufio.NewReader(ends[1][0])}
	said, err := t.everything(ctx, cancel)
	ends[0][1].Close()
	io.Copy(io.Discard, t.out) // its unread output would keep it from ending
	failed := <-ended
	stderr.Wait()
	if err == nil {
		return said, failed
	}
	if words := last.line(); words != "" {
		err = fmt.Errorf("%w; its last words: %s", err, words)
	}
	return nil, err
}

// CodeNoMethod is JSON-RPC's code for a method that is not there.
const CodeNoMethod = -32601

// Differs lists a server's new or changed definitions, and those that are gone.
func (d Described) Differs(pins definition.Pins, now time.Time) (changes []definition.Change, gone []definition.Definition, err error) {
	known := map[string][]definition.Definition{}
	key := func(d definition.Definition) string { return string(d.Kind) + "\x00" + d.Name }
	for _, p := range pins.Definitions {
		if p.State == definition.Approved || p.State == definition.Seen {
			known[key(p)] = append(known[key(p)], p)
		}
	}
	said := map[string]bool{}
	for _, def := range d.Definitions {
		n, err := definition.Define(def.Kind, def.Raw)
		if err != nil {
			return nil, nil, err
		}
		n = n.Seen(d.given, now)
		said[key(n)] = true
		n.State = definition.Waiting // until the update is over
		c := definition.Change{New: n}
		same := false
		for _, old := range known[key(n)] {
			same = same || n.Like(old, d.given, now)
			c.Old = old
		}
		if !same {
			changes = append(changes, c)
		}
	}
	for _, p := range pins.Definitions {
		if (p.State == definition.Approved || p.State == definition.Seen) && !said[key(p)] {
			gone = append(gone, p)
		}
	}
	return changes, gone, nil
}
