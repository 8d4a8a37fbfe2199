package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// explain --why knows a tool that an earlier session listed, and says that its definition
// waits for a review.
func TestExplainWhyOfAToolThatASessionListed(t *testing.T) {
	w := triedWorld(t)
	w.write(t, "keyed/keyed.py", keyedServer)
	w.write(t, "kept.toml", "version = 1\nname = \"kept\"\n[server]\ncommand = [\"/usr/bin/python3\", \""+w.home+"/keyed/keyed.py\", \"nothing\"]\n[filesystem]\nread = [\""+w.home+"/keyed\"]\n")
	why := func(word string) string {
		t.Helper()
		out, err := w.mcpen(t, "explain", "--why", word, "--profile", filepath.Join(w.home, "kept.toml"), "--", "/usr/bin/python3", w.home+"/keyed/keyed.py", "nothing").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	const unknown = "not known whether the server has a tool of this name"
	if said := why("tool:look"); !strings.Contains(said, unknown) {
		t.Errorf("no session yet: %s", said)
	}
	session := func() {
		t.Helper()
		cmd := w.mcpen(t, "run", "--profile", filepath.Join(w.home, "kept.toml"), "--", "/usr/bin/python3", w.home+"/keyed/keyed.py", "nothing")
		cmd.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}` + "\n" +
			`{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}` + "\n")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	session()
	if said := why("tool:look"); strings.Contains(said, "not known") || !strings.Contains(said, "call     allowed: no list of tools says otherwise; a session listed it") {
		t.Errorf("a session listed it: %s", said)
	}
	if said := why("tool:other"); !strings.Contains(said, unknown) {
		t.Errorf("no session listed this one: %s", said)
	}
	w.write(t, "keyed/keyed.py", strings.Replace(keyedServer, `tools = [`, `tools = [{"name": "later", "inputSchema": {"type": "object"}}, `, 1))
	session()
	if said := why("tool:later"); !strings.Contains(said, "call     refused: its definition waits for a review (pins = \"first-use\"); a session listed it") || !strings.Contains(said, "to allow it: mcpen review kept") {
		t.Errorf("it came later: %s", said)
	}
}
