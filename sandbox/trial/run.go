package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"mcpen/sandbox"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/internal/intercept"
	"mcpen/sandbox/plan"
)

// Stage is the set of a trial: a desk and a certificate authority, both made for one
// run.
type Stage struct {
	Desk *Desk
	ca   *intercept.Authority
}

// NewStage makes a stage.
func NewStage(now time.Time) (*Stage, error) {
	ca, err := intercept.NewAuthority(now)
	if err != nil {
		return nil, err
	}
	return &Stage{Desk: newDesk(now), ca: ca}, nil
}

// Certificates returns a bundle with the stage's own authority added.
func (s *Stage) Certificates(bundle []byte) []byte {
	return append(append(slices.Clone(bundle), '\n'), s.ca.PEM()...)
}

// JavaCertificates is Certificates as a Java key store (JKS).
func (s *Stage) JavaCertificates(bundle []byte) []byte {
	return intercept.JKS(s.Certificates(bundle), s.Desk.now)
}

// Answer is the invented internet's answer to every request.
type Answer = intercept.Answer

// The tools to call.
const (
	CallReading = "read-only" // tools that declare themselves read-only, or whose names suggest it
	CallAll     = "all"
	CallNone    = "none"
)

// Config configures a trial.
type Config struct {
	Plan   plan.Plan // with the desk
	Stage  *Stage
	Answer Answer
	Call   string
	Each   bool          // a separate start for every tool
	Watch  time.Duration // idle time at the end
	Limit  time.Duration // for the whole trial
	Only   []string      // the hosts, as NAME:PORT, that exist; nil: all
	// Scripts are what the installer would have run: each is run once, before the program.
	Scripts []Script
}

// Script is what a package asks an installer to run.
type Script struct {
	Of   string // the package
	Plan plan.Plan
	// Mark is the line that the plan's program writes to stdout after the script, before it
	// waits for the end of stdin.
	Mark string
}

// scriptTime is how long a script may take.
const scriptTime = 30 * time.Second

// The time limits of a conversation.
const (
	openTime = 25 * time.Second
	listTime = 15 * time.Second
	callTime = 10 * time.Second
	endTime  = 3 * time.Second
	maxPages = 64
	maxTools = 2000
	maxCalls = 60
	rounds   = 3 // some programs act only on a later call
)

// Tool is one of the program's tools.
type Tool struct {
	Name     string    `json:"name"`
	Says     string    `json:"description,omitempty"`
	ReadOnly bool      `json:"read_only,omitempty"` // by its own declaration
	Calls    int       `json:"calls"`
	Outcome  string    `json:"outcome,omitempty"`
	Findings []Finding `json:"findings,omitempty"`

	schema json.RawMessage
	raw    json.RawMessage
}

// Finding is a passage in the program's text that a person should read.
type Finding struct {
	Of    string `json:"of"`
	Kind  string `json:"kind"`
	Hold  bool   `json:"hold,omitempty"`
	Words string `json:"words"`
	Why   string `json:"why"`
}

// Run is the result of one trial.
type Run struct {
	Started   time.Time
	Took      time.Duration
	Opened    bool
	OpenAfter time.Duration // time to its first answer
	Revision  string
	Server    string // the name it gives itself
	Tools     []*Tool
	Prompts   int
	Resources int
	Findings  []Finding
	Asked     map[string]int // its requests to the client
	Garbage   int
	Sample    string
	Words     string // the end of its stderr
	Trouble   string // why the conversation was incomplete; "" if it was complete
	Ended     string // how it ended
	Exit      string
	Stops     string // "when stdin ends", "at SIGTERM", "only when killed", "by itself"
	Memory    int64  // the maximum observed, in bytes
	Flooded   string // when it wrote without end; "" if it did not
	Scripts   []ScriptEnd
	OutOfTime bool
	left      left
	*record
}

// Hold holds a trial. An error comes from the sandbox; the Run holds everything that
// the program did.
func Hold(ctx context.Context, cfg Config) (*Run, error) {
	r := &Run{Started: time.Now(), record: newRecord(cfg.Stage.Desk), Asked: map[string]int{}}
	r.ephemeral = cfg.Plan.Network.Ephemeral
	ctx, cancel := context.WithTimeout(ctx, cfg.Limit)
	defer cancel()
	for _, s := range cfg.Scripts {
		if err := r.script(ctx, cfg, s); err != nil {
			return nil, err
		}
	}
	if err := r.session(ctx, cfg, nil); err != nil {
		return nil, err
	}
	if cfg.Each {
		for _, t := range r.Tools {
			if !cfg.calls(t) || ctx.Err() != nil {
				continue
			}
			if err := r.session(ctx, cfg, t); err != nil {
				return nil, err
			}
		}
	}
	r.OutOfTime = ctx.Err() != nil
	r.Took = time.Since(r.Started)
	return r, nil
}

// session is one start of the program. If only is set, it calls only that tool.
func (r *Run) session(ctx context.Context, cfg Config, only *Tool) error {
	_, err := r.visit(ctx, cfg, cfg.Plan, AtStart, only == nil, "", func(t *talk, began time.Time) { r.converse(ctx, cfg, t, began, only) })
	return err
}

// script runs an install script to its end, and a while at most. What it leaves running
// is seen then, before stdin ends.
func (r *Run) script(ctx context.Context, cfg Config, s Script) error {
	ended := ScriptEnd{Of: visible(s.Of)}
	exit, err := r.visit(ctx, cfg, s.Plan, InScript+ended.Of, false, s.Mark, func(t *talk, _ time.Time) {
		select {
		case <-t.ended:
		case <-t.marked:
		case <-time.After(scriptTime):
			ended.Late = true
		case <-ctx.Done():
			ended.Late = true
		}
	})
	if ended.Code = exit.Code; exit.Signal != 0 && !ended.Late {
		ended.Code = 128 + int(exit.Signal)
	}
	r.Scripts = append(r.Scripts, ended)
	return err
}

// ScriptEnd is the end of an install script.
type ScriptEnd struct {
	Of   string
	Code int
	Late bool // it did not end by itself
}

// visit is one start of something on the desk, from the phase on. What the program says
// of itself is kept of the first.
func (r *Run) visit(ctx context.Context, cfg Config, p plan.Plan, phase string, first bool, mark string, do func(*talk, time.Time)) (exit sandbox.Exit, err error) {
	r.enter(phase)
	r.record.again()
	var ends [3][2]*os.File
	for i := range ends {
		a, b, err := os.Pipe()
		if err != nil {
			return exit, err
		}
		defer a.Close()
		defer b.Close()
		ends[i] = [2]*os.File{a, b}
	}
	internet := intercept.New(cfg.Stage.ca, cfg.Answer, r.record)
	r.record.name = internet.Name
	var world sandbox.World = internet
	if cfg.Only != nil {
		world = &narrow{Internet: internet, allow: cfg.Only, record: r.record}
	}
	folders := &laid{}
	defer folders.close()
	trial := &sandbox.Trial{World: world, Saw: r.record.saw, Laid: func(home, tmp *os.File) { folders.home, folders.tmp = home, tmp }}
	began := time.Now()
	quiet, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return exit, err
	}
	defer quiet.Close()
	box, err := sandbox.Start(context.WithoutCancel(ctx), p, sandbox.Stdio{In: ends[0][0], Out: ends[1][1], Err: ends[2][1]}, r.record.event, sandbox.Options{Raw: true, Trial: trial})
	if err != nil {
		return exit, err
	}
	gone := make(chan sandbox.Exit, 1)
	go func() {
		exit, _ := box.Wait()
		ends[0][0].Close()
		ends[1][1].Close()
		ends[2][1].Close()
		gone <- exit
	}()
	defer box.Signal(syscall.SIGKILL)
	t := newTalk(ends[0][1], r.record, cfg.Stage.Desk)
	t.mark = mark
	last := &words{}
	stderr := r.index.watch(r.way("stderr"), func(h Hit) { r.leak(h, "stderr", false) })
	stderr.most = maxDecoded
	var readers sync.WaitGroup
	readers.Go(func() { t.listen(ends[1][0], func() { box.Signal(syscall.SIGKILL) }) })
	readers.Go(func() {
		io.Copy(io.MultiWriter(last, stderr), io.LimitReader(ends[2][0], maxStderr))
		io.Copy(io.Discard, ends[2][0])
		stderr.Close()
	})
	weighing, stop := context.WithCancel(context.Background())
	readers.Go(func() { r.weigh(weighing) })
	do(t, began)
	if phase == AtStart {
		r.enter(Leaving)
	}
	exit = r.leave(box, t, ends[0][1], gone, first)
	stop()
	readers.Wait()
	l := folders.inspect(cfg.Stage.Desk, func(h Hit, where string) {
		if h.Canary.File != where {
			r.leak(h, where, false)
		}
	}, r.index)
	r.merge(l)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flooded && r.Flooded == "" {
		r.Flooded = phase
	}
	if phase != AtStart {
		return exit, nil
	}
	for what, n := range t.asked {
		r.Asked[what] += n
	}
	r.Garbage += t.garbage
	if r.Sample == "" {
		r.Sample = t.sample
	}
	if first {
		r.Words = last.String()
	}
	return exit, nil
}

// merge adds the files that one session left.
func (r *Run) merge(l left) {
	for _, w := range l.written {
		if !slices.ContainsFunc(r.left.written, func(have Written) bool { return have.Path == w.Path }) {
			r.left.written = append(r.left.written, w)
		}
	}
	if r.left.touched == nil {
		r.left.touched = map[string]string{}
	}
	maps.Copy(r.left.touched, l.touched)
	r.left.more = r.left.more || l.more
}

// converse plays the client's part.
func (r *Run) converse(ctx context.Context, cfg Config, t *talk, began time.Time, only *Tool) {
	if err := r.open(ctx, t, began); err != nil {
		if only == nil {
			r.Trouble = "it did not answer the handshake: " + err.Error()
		}
		return
	}
	r.Opened = true
	if only != nil {
		r.call(ctx, t, only)
		return
	}
	r.enter(Listing)
	if err := r.lists(ctx, t); err != nil {
		r.Trouble = err.Error()
	}
	r.findings()
	if !cfg.Each {
		r.exercise(ctx, cfg, t)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return
	}
	r.enter(Idling)
	select {
	case <-time.After(cfg.Watch):
	case <-t.ended:
	case <-ctx.Done():
	}
}

// open starts with the handshake, which nearly every program uses, and continues
// without it if the program does not understand that.
func (r *Run) open(ctx context.Context, t *talk, began time.Time) error {
	result, err := t.ask(ctx, "initialize", map[string]any{"protocolVersion": "2025-06-18", "capabilities": capabilities(), "clientInfo": client()}, openTime)
	var no *answerError
	if errors.As(err, &no) {
		t.modern = "2026-07-28"
		result, err = t.ask(ctx, "server/discover", nil, openTime)
	}
	if err != nil {
		return err
	}
	if r.OpenAfter == 0 {
		r.OpenAfter = time.Since(began)
	}
	var said struct {
		Revision     string                         `json:"protocolVersion"`
		Instructions string                         `json:"instructions"`
		Server       struct{ Name, Version string } `json:"serverInfo"`
	}
	_ = json.Unmarshal(result, &said) // missing members stay empty
	r.Revision, r.Server = visible(said.Revision), visible(strings.TrimSpace(said.Server.Name+" "+said.Server.Version))
	if r.Revision == "" {
		r.Revision = t.modern
	}
	if said.Instructions != "" && len(r.Findings) == 0 {
		r.add("instructions", finding.ScanText(said.Instructions))
	}
	if t.modern == "" {
		t.write(map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"})
	}
	return nil
}

func (r *Run) add(of string, found []finding.Finding) {
	for _, f := range found {
		if len(r.Findings) < 256 {
			r.Findings = append(r.Findings, Finding{Of: of, Kind: string(f.Kind), Hold: f.Severity == finding.Hold, Words: visible(f.Words), Why: visible(f.Why)})
		}
	}
}

// lists requests everything that a model would get.
func (r *Run) lists(ctx context.Context, t *talk) error {
	err := pages(ctx, t, "tools/list", "tools", func(raw json.RawMessage) {
		if len(r.Tools) < maxTools {
			r.Tools = append(r.Tools, toolOf(raw))
		}
	})
	if err != nil {
		return fmt.Errorf("it did not list its tools: %w", err)
	}
	_ = pages(ctx, t, "prompts/list", "prompts", func(raw json.RawMessage) {
		r.Prompts++
		r.add("a prompt", finding.Scan(definition.KindPrompt, raw))
	})
	_ = pages(ctx, t, "resources/list", "resources", func(raw json.RawMessage) {
		r.Resources++
		r.add("a resource", finding.Scan(definition.KindResource, raw))
	})
	return nil
}

func pages(ctx context.Context, t *talk, method, key string, each func(json.RawMessage)) error {
	params := map[string]any{}
	for range maxPages {
		result, err := t.ask(ctx, method, params, listTime)
		var no *answerError
		if errors.As(err, &no) {
			return nil // the program has none of these
		}
		if err != nil {
			return err
		}
		var page map[string]json.RawMessage
		var items []json.RawMessage
		if json.Unmarshal(result, &page) != nil || json.Unmarshal(page[key], &items) != nil {
			return nil
		}
		for _, raw := range items {
			each(raw)
		}
		var next string
		if json.Unmarshal(page["nextCursor"], &next) != nil || next == "" {
			return nil
		}
		params = map[string]any{"cursor": next}
	}
	return fmt.Errorf("its list goes on behind %d pages", maxPages)
}

func toolOf(raw json.RawMessage) *Tool {
	var said struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		InputSchema json.RawMessage `json:"inputSchema"`
		Annotations struct {
			ReadOnly bool `json:"readOnlyHint"`
		} `json:"annotations"`
	}
	_ = json.Unmarshal(raw, &said) // missing members stay empty
	return &Tool{Name: said.Name, Says: visibleLines(said.Description), ReadOnly: said.Annotations.ReadOnly, schema: said.InputSchema, raw: raw}
}

// findings scans the definitions of the tools.
func (r *Run) findings() {
	var all [][]byte
	for _, t := range r.Tools {
		all = append(all, t.raw)
	}
	for _, t := range r.Tools {
		for _, f := range finding.ScanAmong(definition.KindTool, t.raw, all) {
			if len(t.Findings) < 16 {
				t.Findings = append(t.Findings, Finding{Of: "tool " + visible(t.Name), Kind: string(f.Kind), Hold: f.Severity == finding.Hold, Words: visible(f.Words), Why: visible(f.Why)})
			}
		}
		r.Findings = append(r.Findings, t.Findings...)
	}
}

// readingWords are the beginnings of the names of reading tools, if nothing else says
// so.
var readingWords = []string{"get", "list", "read", "search", "find", "fetch", "query", "describe", "show", "view", "lookup", "resolve", "check", "count", "info",
	"status", "echo", "print", "convert", "calculate", "browse", "inspect", "explain", "summar", "analy", "directory", "git_status", "git_log", "git_diff", "git_show", "add", "think", "sequential", "current", "ping", "test", "sample", "weather", "help", "ask", "navigate", "open"}

// calls reports whether a tool is called.
func (cfg Config) calls(t *Tool) bool {
	switch cfg.Call {
	case CallAll:
		return true
	case CallNone:
		return false
	}
	lower := strings.ToLower(t.Name)
	return t.ReadOnly || slices.ContainsFunc(readingWords, func(w string) bool {
		return strings.HasPrefix(lower, w) || strings.Contains(lower, "_"+w) || strings.Contains(lower, "-"+w) || strings.Contains(t.Name, strings.ToUpper(w[:1])+w[1:])
	})
}

// exercise calls tools, each once, and then again while there is time.
func (r *Run) exercise(ctx context.Context, cfg Config, t *talk) {
	calls := 0
	for round := range rounds {
		for _, tool := range r.Tools {
			if !cfg.calls(tool) || round > 0 && tool.Outcome == silent {
				continue
			}
			if calls++; calls > maxCalls || ctx.Err() != nil {
				return
			}
			select {
			case <-t.ended:
				return
			default:
			}
			r.call(ctx, t, tool)
		}
	}
}

// The outcomes of calls that end well, or not at all.
const (
	silent        = "no answer"
	answeredWell  = "answered"
	answeredBadly = "it reported an error"
)

func (r *Run) call(ctx context.Context, t *talk, tool *Tool) {
	r.enter("in tool " + visible(tool.Name))
	tool.Calls++
	result, err := t.ask(ctx, "tools/call", map[string]any{"name": tool.Name, "arguments": r.desk.arguments(tool.schema)}, callTime)
	var no *answerError
	var said struct {
		IsError bool `json:"isError"`
	}
	switch {
	case errors.As(err, &no):
		tool.Outcome = no.Error()
	case errors.Is(err, errEnded):
		tool.Outcome = "the server ended"
	case err != nil:
		tool.Outcome = silent
	case json.Unmarshal(result, &said) == nil && said.IsError:
		tool.Outcome = answeredBadly
	default:
		tool.Outcome = answeredWell
	}
}

// leave ends the program as a client does: by the end of stdin, then by a signal, then
// by force.
func (r *Run) leave(box *sandbox.Box, t *talk, in *os.File, gone <-chan sandbox.Exit, first bool) (exit sandbox.Exit) {
	stops := "by itself"
	select {
	case exit = <-gone:
	default:
		r.outliving(in, endTime)
		steps := []struct {
			how string
			sig syscall.Signal
		}{{"when stdin ends", 0}, {"at SIGTERM", syscall.SIGTERM}, {"only when killed", syscall.SIGKILL}}
		for _, s := range steps {
			if s.sig != 0 {
				box.Signal(s.sig)
			}
			stops = s.how
			wait := endTime
			switch s.sig {
			case 0:
				wait = endTime / 4 // outliving waited
			case syscall.SIGKILL:
				wait = time.Minute
			}
			select {
			case exit = <-gone:
			case <-time.After(wait):
				continue
			}
			break
		}
	}
	in.Close()
	if !first {
		return exit
	}
	r.Stops = stops
	r.Exit = fmt.Sprintf("exit status %d", exit.Code)
	if exit.Signal != 0 {
		r.Exit = "signal " + exit.Signal.String()
	}
	return exit
}

// weigh periodically measures the program's memory.
func (r *Run) weigh(ctx context.Context) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		pids := slices.Collect(maps.Keys(r.pids))
		r.mu.Unlock()
		var sum int64
		for _, pid := range pids {
			sum += resident(pid)
		}
		r.Memory = max(r.Memory, sum)
	}
}

// resident is the resident memory of a process, in bytes.
func resident(pid int) int64 {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text))
	if len(f) < 3 {
		return 0
	}
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
