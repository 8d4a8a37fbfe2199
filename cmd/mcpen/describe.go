package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
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

// statement is one thing that a server says about itself.
type statement struct {
	kind definition.Kind
	name string
	raw  json.RawMessage
}

// described is all that a server says about itself, in both eras, each
// definition once.
type described struct {
	server      string
	file        string // of the profile, or of the lock if there is none
	definitions []statement
	given       []policy.Given // to the server that said it
}

// tools are the definitions of tools, and their names.
func (d described) tools() (raw [][]byte, names []string) {
	for _, def := range d.definitions {
		if def.kind == definition.KindTool {
			raw, names = append(raw, def.raw), append(names, def.name)
		}
	}
	return raw, names
}

// interview starts a server once for each era, in the sandbox that its profile
// describes, and asks it for everything that a model would read. It also asks for
// things that the profile hides from clients: the profile may allow them tomorrow. The
// workspace is an empty folder, and not the user's.
func (a *app) interview(ctx context.Context, w server.Words, file string) (described, error) {
	workspace, err := os.MkdirTemp("", "mcpen-scan-")
	if err != nil {
		return described{}, fmt.Errorf("cannot make an empty workspace: %w", err)
	}
	defer os.RemoveAll(workspace)
	w.Workspace, w.Empty, w.Interview = workspace, true, true
	p, err := a.Prepare(ctx, w)
	if err != nil {
		return described{}, err
	}
	defer p.Close()
	secrets, err := a.FetchSecrets(ctx, p)
	if err != nil {
		return described{}, err
	}
	started := p.Plan.WithSecrets(secrets)
	d := described{server: p.Policy.Name, file: file, given: p.Policy.Given}
	if len(p.Policy.Sources) > 0 && file == "" {
		d.file = p.Policy.Sources[0].File
	}
	seen := map[string]bool{}
	var shut error // why no conversation began
	opened := false
	for _, e := range eras {
		said, err := a.converse(ctx, started, p.Dirs, e)
		var no *noConversation
		if errors.As(err, &no) {
			if shut == nil {
				shut = err
			}
			continue
		}
		if err != nil {
			return described{}, err
		}
		opened = true
		for _, def := range said {
			known, err := definition.Define(def.kind, def.raw)
			if err != nil {
				return described{}, fmt.Errorf("a %s of it cannot be read: %w", def.kind, err)
			}
			if key := string(def.kind) + known.SHA256; !seen[key] {
				seen[key] = true
				d.definitions = append(d.definitions, statement{def.kind, known.Name, def.raw})
			}
		}
	}
	if !opened {
		return described{}, shut
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
func (a *app) converse(ctx context.Context, p plan.Plan, at user.Dirs, e era) ([]statement, error) {
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
	log, err := launch.OpenJournal(p, user.LogDir(at), a.Err)
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
	t := &talk{era: e, in: ends[0][1], out: bufio.NewReader(ends[1][0])}
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

// talk is one conversation with a server.
type talk struct {
	era  era
	in   io.Writer
	out  *bufio.Reader
	last int // id of a request
	said []statement
}

// everything asks for all that there is. A server that does not open in time is
// ended with cancel.
func (t *talk) everything(ctx context.Context, cancel func()) ([]statement, error) {
	late := time.AfterFunc(openingTime, cancel)
	result, err := t.open()
	late.Stop()
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer to %s within %s", t.era.opening, openingTime)
		}
		return nil, &noConversation{err}
	}
	if text := result["instructions"]; len(text) > 0 && text[0] == '"' {
		t.said = append(t.said, statement{kind: definition.KindInstructions, raw: text})
	}
	identity := result["serverInfo"]
	if meta := object(result["_meta"]); t.era.opening != "initialize" {
		identity = meta["io.modelcontextprotocol/serverInfo"]
	}
	if object(identity) != nil {
		t.said = append(t.said, statement{kind: definition.KindIdentity, raw: identity})
	}
	has := object(result["capabilities"])
	for _, l := range []struct {
		capability, method, key string
		kind                    definition.Kind
	}{
		{"tools", "tools/list", "tools", definition.KindTool},
		{"prompts", "prompts/list", "prompts", definition.KindPrompt},
		{"resources", "resources/list", "resources", definition.KindResource},
		{"resources", "resources/templates/list", "resourceTemplates", definition.KindTemplate},
	} {
		if _, ok := has[l.capability]; !ok {
			continue // no client asks for it
		}
		if err := t.list(l.method, l.key, l.kind); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("it did not tell everything within %s", describingTime)
			}
			return nil, err
		}
	}
	return t.said, nil
}

// open begins the conversation.
func (t *talk) open() (map[string]json.RawMessage, error) {
	if t.era.opening != "initialize" {
		result, err := t.ask(t.era.opening, map[string]any{})
		if err != nil {
			return nil, err
		}
		var versions []string
		if err := json.Unmarshal(result["supportedVersions"], &versions); err != nil || !slices.Contains(versions, t.era.revision) {
			return nil, fmt.Errorf("it does not know revision %s", t.era.revision)
		}
		return result, nil
	}
	result, err := t.ask(t.era.opening, map[string]any{"protocolVersion": t.era.revision, "capabilities": struct{}{}, "clientInfo": clientInfo()})
	if err != nil {
		return nil, err
	}
	return result, t.write(map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"})
}

func clientInfo() map[string]string { return map[string]string{"name": "mcpen", "version": release} }

// list reads one list, page by page.
func (t *talk) list(method, key string, kind definition.Kind) error {
	params := map[string]any{}
	for range maxPages {
		result, err := t.ask(method, params)
		var answer *answerError
		if errors.As(err, &answer) && answer.Code == codeNoMethod {
			return nil // it has none of these
		}
		if err != nil {
			return err
		}
		var items []json.RawMessage
		if raw := result[key]; raw != nil {
			if err := json.Unmarshal(raw, &items); err != nil {
				return fmt.Errorf("its answer to %s holds no list", method)
			}
		}
		for _, raw := range items {
			t.said = append(t.said, statement{kind: kind, raw: raw})
		}
		if len(t.said) > maxDefinitions {
			return fmt.Errorf("it has more than %d definitions", maxDefinitions)
		}
		var next *string
		if raw := result["nextCursor"]; raw != nil {
			if err := json.Unmarshal(raw, &next); err != nil {
				return fmt.Errorf("its answer to %s has a cursor that is no text", method)
			}
		}
		if next == nil {
			return nil
		}
		params = map[string]any{"cursor": *next}
	}
	return fmt.Errorf("its answer to %s has more than %d pages", method, maxPages)
}

// codeNoMethod is JSON-RPC's code for a method that is not there.
const codeNoMethod = -32601

// answerError is a server's answer that says no.
type answerError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	method  string
}

func (e *answerError) Error() string {
	return fmt.Sprintf("it answered %s with error %d: %s", e.method, e.Code, audit.Visible(e.Message))
}

// ask sends a request and waits for the answer. It also answers the server's own
// requests meanwhile: some servers wait for that.
func (t *talk) ask(method string, params map[string]any) (map[string]json.RawMessage, error) {
	t.last++
	if t.era.opening != "initialize" {
		params["_meta"] = map[string]any{"io.modelcontextprotocol/protocolVersion": t.era.revision,
			"io.modelcontextprotocol/clientInfo": clientInfo(), "io.modelcontextprotocol/clientCapabilities": struct{}{}}
	}
	if err := t.write(map[string]any{"jsonrpc": "2.0", "id": t.last, "method": method, "params": params}); err != nil {
		return nil, fmt.Errorf("it ended before it was asked for %s", method)
	}
	for {
		line, err := t.out.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("it ended before it answered %s", method)
		}
		m := object(line)
		switch {
		case m["method"] != nil && m["id"] != nil:
			if err := t.answer(m); err != nil {
				return nil, fmt.Errorf("it ended before it answered %s", method)
			}
		case string(m["id"]) != fmt.Sprint(t.last):
		case m["error"] != nil:
			refused := &answerError{method: method}
			if err := json.Unmarshal(m["error"], refused); err != nil {
				return nil, fmt.Errorf("it answered %s with an error that cannot be read", method)
			}
			return nil, refused
		default:
			result := object(m["result"])
			if result == nil {
				return nil, fmt.Errorf("its answer to %s is no object", method)
			}
			return result, nil
		}
	}
}

// answer tells the server that this client lives and does nothing for it.
func (t *talk) answer(m map[string]json.RawMessage) error {
	reply := map[string]any{"jsonrpc": "2.0", "id": m["id"]}
	if string(m["method"]) == `"ping"` {
		reply["result"] = struct{}{}
	} else {
		reply["error"] = map[string]any{"code": codeNoMethod, "message": "this client only reads descriptions"}
	}
	return t.write(reply)
}

func (t *talk) write(message map[string]any) error {
	line, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = t.in.Write(append(line, '\n'))
	return err
}

// object is an object's members by their exact keys, or nil.
func object(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

// tail keeps the end of its input.
type tail struct{ text []byte }

func (t *tail) Write(b []byte) (int, error) {
	const most = 4096
	t.text = append(t.text, b...)
	if len(t.text) > most {
		t.text = slices.Clone(t.text[len(t.text)-most:])
	}
	return len(b), nil
}

// line is the last line that says something, safe to print.
func (t *tail) line() string {
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return audit.Visible(strings.TrimSpace(lines[len(lines)-1]))
}
