package rpc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"mcpen/sandbox/internal/rpc"
)

// seeds are lines on which readers are known to differ, and lines on which they agree.
func seeds() []string {
	return []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[1,2.5,-3e4,true,null,"\u00e9\n"]}}}`,
		`{"jsonrpc":"2.0","id":"x","result":{"tools":[{"name":"a","inputSchema":{"type":"object"}}],"nextCursor":"c"}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"m","data":{}}}`,
		`{"jsonrpc":"2.0","method":"a","Method":"b"}`,
		`{"jsonrpc":"2.0","method":"a","method":"b"}`,
		`{"jsonrpc":"2.0","method":"a","m\u0065thod":"b"}`,
		`{"jsonrpc":"2.0","method":"a","params":{"\ud800":1,"\ud801":2}}`,
		`{"jsonrpc":"2.0","method":"a","params":{"x":"\ud83d\ude00"}}`,
		`{"jsonrpc":"2.0","method":"a","params":[1e400]}`,
		`{"jsonrpc":"2.0","method":"a","params":[1e-400,0.1E+2,-1]}`,
		`{"jsonrpc":"2.0","method":"a","method\u0000":"b"}`,
		"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":[\"\xff\"]}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\r\"x\":1}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"\u017f\":1,\"\u212a\":1,\"\u2028\":1}",
		`{"jsonrpc":"2.0","method":"a","params":` + strings.Repeat("[", 130) + strings.Repeat("]", 130) + `}`,
		`{"jsonrpc":"2.0","id":1,"method":"a","__proto__":{"x":1},"params":{"__proto__":1}}`,
		`[]`, `{}`, `null`, `{"a":1}x`, ` `, `{"a"}`, `{"a":}`, `{,}`, `[1 2]`, `{"a":1 "b":2}`,
	}
}

// message is the target of a JSON-RPC reader: encoding/json matches its fields without
// regard to case.
type message struct {
	JSONRPC json.RawMessage `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  json.RawMessage `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   json.RawMessage `json:"error"`
}

// FuzzView compares View with encoding/json, used in two ways. Both must read a line
// that View accepts as View does. View must not refuse a valid line as invalid JSON.
func FuzzView(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		m, err := rpc.View(line)
		if !bytes.Equal(line, before) {
			t.Fatal("View changed the line")
		}
		walk(line, 0)
		if m.Kind == rpc.Batch {
			return
		}
		if err != nil {
			var r *rpc.Refusal
			if !errors.As(err, &r) || r.Offset < 0 || r.Offset > len(line) {
				t.Fatalf("error %v", err)
			}
			if r.Reason == rpc.Syntax && json.Valid(line) {
				t.Fatalf("valid JSON is refused as none: %q", line)
			}
			if reply := rpc.ErrorReply(m.ID, 1, err.Error()); m.ID != nil {
				if _, err := rpc.View(reply); err != nil {
					t.Fatalf("the id of a refused line cannot be answered: %q: %v", line, err)
				}
			}
			return
		}
		agree(t, line, m)
	})
}

func agree(t *testing.T, line []byte, m rpc.Message) {
	t.Helper()
	if !json.Valid(line) || !utf8.Valid(line) {
		t.Fatalf("accepted, and not JSON: %q", line)
	}
	var folding message
	var exact map[string]json.RawMessage
	if err := json.Unmarshal(line, &folding); err != nil {
		t.Fatalf("encoding/json: %v", err)
	}
	if err := json.Unmarshal(line, &exact); err != nil {
		t.Fatalf("encoding/json: %v", err)
	}
	for _, c := range []struct {
		name          string
		view, folding []byte
	}{
		{"id", m.ID, folding.ID}, {"params", m.Params, folding.Params},
		{"result", m.Result, folding.Result}, {"error", m.Error, folding.Error},
	} {
		if !bytes.Equal(c.view, exact[c.name]) || !bytes.Equal(c.view, c.folding) {
			t.Fatalf("%s: View %q, exact %q, folding %q", c.name, c.view, exact[c.name], c.folding)
		}
	}
	if m.Method != "" {
		if s, ok := rpc.Text(exact["method"]); !ok || s != m.Method {
			t.Fatalf("method: View %q, exact %q", m.Method, exact["method"])
		}
	}
	same(t, line)
}

// same compares the walk over a value with the result of encoding/json.
func same(t *testing.T, raw []byte) {
	t.Helper()
	switch v := bytes.TrimSpace(raw); v[0] {
	case '{':
		var want map[string]json.RawMessage
		if err := json.Unmarshal(v, &want); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		n := 0
		for key, value := range rpc.Members(v) {
			if !bytes.Equal(want[string(key)], value) {
				t.Fatalf("member %q: walk %q, encoding/json %q", key, value, want[string(key)])
			}
			same(t, value)
			n++
		}
		if n != len(want) {
			t.Fatalf("the walk has %d members, encoding/json %d: %q", n, len(want), v)
		}
	case '[':
		var want []json.RawMessage
		if err := json.Unmarshal(v, &want); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		n := 0
		for value := range rpc.Elements(v) {
			if n >= len(want) || !bytes.Equal(want[n], value) {
				t.Fatalf("element %d: walk %q", n, value)
			}
			same(t, value)
			n++
		}
		if n != len(want) {
			t.Fatalf("the walk has %d elements, encoding/json %d: %q", n, len(want), v)
		}
	case '"':
		var want string
		if err := json.Unmarshal(v, &want); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		if got, ok := rpc.Text(v); !ok || replaced(got) != want {
			t.Fatalf("text: %q, encoding/json %q", got, want)
		}
	default:
		var x any
		if err := json.Unmarshal(v, &x); err != nil {
			t.Fatalf("encoding/json cannot read %q: %v", v, err)
		}
	}
}

// walk walks over unchecked bytes: it may find anything, but must not panic or loop for
// ever.
func walk(raw []byte, depth int) {
	if depth > 200 {
		return
	}
	for _, v := range rpc.Members(raw) {
		walk(v, depth+1)
	}
	for v := range rpc.Elements(raw) {
		walk(v, depth+1)
	}
	rpc.Text(raw)
}

// replaced is a text with half surrogate pairs replaced as encoding/json does.
func replaced(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == 0xed && i+2 < len(text) && text[i+1] >= 0xa0 {
			b.WriteRune(utf8.RuneError)
			i += 2
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
