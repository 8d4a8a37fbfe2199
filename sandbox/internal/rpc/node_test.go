package rpc_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"testing"

	"mcpen/sandbox/internal/rpc"
)

const nodeReader = `
const lines = JSON.parse(require("fs").readFileSync(0, "utf8"));
const show = v => v === undefined ? null : JSON.stringify(v);
console.log(JSON.stringify(lines.map(b64 => {
  try {
    const v = JSON.parse(new TextDecoder("utf-8", {ignoreBOM: true}).decode(Buffer.from(b64, "base64")));
    return {ok: true, method: v.method ?? "", id: show(v.id), params: show(v.params), result: show(v.result)};
  } catch (e) { return {ok: false}; }
})));`

// Most servers and clients run on node. JSON.parse must read every line that View
// accepts in the same way, except for the precision of numbers: only ids depend on it,
// and View returns them as written.
func TestViewAgreesWithNode(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	lines := mutations(4000)
	in, err := json.Marshal(lines)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "-e", nodeReader)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var read []struct {
		OK                 bool
		Method             any
		ID, Params, Result *string
	}
	if err := json.Unmarshal(out, &read); err != nil || len(read) != len(lines) {
		t.Fatalf("node answered %d of %d lines: %v", len(read), len(lines), err)
	}
	accepted := 0
	for i, line := range lines {
		m, err := rpc.View(line)
		if err != nil || m.Kind == rpc.Batch {
			continue
		}
		accepted++
		n := read[i]
		if !n.OK {
			t.Errorf("accepted, and node refuses it: %q", line)
			continue
		}
		if n.Method != m.Method || !equal(m.Params, n.Params) || !equal(m.Result, n.Result) {
			t.Errorf("%q\nView: method %q params %s result %s\nnode: method %q params %v result %v",
				line, m.Method, m.Params, m.Result, n.Method, n.Params, n.Result)
		}
	}
	if accepted < 100 {
		t.Errorf("only %d lines were accepted: the comparison says little", accepted)
	}
}

func equal(view []byte, node *string) bool {
	if view == nil || node == nil {
		return view == nil && node == nil
	}
	var a, b any
	return json.Unmarshal(view, &a) == nil && json.Unmarshal([]byte(*node), &b) == nil && sameJSON(a, b)
}

func sameJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// mutations returns the seeds and lines derived from them by small changes, the same on
// every run.
func mutations(n int) [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	parts := []string{`"`, `\`, `,`, `:`, `{`, `}`, `[`, `]`, `0`, `-`, `e9`, `.`, " ", "\t", "\r", "\n", "\x00", "\xff", "\u2028",
		`\u0000`, `\ud800`, `\u0061`, `"a":1,`, `"method":"z",`, `"Id":1,`, `null`, `1e999`, "é", "ſ"}
	var lines [][]byte
	for _, s := range seeds() {
		lines = append(lines, []byte(s))
	}
	for len(lines) < n {
		line := bytes.Clone(lines[rng.IntN(len(seeds()))])
		for range 1 + rng.IntN(2) {
			at := rng.IntN(len(line) + 1)
			cut := min(len(line), at+rng.IntN(3))
			line = append(line[:at:at], append([]byte(parts[rng.IntN(len(parts))]), line[cut:]...)...)
		}
		lines = append(lines, line)
	}
	return lines
}

// The same mutations as a separate test, for machines without node.
func TestViewAgreesWithEncodingJSON(t *testing.T) {
	for _, line := range mutations(20_000) {
		if m, err := rpc.View(line); err == nil && m.Kind != rpc.Batch {
			agree(t, line, m)
		}
	}
}
