package relay

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"mcpen/sandbox/internal/golden"
)

// TestConversations plays testdata/*.txtar. In a script, "c>" is a line from the client
// and ">c" the next line it must get, "s>" and ">s" likewise for the server, "e>" and
// ">e" for stderr; a text in quotes is a Go string and has no line end of its own. "c>
// EOF" ends the client's input, "exit" the server. After the script both sides end, and
// must not have received anything else.
func TestConversations(t *testing.T) {
	golden.Each(t, "testdata/*.txtar", 6, func(t *testing.T, _ string, ar *txtar.Archive) {
		got := play(t, string(ar.Files[0].Data))
		ar.Files = append(ar.Files[:1], txtar.File{Name: "events", Data: []byte(got)})
	})
}

// play runs one script and returns the events as JSON lines.
func play(t *testing.T, script string) string {
	g := newRig(t, func(c *Config) { c.MaxLine = 2000 })
	for n, line := range strings.Split(strings.TrimSpace(script), "\n") {
		op, text, _ := strings.Cut(line, " ")
		if strings.HasPrefix(text, `"`) {
			var err error
			if text, err = strconv.Unquote(text); err != nil {
				t.Fatalf("line %d: %v", n+1, err)
			}
		} else {
			text += "\n"
		}
		t.Logf("%d: %.100s", n+1, line)
		switch op {
		case "", "#":
		case "c>":
			if text == "EOF\n" {
				g.clientIn.Close()
			} else {
				g.send(g.clientIn, text)
			}
		case "s>":
			g.send(g.serverOut, text)
		case "e>":
			g.send(g.serverErr, text)
		case ">c":
			g.want(g.clientOut, text)
		case ">s":
			g.want(g.serverIn, text)
		case ">e":
			g.want(g.stderr, text)
		case "exit":
			g.exit()
		default:
			t.Fatalf("line %d: unknown %q", n+1, op)
		}
	}
	g.finish()
	if rest, _ := io.ReadAll(g.clientOut); len(rest) > 0 {
		t.Errorf("the client got more: %q", rest)
	}
	var b strings.Builder
	for _, e := range g.seen() {
		if !e.Time.IsZero() {
			t.Errorf("the relay has no clock: %v", e)
		}
		j, err := json.Marshal(struct {
			Kind, Verdict, Subject, Detail string
			Request                        any `json:",omitempty"`
		}{string(e.Kind), string(e.Verdict), e.Subject, e.Detail, e.Request})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(j, '\n'))
	}
	return b.String()
}
