package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// talk gives the server lines and returns its answers.
func talk(t *testing.T, lines ...string) []map[string]any {
	t.Helper()
	var out strings.Builder
	if err := serve(strings.NewReader(strings.Join(lines, "\n")+"\n"), &out); err != nil {
		t.Fatal(err)
	}
	var answers []map[string]any
	for line := range strings.Lines(out.String()) {
		var a map[string]any
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	return answers
}

// The demonstration needs a server that really does as asked: a server that failed by
// itself would make any sandbox look good.
func TestToolsDoWhatTheyAreAsked(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "note")
	answers := talk(t,
		`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"write_file","arguments":{"path":"`+path+`","text":"hello"}}}`,
		`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"read_file","arguments":{"path":"`+path+`"}}}`,
		`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"list_directory","arguments":{"path":"`+dir+`"}}}`,
		`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"read_file","arguments":{"path":"`+path+`-none"}}}`,
	)
	if len(answers) != 6 {
		t.Fatalf("%d answers, want 6: a notification has none", len(answers))
	}
	if v := answers[0]["result"].(map[string]any)["protocolVersion"]; v != "2025-06-18" {
		t.Errorf("agreed on %v", v)
	}
	if n := len(answers[1]["result"].(map[string]any)["tools"].([]any)); n != len(tools) {
		t.Errorf("%d tools listed, want %d", n, len(tools))
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "hello" {
		t.Errorf("wrote %q, %v", b, err)
	}
	for i, want := range map[int]string{3: "hello", 4: "note"} {
		if got := text(answers[i]); got != want {
			t.Errorf("answer %d: %q, want %q", i, got, want)
		}
	}
	if failed := answers[5]["result"].(map[string]any)["isError"]; failed != true {
		t.Error("a file that is not there was read")
	}
}

func text(answer map[string]any) string {
	return answer["result"].(map[string]any)["content"].([]any)[0].(map[string]any)["text"].(string)
}

func TestModernClientsDiscover(t *testing.T) {
	result := talk(t, `{"jsonrpc":"2.0","id":"d","method":"server/discover"}`)[0]["result"].(map[string]any)
	for _, field := range []string{"supportedVersions", "capabilities", "resultType", "ttlMs", "cacheScope", "_meta"} {
		if _, ok := result[field]; !ok {
			t.Errorf("server/discover answers without %s", field)
		}
	}
}

func TestWhatIsNotUnderstoodIsAnswered(t *testing.T) {
	answers := talk(t, `nonsense`, `{"jsonrpc":"2.0","id":1,"method":"sampling/create"}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"none"}}`)
	for i, code := range []float64{codeParse, codeMethod, codeArgument} {
		if got := answers[i]["error"].(map[string]any)["code"]; got != code {
			t.Errorf("answer %d: code %v, want %v", i, got, code)
		}
	}
}

func TestConnectWantsAnAnswer(t *testing.T) {
	answering, silent := listener(t, "HTTP/1.0 200 OK\r\n"), listener(t, "")
	for port, failed := range map[int]bool{answering: false, silent: true} {
		_, err := connect(arguments{Host: "127.0.0.1", Port: port})
		if (err != nil) != failed {
			t.Errorf("port %d: %v", port, err)
		}
	}
}

// listener accepts one connection, sends a text, and closes the connection.
func listener(t *testing.T, says string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, says)
	}()
	return l.Addr().(*net.TCPAddr).Port
}
