package main

import (
	"context"
	"os"
	"strings"
	"testing"
)

// TestMain lets this binary be the server that the tests talk to.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		serve()
		return
	}
	os.Exit(m.Run())
}

// serve answers four requests by their position, and asks one itself.
func serve() {
	buf := make([]byte, 1<<16)
	read := func() { os.Stdin.Read(buf) }
	say := func(s string) { os.Stdout.WriteString(s + "\n") }
	read()
	say(`{"jsonrpc":"2.0","id":7,"method":"roots/list"}`)
	say(`{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"fake","version":"1"}}}`)
	for len(buf) > 0 {
		n, err := os.Stdin.Read(buf)
		if err != nil {
			return
		}
		for line := range strings.Lines(string(buf[:n])) {
			switch {
			case strings.Contains(line, `"method":"tools/list"`):
				say(`{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"one"},{"name":"t\u001b[31mwo"}]}}`)
			case strings.Contains(line, `"name":"one"`):
				say(`{"jsonrpc":"2.0","id":3,"result":{"content":[{"type":"text","text":"fine"}]}}`)
			case strings.Contains(line, `"name":"two"`):
				say(`{"jsonrpc":"2.0","id":4,"error":{"code":-32602,"message":"no"}}`)
			}
		}
	}
}

func transcript(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	code = run(context.Background(), append(args, "--", self, "serve"), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestTranscriptTellsWhatWasRefused(t *testing.T) {
	code, out, errs := transcript(t, "-list", "-allowed", "one", "-refused", `two={"a":1}`)
	if code != 0 {
		t.Fatalf("code %d: %s", code, errs)
	}
	for _, want := range []string{"fake 1, MCP 2025-11-25", "tools: one, t", "allowed  one {}", "refused  two {\"a\":1}", "no (-32602)"} {
		if !strings.Contains(out, want) {
			t.Errorf("the transcript lacks %q:\n%s", want, out)
		}
	}
	if strings.ContainsRune(out, '\x1b') {
		t.Error("a server's escape sequence reaches the terminal")
	}
}

func TestExpectationsThatFailAreTold(t *testing.T) {
	code, _, errs := transcript(t, "-list", "-refused", "one")
	if code == 0 || !strings.Contains(errs, "not as expected: one") {
		t.Errorf("code %d, %q", code, errs)
	}
}

func TestAServerThatEndsIsNoHang(t *testing.T) {
	var stdout, stderr strings.Builder
	if code := run(context.Background(), []string{"--", "true"}, &stdout, &stderr); code == 0 {
		t.Error("a server that says nothing counts as success")
	}
}
