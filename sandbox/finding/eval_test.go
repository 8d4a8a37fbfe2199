//go:build eval

package finding_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/internal/rpc"
)

// corpora is beside the repository, never in it.
const corpora = "../../../shared/corpora"

// TestEval measures findings on third-party descriptions and tools, and prints the
// results. It fails if they miss the goals.
func TestEval(t *testing.T) {
	if _, err := os.Stat(corpora); err != nil {
		t.Skip("no corpora beside the repository: ../shared/corpora is absent, so nothing was measured")
	}
	poison, held := 0, 0
	for _, d := range descriptions(t) {
		text, _ := json.Marshal(d.Text)
		raw := []byte(`{"description":` + string(text) + `}`)
		hold, note := severities(finding.Scan(definition.KindPrompt, raw))
		switch d.Label {
		case "poison":
			poison++
			if hold {
				held++
			} else {
				t.Logf("missed (note: %v): %s %.160q", note, d.ID, d.Text)
			}
		case "benign":
			if hold {
				t.Logf("benign, held: %s %.160q", d.ID, d.Text)
			}
		}
	}
	real, holds, notes := 0, 0, 0
	for server, tools := range realTools(t) {
		for _, raw := range tools {
			real++
			found := scanAmong(raw, tools)
			hold, note := severities(found)
			if hold {
				holds++
			} else if note {
				notes++
			}
			for _, f := range found {
				name, _ := rpc.Text(rpc.Get(raw, "name"))
				t.Logf("%s: %s/%s %s: %.200q (%s; %s)", f.Severity, server, name, f.Kind, f.Words, f.Path, f.Why)
			}
		}
	}
	part := func(n, of int) float64 { return 100 * float64(n) / float64(of) }
	t.Logf("poison found at hold: %d of %d, %.1f %% (goal: at least 85)", held, poison, part(held, poison))
	t.Logf("real tools held: %d of %d, %.2f %% (goal: at most 0.5); noted: %d, %.2f %% (goal: at most 3)", holds, real, part(holds, real), notes, part(notes, real))
	if part(held, poison) < 85 || part(holds, real) > 0.5 || part(notes, real) > 3 {
		t.Error("the goals are missed")
	}
}

// scanAmong scans a tool within its server's list.
func scanAmong(tool []byte, tools [][]byte) []finding.Finding {
	return finding.ScanAmong(definition.KindTool, tool, tools)
}

func severities(found []finding.Finding) (hold, note bool) {
	for _, f := range found {
		hold = hold || f.Severity == finding.Hold
		note = note || f.Severity == finding.Note
	}
	return hold, note
}

type description struct{ ID, Label, Text string }

func descriptions(t *testing.T) []description {
	f, err := os.Open(filepath.Join(corpora, "descriptions.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []description
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var d description
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return all
}

func realTools(t *testing.T) map[string][][]byte {
	servers := map[string][][]byte{}
	files, _ := filepath.Glob(filepath.Join(corpora, "recorded", "*.json"))
	for _, file := range append(files, filepath.Join(corpora, "docker-registry-tools.json")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var tools []json.RawMessage
		if err := json.Unmarshal(text, &tools); err != nil {
			t.Fatal(err)
		}
		for _, tool := range tools {
			server, ok := rpc.Text(rpc.Get(tool, "server"))
			if !ok {
				server = strings.TrimSuffix(filepath.Base(file), ".json")
			}
			servers[server] = append(servers[server], tool)
		}
	}
	return servers
}
