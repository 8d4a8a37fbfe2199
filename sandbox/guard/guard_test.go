package guard_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/guard"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

func TestNewRefusesWhatItCannotEnforce(t *testing.T) {
	for name, cfg := range map[string]guard.Config{
		"pin mode":   {Tools: plan.Tools{Tools: policy.Tools{Pins: "on"}}},
		"findings":   {Tools: plan.Tools{Tools: policy.Tools{Findings: "x"}}},
		"text mode":  {Tools: plan.Tools{Tools: policy.Tools{Results: "x"}}},
		"limit":      {Tools: plan.Tools{Tools: policy.Tools{Rules: []policy.ToolRule{{Tool: "a", PerMinute: -1}}}}},
		"schema":     {Tools: plan.Tools{Tools: policy.Tools{Rules: []policy.ToolRule{{Tool: "a", Schema: map[string]any{"type": 5}}}}}},
		"remote":     {Tools: plan.Tools{Tools: policy.Tools{Rules: []policy.ToolRule{{Tool: "a", Schema: map[string]any{"$ref": "https://x.example/"}}}}}},
		"local file": {Tools: plan.Tools{Tools: policy.Tools{Rules: []policy.ToolRule{{Tool: "a", Schema: map[string]any{"$ref": "file:///etc/hostname"}}}}}},
		"too much":   {Tools: plan.Tools{Tools: policy.Tools{Rules: []policy.ToolRule{{Tool: "a", Schema: doubling(40)}}}}},
	} {
		if _, err := guard.New(cfg); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for name, cfg := range map[string]guard.Config{
		"nothing": {},
		"schema":  {Tools: plan.Tools{Tools: policy.Tools{Rules: []policy.ToolRule{{Tool: "a", Schema: doubling(8)}}}}},
	} {
		if _, err := guard.New(cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// doubling is a schema that has a value checked 2^n times.
func doubling(n int) map[string]any {
	defs := map[string]any{"d0": map[string]any{"type": "object"}}
	for i := 1; i <= n; i++ {
		ref := map[string]any{"$ref": fmt.Sprintf("#/$defs/d%d", i-1)}
		defs[fmt.Sprintf("d%d", i)] = map[string]any{"allOf": []any{ref, ref}}
	}
	return map[string]any{"$defs": defs, "$ref": fmt.Sprintf("#/$defs/d%d", n)}
}

// The zero config shows and passes only approved definitions.
func TestZeroConfigDenies(t *testing.T) {
	g, err := guard.New(guard.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := &pull{T: t, guard: g}
	s.hides(s.list(`{"name":"a"}`), "a")
	s.callable("a", false)
}

// The guard names a request in flight by its subject.
func TestRequestsAreNamed(t *testing.T) {
	long := strings.Repeat("n", 257)
	for _, c := range []struct{ method, params, name, args string }{
		{"tools/call", `{"name":"t","arguments":{"a":1}}`, "t", `{"a":1}`}, {"prompts/get", `{"name":"p","arguments":{}}`, "p", `{}`},
		{"resources/read", `{"uri":"file:///x","arguments":{"a":1}}`, "file:///x", ""}, {"resources/subscribe", `{"uri":"u"}`, "u", ""}, {"resources/unsubscribe", `{"uri":"u"}`, "u", ""},
		{"tools/list", `{"name":"t","uri":"u"}`, "", ""}, {"tools/call", `{"name":"` + long + `"}`, long[:256], ""},
	} {
		cfg := setup{Pins: policy.PinOff}.config(definition.Pins{})
		cfg.Args = true
		g, err := guard.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		g.Client([]byte(`{"jsonrpc":"2.0","id":1,"method":"` + c.method + `","params":` + c.params + `}`))
		if r := g.Requests().Newest(); r == nil || r.Name != c.name || string(r.Args) != c.args || r.Method != c.method {
			t.Errorf("%s %.40s: %+v", c.method, c.params, r)
		}
	}
	for _, unnamed := range []string{`{"uri":"u"}`, `{"name":7}`} {
		g, err := guard.New(setup{Pins: policy.PinOff}.config(definition.Pins{}))
		if err != nil {
			t.Fatal(err)
		}
		g.Client([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":` + unnamed + `}`))
		if r := g.Requests().Newest(); r != nil {
			t.Errorf("a call that names no tool is in flight: %+v", r)
		}
	}
}

func TestInFlight(t *testing.T) {
	s := newPull(t, `tool {"name":"a"}`, policy.PinEnforce)
	if r := s.guard.Requests().Newest(); r != nil {
		t.Errorf("in flight at the start: %+v", r)
	}
	s.send(`"method":"ping"`)
	s.callable("a", true)
	r := s.guard.Requests().Newest()
	if r == nil || r.Method != "tools/call" || r.Name != "a" || r.Others != 1 {
		t.Errorf("in flight: %+v", r)
	}
	s.guard.Server(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"result":{}}`, s.id))
	if r := s.guard.Requests().Newest(); r == nil || r.Method != "ping" || r.Others != 0 {
		t.Errorf("in flight: %+v", r)
	}
}

// Neither side can fill the memory with requests that nobody answers.
func TestFlightIsBounded(t *testing.T) {
	s := newPull(t, "", policy.PinOff)
	givenUp := 0
	for range 5000 {
		v := s.send(`"method":"x/y"`)
		if v.Forward == nil {
			t.Fatal("a request is refused")
		}
		givenUp += len(v.ToClient)
	}
	if givenUp != 5000-4096 {
		t.Errorf("%d of 5000 requests were given up", givenUp)
	}
	if v := s.guard.Server([]byte(`{"jsonrpc":"2.0","id":101,"result":{}}`)); v.Forward != nil {
		t.Error("the answer to a request that was given up passes")
	}
	if v := s.guard.Server([]byte(`{"jsonrpc":"2.0","id":5100,"result":{}}`)); v.Forward == nil {
		t.Error("the answer to the last request does not pass")
	}
	s.offering(`"roots":{}`)
	refused := 0
	for i := range 5000 {
		if v := s.guard.Server(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"roots/list"}`, i)); v.Forward == nil {
			refused++
		}
	}
	if refused != 5000-4096 {
		t.Errorf("%d of 5000 requests of the server refused", refused)
	}
}

// Both directions, reviews and questions at once; the race detector watches.
func TestConcurrency(t *testing.T) {
	g, err := guard.New(setup{Pins: policy.PinWarn, Findings: policy.FindingHold, Results: policy.TextShow, Secrets: []string{"hunter2-hunter2"}, Validate: true,
		Rules: []policy.ToolRule{{Tool: "*", PerMinute: 1000, Concurrent: 3}}}.config(definition.Pins{}))
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	asked := make(chan int, n)
	var all sync.WaitGroup
	all.Go(func() {
		defer close(asked)
		for i := range n {
			method := `"method":"tools/list"`
			if i%2 == 1 {
				method = `"method":"tools/call","params":{"name":"a"}`
			}
			if g.Client(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,%s}`, i, method)).Forward != nil {
				asked <- i
			}
		}
	})
	all.Go(func() {
		for i := range asked {
			result := fmt.Sprintf(`{"tools":[{"name":"a","description":"%d"},{"name":"b"}]}`, i/20)
			if i%2 == 1 {
				result = `{"content":[{"type":"text","text":"\u202ehunter2-hunter2"}]}`
			}
			g.Server(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"result":%s}`, i, result))
		}
	})
	all.Go(func() {
		for range 50 {
			if _, err := g.Reload(g.Pins().ApproveAll()); err != nil {
				t.Error(err)
			}
			g.Requests().Newest()
		}
	})
	all.Wait()
}

// FuzzGuard drives a guard with lines of both sides. For any lines, it forwards and
// sends one message each, answers every request that it does not forward, never calls
// or shows a tool that nobody approved, and sends no secret to the client.
func FuzzGuard(f *testing.F) {
	f.Add([]byte("c{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\ns{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":\"evil\"},{\"name\":\"good\"}],\"ttlMs\":5}}"))
	f.Add([]byte("c{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"evil\",\"arguments\":{}}}\ns{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"x\":\"hunter2-hunter2\\u202e\"}}"))
	f.Add([]byte("c{\"jsonrpc\":\"2.0\",\"id\":\"\\u0061\",\"method\":\"initialize\"}\ns{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":{\"instructions\":\"evil\",\"serverInfo\":{\"name\":\"evil\"}}}"))
	f.Add([]byte("c{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"good\"}}\nc{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\ns{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[]}"))
	f.Fuzz(func(t *testing.T, talk []byte) {
		good, err := definition.Define(definition.KindTool, []byte(`{"name":"good"}`))
		if err != nil {
			t.Fatal(err)
		}
		g, err := guard.New(setup{Pins: policy.PinEnforce, Results: policy.TextStrip, Secrets: []string{"hunter2-hunter2"}}.config(definition.Pins{}.Approve(good)))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.SplitSeq(talk, []byte("\n")) {
			if len(line) == 0 {
				continue
			}
			if m, err := rpc.View(line[1:]); err != nil || m.Kind == rpc.Batch {
				continue // the relay refuses it
			}
			client := line[0] == 'c'
			before := bytes.Clone(line)
			var v guard.Ruling
			if client {
				v = g.Client(line[1:])
			} else {
				v = g.Server(line[1:])
			}
			if !bytes.Equal(before, line) {
				t.Fatal("the line was changed in place")
			}
			verdict(t, client, line[1:], v)
		}
	})
}

func verdict(t *testing.T, client bool, line []byte, v guard.Ruling) {
	t.Helper()
	if v.Later != nil {
		v.Later()
	}
	m, _ := rpc.View(line)
	for _, l := range append([][]byte{v.Forward, v.Reply}, v.ToClient...) {
		if l == nil {
			continue
		}
		if _, err := rpc.View(l); err != nil || bytes.ContainsAny(bytes.TrimRight(l, "\r\n"), "\r\n") {
			t.Fatalf("no message: %q for %q: %v", l, line, err)
		}
	}
	if m.Kind == rpc.Request && v.Forward == nil && v.Reply == nil {
		t.Fatalf("a request is neither forwarded nor answered: %q", line)
	}
	if v.Forward == nil {
		return
	}
	out, _ := rpc.View(v.Forward)
	if client && out.Method == "tools/call" {
		if name, _ := rpc.Text(rpc.Get(out.Params, "name")); name != "good" {
			t.Fatalf("called: %q", v.Forward)
		}
	}
	text, _ := rpc.Text(rpc.Get(out.Result, "x"))
	if !client && strings.Contains(text, "hunter2-hunter2") {
		t.Fatalf("a secret goes out: %q", v.Forward)
	}
}

// A pattern matches as a person reads it, and in time that is bounded.
func TestFilterPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"read", "read", true}, {"read", "Read", false}, {"read", "reader", false}, {"*", "", true}, {"*", "any thing", true},
		{"read_*", "read_", true}, {"read_*", "read", false}, {"*_file", "read_file", true}, {"*_file", "read_files", false},
		{"a*b*c", "aXbXbXc", true}, {"a*b*c", "aXcXb", false}, {"?", "é", true}, {"?", "", false}, {"[ab]", "a", false}, {"[ab]", "[ab]", true},
		{strings.Repeat("*a", 50), strings.Repeat("a", 1000) + "b", false},
	} {
		g, err := guard.New(setup{Pins: policy.PinOff, Deny: []string{c.pattern}}.config(definition.Pins{}))
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
		g.Client(line)
		v := g.Server(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":%q,"x":"here"}]}}`, c.name))
		if got := !strings.Contains(string(v.Forward), "here"); got != c.want && c.name != "" {
			t.Errorf("%q hides %.20q: %v", c.pattern, c.name, got)
		}
	}
}

// An id is the client's own, whatever is in it.
func TestMaskKeepsIDs(t *testing.T) {
	g, err := guard.New(setup{Pins: policy.PinOff, Results: policy.TextStrip, Secrets: []string{"hunter2"}}.config(definition.Pins{}))
	if err != nil {
		t.Fatal(err)
	}
	g.Client([]byte(`{"jsonrpc":"2.0","id":"hunter2\u202e","method":"tools/call","params":{"name":"a"}}`))
	v := g.Server([]byte(`{"jsonrpc":"2.0","result":{"a":"hunter2\u202e"},"id":"hunter2\u202e"}`))
	if want := `{"jsonrpc":"2.0","result":{"a":"[secret]"},"id":"hunter2\u202e"}`; string(v.Forward) != want {
		t.Errorf("got  %s\nwant %s", v.Forward, want)
	}
}

// If an answer is unreadable, the guard frees the resources of its call once the relay
// has answered in its place.
func TestDropped(t *testing.T) {
	g, err := guard.New(setup{Pins: policy.PinOff, Rules: []policy.ToolRule{{Tool: "a", Concurrent: 1}}}.config(definition.Pins{}))
	if err != nil {
		t.Fatal(err)
	}
	s := &pull{T: t, guard: g}
	s.callable("a", true)
	s.callable("a", false)
	g.Requests().Drop([]byte("1"))
	s.callable("a", true)
	s.offering(`"roots":{}`)
	g.Server([]byte(`{"jsonrpc":"2.0","id":7,"method":"roots/list"}`))
	g.Asked().Drop([]byte("7"))
	if v := g.Client([]byte(`{"jsonrpc":"2.0","id":7,"result":{}}`)); v.Forward != nil {
		t.Error("the answer to a request that was given up passes")
	}
}

// The server cancels only requests of its own: if it could cancel the client's with the
// same id, the client would wait for an answer that never comes.
func TestServerCancelsItsOwnAlone(t *testing.T) {
	g, err := guard.New(setup{Pins: policy.PinOff}.config(definition.Pins{}))
	if err != nil {
		t.Fatal(err)
	}
	s := &pull{T: t, guard: g}
	s.offering(`"roots":{}`)
	s.callable("a", true)
	id := g.Requests().Newest().ID
	g.Server(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%s}}`, id))
	if !g.Requests().Waiting() {
		t.Error("the server took the client's request back")
	}
	g.Server(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"method":"roots/list"}`, id))
	if !g.Requests().Waiting() || !g.Asked().Waiting() {
		t.Error("a request of the server's answered the client's")
	}
	g.Client(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%s}}`, id))
	if g.Requests().Waiting() || !g.Asked().Waiting() {
		t.Error("what the client cancelled is waited for, or the server's request is not")
	}
	g.Server(fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%s}}`, id))
	if g.Asked().Waiting() {
		t.Error("what the server cancelled is waited for")
	}
}

// An empty allow list allows nothing: no tool is listed, and none is called.
func TestNothingAllowed(t *testing.T) {
	for _, nothing := range []policy.Pos{{}, {File: "p.toml", Line: 4, Col: 9}} {
		cfg := setup{Pins: policy.PinOff}.config(definition.Pins{})
		cfg.Tools.Nothing = nothing
		g, err := guard.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		want := nothing == (policy.Pos{})
		g.Client([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
		v := g.Server([]byte(`{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","x":"here"}]}}`))
		if got := strings.Contains(string(v.Forward), "here"); got != want {
			t.Errorf("listed: %v, want %v", got, want)
		}
		v = g.Client([]byte(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"a"}}`))
		if got := v.Forward != nil; got != want {
			t.Errorf("called: %v, want %v", got, want)
		}
	}
}
