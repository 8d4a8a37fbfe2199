//go:build integration

package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// newcomers are real packages, each with the commands that somebody with an empty home
// types until a tool call answers: three at most, the run included, and no editor. HOME
// and PORT stand for the home and for the port of a service on this machine.
var newcomers = []struct {
	name  string
	typed []string // one command a line
	run   string
	call  string // name and arguments of a tool call
	want  string // in its answer
	fails string // or the error of a server that does not start, by itself
}{
	{name: "a folder", typed: []string{"add npm:@modelcontextprotocol/server-filesystem"}, run: "run --set dirs=HOME/notes filesystem",
		call: `"name":"read_text_file","arguments":{"path":"HOME/notes/a.txt"}`, want: "words of my own"},
	{name: "a secret", typed: []string{"add npm:@modelcontextprotocol/server-everything", "allow everything env:DEMO_TOKEN --yes"}, run: "run everything",
		call: `"name":"get-env","arguments":{}`, want: "hush-hush"},
	{name: "a network", typed: []string{"add npm:mcp-searxng", "allow mcp-searxng localhost:PORT env:SEARXNG_URL --yes"}, run: "run mcp-searxng",
		call: `"name":"searxng_web_search","arguments":{"query":"pens"}`, want: "a pen of its own"},
	{name: "PyPI and a network", typed: []string{"add pypi:mcp-server-fetch"}, run: "run --set sites=localhost:PORT fetch -- --allow-private-ips",
		call: `"name":"fetch","arguments":{"url":"http://localhost:PORT/"}`, want: "a page of its own"},
	{name: "PyPI", typed: []string{"add pypi:mcp-server-time"}, run: "run time",
		call: `"name":"get_current_time","arguments":{"timezone":"Europe/Berlin"}`, want: "Europe/Berlin"},
	{name: "fails by itself", typed: []string{"add npm:@modelcontextprotocol/server-brave-search"}, run: "run server-brave-search",
		fails: "BRAVE_API_KEY"},
}

// Somebody who has nothing yet needs three commands for a server, whatever it wants.
func TestRealNewcomer(t *testing.T) {
	bin := realBinary(t)
	home := clientsHome(t)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/search"):
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"query":"pens","number_of_results":1,"results":[{"title":"a pen of its own","content":"words","url":"http://localhost/","score":1,"engines":["x"],"category":"general"}],`+
				`"answers":[],"infoboxes":[],"suggestions":[],"corrections":[],"unresponsive_engines":[]}`)
		case r.URL.Path == "/":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html><body><p>a page of its own</p></body></html>")
		default:
			http.NotFound(w, r)
		}
	}))
	defer service.Close()
	at, err := url.Parse(service.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SEARXNG_URL", "http://localhost:"+at.Port())
	t.Setenv("DEMO_TOKEN", "hush-hush")
	if err := os.Mkdir(filepath.Join(home, "notes"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "notes/a.txt"), []byte("words of my own"), 0o644); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("HOME", home, "PORT", at.Port()).Replace
	for _, n := range newcomers {
		t.Run(n.name, func(t *testing.T) {
			if len(n.typed)+1 > 3 {
				t.Errorf("%d commands", len(n.typed)+1)
			}
			for _, line := range n.typed {
				cmd := exec.Command(bin, strings.Fields(fill(line))...) // an install takes its time
				cmd.Dir = home
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("mcpen %s: %v: %s", line, err, out)
				}
			}
			argv := append([]string{bin}, strings.Fields(fill(n.run))...)
			if n.fails != "" {
				out, err := clientRuns(home, argv[0], argv[1:]...)
				if err == nil || !strings.Contains(string(out), n.fails) {
					t.Errorf("it does not say what it wants: %v: %s", err, out)
				}
				return
			}
			got := answers(t, argv, `{"jsonrpc":"2.0","id":"read","method":"tools/call","params":{`+fill(n.call)+`}}`)
			if !bytes.Contains(got[`"read"`], []byte(n.want)) {
				t.Errorf("the call is answered by %.600s", got[`"read"`])
			}
		})
	}
}
