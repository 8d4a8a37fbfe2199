package relay

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the events of testdata/*.txtar anew")

// TestConversations plays testdata/*.txtar. In a script, "c>" is a line from the client
// and ">c" the next line it must get, "s>" and ">s" likewise for the server, "e>" and
// ">e" for stderr; a text in quotes is a Go string and has no line end of its own. "c>
// EOF" ends the client's input, "exit" the server. After the script both sides end, and
// must not have received anything else.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(ar.Files[0].Data))
			if *update {
				ar.Files = append(ar.Files[:1], txtar.File{Name: "events", Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(ar.Files) != 2 || string(ar.Files[1].Data) != got {
				t.Errorf("events:\n%s", got)
			}
		})
	}
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
