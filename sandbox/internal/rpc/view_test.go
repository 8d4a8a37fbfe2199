package rpc_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mcpen/sandbox/internal/rpc"
)

func TestViewReadsEveryKindOfMessage(t *testing.T) {
	for _, c := range []struct {
		line   string
		kind   rpc.Kind
		id     string
		method string
		params string
	}{
		{`{"jsonrpc":"2.0","id":0,"method":"ping"}`, rpc.Request, `0`, "ping", ""},
		{`{"method":"tools/call","params":{"name":"x"},"jsonrpc":"2.0","id":"a b"}` + "\r\n", rpc.Request, `"a b"`, "tools/call", `{"name":"x"}`},
		{"\t{ \"jsonrpc\" : \"2.0\" , \"id\" : 9007199254740993 , \"method\" : \"x\" }\n", rpc.Request, "9007199254740993", "x", ""},
		{`{"jsonrpc":"2.0","id":-7,"method":"x","params":null}`, rpc.Request, "-7", "x", "null"},
		{`{"jsonrpc":"2.0","id":1,"method":"x","params":[]}`, rpc.Request, "1", "x", "[]"},
		{`{"jsonrpc":"2.0","id":1,"m\u0065thod":"p\u0069ng"}`, rpc.Request, "1", "ping", ""},
		{`{"jsonrpc":"2.0","method":"notifications/initialized"}`, rpc.Notification, "", "notifications/initialized", ""},
		{`{"jsonrpc":"2.0","id":1,"result":null}`, rpc.Response, "1", "", ""},
		{`{"jsonrpc":"2.0","id":1,"result":{"a":[1,{"b":"\ud83d\ude00"}],"c":-1.5e-3}}`, rpc.Response, "1", "", ""},
		{`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}`, rpc.Error, "null", "", ""},
		{`{"jsonrpc":"2.0","error":{"code":-32700,"message":"m"}}`, rpc.Error, "", "", ""},
		{` [{"jsonrpc":"2.0","id":1,"method":"ping"}]`, rpc.Batch, "", "", ""},
	} {
		m, err := rpc.View([]byte(c.line))
		if err != nil {
			t.Errorf("View(%s): %v", c.line, err)
			continue
		}
		if m.Kind != c.kind || string(m.ID) != c.id || m.Method != c.method || string(m.Params) != c.params {
			t.Errorf("View(%s) = %v id %s method %q params %s", c.line, m.Kind, m.ID, m.Method, m.Params)
		}
	}
}

// Each line is refused for its reason. Its twin differs only in the named fault, and is
// accepted.
func TestViewRefusesWhatReadersReadDifferently(t *testing.T) {
	deep := func(n int) string { // n levels below the message itself
		return `{"jsonrpc":"2.0","method":"x","params":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	many := func(last string) string {
		var b strings.Builder
		for i := range 40 {
			fmt.Fprintf(&b, `"k%d":0,`, i)
		}
		return `{"jsonrpc":"2.0","method":"x","params":{` + b.String() + `"` + last + `":1}}`
	}
	in := func(params string) string { return `{"jsonrpc":"2.0","id":1,"method":"x","params":` + params + `}` }
	at := func(member string) string { return `{"jsonrpc":"2.0","id":1,"method":"x",` + member + `}` }
	for _, c := range []struct {
		reason     rpc.Reason
		line, twin string
	}{
		{rpc.DuplicateKey, at(`"method":"y"`), at(`"methods":"y"`)},
		{rpc.DuplicateKey, in(`{"a":[{"b":1,"b":2}]}`), in(`{"a":[{"b":1,"B":2}]}`)},
		{rpc.DuplicateKey, in(`{"name":1,"n\u0061me":2}`), in(`{"name":1,"n\\u0061me":2}`)},
		{rpc.DuplicateKey, in(`{"":1,"":2}`), in(`{"":1," ":2}`)},
		{rpc.DuplicateKey, in(`{"é":1,"\u00e9":2}`), in(`{"é":1,"e\u0301":2}`)},
		{rpc.DuplicateKey, many("k17"), many("k170")},
		{rpc.DuplicateKey, many("k\\u00317"), many("k\\u003170")},
		{rpc.LookAlikeKey, at(`"Params":{}`), at(`"Param":{}`)},
		{rpc.LookAlikeKey, at(`"paramſ":{}`), at(`"paramß":{}`)},
		{rpc.LookAlikeKey, at(`"RE\u017fULT":{}`), at(`"REULT":{}`)},
		{rpc.NULKey, at(`"result\u0000":{}`), at(`"result0":{}`)},
		{rpc.InvalidUTF8, in("[\"\xff\"]"), in("[\"\xc3\xbf\"]")},
		{rpc.InvalidUTF8, in("[\"\xed\xa0\x80\"]"), in("[\"\xed\x9f\xbf\"]")},
		{rpc.InvalidUTF8, in("[\"abcdefgh\xc0\xaf\"]"), in("[\"abcdefgh/\"]")},
		// In a text it is an emoji that somebody cut, and passes.
		{rpc.LoneSurrogate, in(`{"\ud800":1}`), in(`{"a":"\ud800"}`)},
		{rpc.LoneSurrogate, in(`[{"\udc00\ud800":1}]`), in(`["\udc00\ud800"]`)},
		{rpc.LoneSurrogate, in(`{"\ud800\u0041":1}`), in(`{"\u0041":1}`)},
		{rpc.LoneSurrogate, at(`"\ud800":1`), at(`"x":"\ud800"`)},
		{rpc.LoneSurrogate, `{"jsonrpc":"2.0","id":"\udead","method":"x"}`, `{"jsonrpc":"2.0","id":"\ud83d\ude00","method":"x"}`},
		{rpc.LoneSurrogate, `{"jsonrpc":"2.0","id":1,"method":"\ud83d"}`, `{"jsonrpc":"2.0","id":1,"method":"\ud83d\ude00"}`},
		{rpc.NumberRange, in(`[1e309]`), in(`[1e308]`)},
		{rpc.NumberRange, in(`[` + strings.Repeat("9", 400) + `]`), in(`[` + strings.Repeat("9", 300) + `]`)},
		{rpc.LineBreak, in("[1,\r2]"), in("[1, 2]")},
		{rpc.LineBreak, in("[1\n]"), in("[1 ]") + "\n"},
		{rpc.LineBreak, in("[]") + "\r\n\r\n", in("[]") + "\r\n"},
		{rpc.TooDeep, deep(128), deep(127)},
		{rpc.ResultAndError, `{"jsonrpc":"2.0","id":1,"result":1,"error":{}}`, `{"jsonrpc":"2.0","id":1,"result":1}`},
		{rpc.ResultAndError, `{"jsonrpc":"2.0","id":1,"result":1,"error":null}`, `{"jsonrpc":"2.0","id":1,"error":{}}`},
		{rpc.MethodAndAnswer, at(`"result":1`), at(`"x":1`)},
		{rpc.BadID, `{"jsonrpc":"2.0","id":1.0,"method":"x"}`, `{"jsonrpc":"2.0","id":1,"method":"x"}`},
		{rpc.BadID, `{"jsonrpc":"2.0","id":-0,"method":"x"}`, `{"jsonrpc":"2.0","id":0,"method":"x"}`},
		{rpc.BadID, `{"jsonrpc":"2.0","id":null,"method":"x"}`, `{"jsonrpc":"2.0","id":"null","method":"x"}`},
		{rpc.BadID, `{"jsonrpc":"2.0","id":{},"method":"x"}`, `{"jsonrpc":"2.0","id":"{}","method":"x"}`},
		{rpc.BadID, `{"jsonrpc":"2.0","id":true,"result":1}`, `{"jsonrpc":"2.0","id":"true","result":1}`},
		{rpc.LongID, `{"jsonrpc":"2.0","id":"` + strings.Repeat("a", 1023) + `","method":"x"}`, `{"jsonrpc":"2.0","id":"` + strings.Repeat("a", 1022) + `","method":"x"}`},
		{rpc.LongID, `{"jsonrpc":"2.0","result":1,"id":"` + strings.Repeat("\\n", 512) + `"}`, `{"jsonrpc":"2.0","result":1,"id":"` + strings.Repeat("\\n", 511) + `"}`},
		{rpc.BadMethod, `{"jsonrpc":"2.0","id":1,"method":5}`, `{"jsonrpc":"2.0","id":1,"method":"5"}`},
		{rpc.BadParams, in(`"x"`), in(`["x"]`)},
		{rpc.BadError, `{"jsonrpc":"2.0","id":1,"error":"x"}`, `{"jsonrpc":"2.0","id":1,"error":{"x":1}}`},
		{rpc.BadVersion, `{"jsonrpc":"1.0","id":1,"method":"x"}`, `{"jsonrpc":"2.0","id":1,"method":"x"}`},
		{rpc.BadVersion, `{"jsonrpc":2.0,"id":1,"method":"x"}`, `{"jsonrpc":"2.0","id":1,"method":"x"}`},
		{rpc.NoMember, `{"jsonrpc":"2.0","id":1}`, `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{rpc.NoID, `{"jsonrpc":"2.0","result":1}`, `{"jsonrpc":"2.0","result":1,"id":1}`},
		{rpc.NoID, `{"jsonrpc":"2.0","id":null,"result":1}`, `{"jsonrpc":"2.0","result":1,"id":1}`},
		{rpc.NotObject, `"x"`, in(`{}`)},
		{rpc.NotObject, "", in(`{}`)},
		{rpc.NotObject, "\ufeff" + in(`{}`), " " + in(`{}`)},
		{rpc.Trailing, in(`{}`) + `{}`, in(`{}`) + " "},
		{rpc.Syntax, in(`[01]`), in(`[10]`)},
		{rpc.Syntax, in(`[1.]`), in(`[1.0]`)},
		{rpc.Syntax, in(`[1,]`), in(`[1]`)},
		{rpc.Syntax, in(`{"a":1,}`), in(`{"a":1}`)},
		{rpc.Syntax, in(`["\x41"]`), in(`["\\x41"]`)},
		{rpc.Syntax, in("[\"\x01\"]"), in(`["\u0001"]`)},
		{rpc.Syntax, in(`[tru]`), in(`[true]`)},
		{rpc.Syntax, in(`[1}`), in(`[1]`)},
		{rpc.Syntax, `{"jsonrpc":"2.0","id":1,"method":"x"`, `{"jsonrpc":"2.0","id":1,"method":"x"}`},
	} {
		_, err := rpc.View([]byte(c.line))
		var r *rpc.Refusal
		if !errors.As(err, &r) || r.Reason != c.reason {
			t.Errorf("View(%.200q): %v, want %q", c.line, err, c.reason)
		}
		if _, err := rpc.View([]byte(c.twin)); err != nil {
			t.Errorf("View(%.200q): %v, want it accepted", c.twin, err)
		}
	}
}

// Somebody waits for the answer to a refused request: View finds the id even if it
// follows the fault.
func TestViewFindsTheIDOfARefusedRequest(t *testing.T) {
	for line, id := range map[string]string{
		`{"method":"x","params":{"a":1,"a":2},"jsonrpc":"2.0","id":12}`:                                                       "12",
		"{\"method\":\"x\",\"params\":{\"a\":\"\xff\"},\"jsonrpc\":\"2.0\",\"id\":\"q\"}":                                     `"q"`,
		`{"method":"x","params":` + strings.Repeat("[", 4000) + strings.Repeat("]", 4000) + `,"jsonrpc":"2.0","id":12}`:       "12",
		`{"jsonrpc":"2.0","id":3,"method":"x","params":[1,}`:                                                                  "3",
		`{"jsonrpc":"2.0","id":3,"method":"x","id":4}`:                                                                        "",
		"{\"jsonrpc\":\"2.0\",\"id\":\"\xdc\",\"method\":\"x\"}":                                                              "",
		`{"jsonrpc":"2.0","id":"\ud800","method":"x"}`:                                                                        "",
		`{"jsonrpc":"2.0","id":[3],"method":"x"}`:                                                                             "",
		`{"jsonrpc":"2.0","method":"x","params":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `,"id":"late"}`: "",
	} {
		m, err := rpc.View([]byte(line))
		if err == nil || string(m.ID) != id || m.Params != nil {
			t.Errorf("View(%.80q) = id %s, %v; want id %s and an error", line, m.ID, err, id)
		}
		if id != "" && m.Kind != rpc.Request {
			t.Errorf("View(%.80q) is a %v", line, m.Kind)
		}
	}
}

func TestViewBoundsMembers(t *testing.T) {
	line := []byte(`{"jsonrpc":"2.0","id":1,"result":{`)
	for i := range 1<<20 + 10 {
		line = fmt.Appendf(line, `"%x":0,`, i)
	}
	line = append(line[:len(line)-1], "}}"...)
	_, err := rpc.View(line)
	var r *rpc.Refusal
	if !errors.As(err, &r) || r.Reason != rpc.TooManyMembers {
		t.Errorf("a million keys: %v", err)
	}
}

func TestViewDoesNotAllocate(t *testing.T) {
	if race {
		t.Skip("under the race detector sync.Pool forgets on purpose")
	}
	lines := [][]byte{
		[]byte(`{"method":"tools/call","params":{"name":"read","arguments":{"path":"/a\n\u00e9"},"_meta":{"progressToken":1}},"jsonrpc":"2.0","id":4}`),
		[]byte(`{"jsonrpc":"2.0","id":4,"result":{"content":[{"type":"text","text":"` + strings.Repeat("é ", 2000) + `"}]}}`),
	}
	for _, line := range lines {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := rpc.View(line); err != nil {
				t.Fatal(err)
			}
		}); n >= 1 {
			t.Errorf("View(%.60s…) allocates %v times", line, n)
		}
	}
}

func TestOffset(t *testing.T) {
	line := []byte(`{"jsonrpc":"2.0","id":4,"result":{"tools":[1,22]}}`)
	m, err := rpc.View(line)
	if err != nil {
		t.Fatal(err)
	}
	for v := range rpc.Elements(rpc.Get(m.Result, "tools")) {
		if at := rpc.Offset(line, v); string(line[at:at+len(v)]) != string(v) {
			t.Errorf("Offset of %s is %d", v, at)
		}
	}
}

func TestErrorReply(t *testing.T) {
	got := string(rpc.ErrorReply([]byte(`"a\"b"`), rpc.CodeInvalidParams, "no \"x\"\n\x1b[0m\xff"))
	want := `{"jsonrpc":"2.0","id":"a\"b","error":{"code":-32602,"message":"no \"x\"\n\u001b[0m` + "\ufffd" + `"}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := string(rpc.ErrorReply(nil, -32022, "x")); got != `{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"x"}}` {
		t.Errorf("a code of MCP's own range went out: %s", got)
	}
	for _, line := range []string{want, string(rpc.ErrorReply(nil, 1, "x"))} {
		if m, err := rpc.View([]byte(line)); err != nil || m.Kind != rpc.Error {
			t.Errorf("View(%s) = %v, %v", line, m.Kind, err)
		}
	}
}

func ExampleMembers() {
	m, _ := rpc.View([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\tb","arguments":{"x":[1, 2]}}}`))
	for key, value := range rpc.Members(m.Params) {
		fmt.Printf("%s = %s\n", key, value)
	}
	// Output:
	// name = "a\tb"
	// arguments = {"x":[1, 2]}
}

func BenchmarkView(b *testing.B) {
	ping := []byte(`{"jsonrpc":"2.0","id":123456,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"client","version":"1.2.3"},"traceparent":"x"}}}`)
	b.Run("ping", func(b *testing.B) { view(b, ping) })
	b.Run("tools", func(b *testing.B) { view(b, toolsList(1<<20)) })
	b.Run("text", func(b *testing.B) {
		view(b, []byte(`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"`+strings.Repeat(`lorem ipsum dolor\n`, 1<<16)+`"}]}}`))
	})
	b.Run("keys", func(b *testing.B) {
		line := []byte(`{"jsonrpc":"2.0","id":1,"result":{"x":0`)
		for i := range 100_000 {
			line = fmt.Appendf(line, `,"%x":0`, i)
		}
		view(b, append(line, "}}"...))
	})
}

func view(b *testing.B, line []byte) {
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rpc.View(line); err != nil {
			b.Fatal(err)
		}
	}
}

// toolsList is a tools/list answer of about n bytes.
func toolsList(n int) []byte {
	line := []byte(`{"result":{"tools":[`)
	for i := 0; len(line) < n; i++ {
		if i > 0 {
			line = append(line, ',')
		}
		line = fmt.Appendf(line, `{"name":"list-folder-%d","description":"Retrieve a collection of the items in a folder.\n\nSupports paging with \"top\" and \"skip\"; see the notes on throttling.","inputSchema":{"type":"object","properties":{"folderId":{"type":"string","description":"Path parameter: folder id"},"top":{"type":"number","description":"Show only the first n items","minimum":0},"filter":{"type":"array","items":{"type":"string"}},"fetchAllPages":{"type":"boolean","description":"Fetch all pages automatically"}},"required":["folderId"],"additionalProperties":false,"$schema":"http://json-schema.org/draft-07/schema#"},"annotations":{"title":"list-folder-%d","readOnlyHint":true,"destructiveHint":false,"openWorldHint":true},"execution":{"taskSupport":"forbidden"}}`, i, i)
	}
	return append(line, `]},"jsonrpc":"2.0","id":1}`...)
}
