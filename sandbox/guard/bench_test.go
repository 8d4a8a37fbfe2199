package guard_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/guard"
	"mcpen/sandbox/internal/rpc"
	"mcpen/sandbox/policy"
)

// BenchmarkPing is a request and its answer, read alone and through the guard.
func BenchmarkPing(b *testing.B) {
	ask := []byte(`{"jsonrpc":"2.0","id":123456,"method":"tools/call","params":{"name":"read_file","arguments":{"path":"/home/user/project/main.go"},"_meta":{"progressToken":17}}}`)
	answer := []byte(`{"jsonrpc":"2.0","id":123456,"result":{"content":[{"type":"text","text":"package main\n\nfunc main() {}\n"}],"isError":false}}`)
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err1 := rpc.View(ask)
			_, err2 := rpc.View(answer)
			if err1 != nil || err2 != nil {
				b.Fatal(err1, err2)
			}
		}
	})
	b.Run("guard", func(b *testing.B) {
		g := benchGuard(b, policy.PinWarn, definition.Pins{})
		b.ReportAllocs()
		for b.Loop() {
			if g.Client(ask).Forward == nil || g.Server(answer).Forward == nil {
				b.Fatal("refused")
			}
		}
	})
}

// BenchmarkList reads a list of tools of about 1 MB: a made-up one, and a server's own
// if one is recorded beside the repository. It compares the guard's cost with the cost
// of reading the list, measured in turns: view is the relay's own reading, decode is
// any client's next step, encoding/json's reading of the same line.
//
//	first     nobody saw it before: every definition is hashed and kept
//	findings  the search for findings, after the answer
//	approved  the first one of a run in which all of it was approved
//	again     the same answer once more
func BenchmarkList(b *testing.B) {
	for name, answer := range bigLists(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(answer)))
			ask := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
			through := func(g *guard.Guard) guard.Ruling {
				g.Client(ask)
				v := g.Server(answer)
				if v.Forward == nil {
					b.Fatal("refused")
				}
				return v
			}
			g := benchGuard(b, policy.PinEnforce, definition.Pins{})
			through(g)
			approved := g.Pins().ApproveAll()
			again := benchGuard(b, policy.PinEnforce, approved)
			through(again)
			took := map[string][]time.Duration{}
			lap := func(what string, f func()) {
				runtime.GC() // do not measure the garbage of others
				at := time.Now()
				f()
				took[what] = append(took[what], time.Since(at))
			}
			for b.Loop() {
				lap("view", func() { _, _ = rpc.View(answer) })
				lap("decode", func() {
					var v any
					_ = json.Unmarshal(answer, &v)
				})
				for _, what := range []string{"first", "approved"} {
					pins := map[string]definition.Pins{"approved": approved}[what]
					g := benchGuard(b, policy.PinEnforce, pins)
					var v guard.Ruling
					lap(what, func() { v = through(g) })
					if v.Later != nil {
						lap("findings", func() { v.Later() })
					}
				}
				lap("again", func() { through(again) })
			}
			median := func(what string) float64 {
				slices.Sort(took[what])
				return float64(took[what][len(took[what])/2])
			}
			for _, what := range []string{"view", "decode", "first", "findings", "approved", "again"} {
				b.ReportMetric(median(what)/1e6, what+"-ms")
			}
			for _, what := range []string{"first", "approved", "again"} {
				b.ReportMetric((median(what)-median("view")+median("decode"))/median("decode"), what+"-x-decode")
			}
		})
	}
}

// bigLists are answers to tools/list of about 1 MB.
func bigLists(b *testing.B) map[string][]byte {
	lists := map[string][]byte{"made": bigList(1 << 20)}
	text, err := os.ReadFile(filepath.Join(corpora, "recorded", "ms365.json"))
	if err != nil {
		return lists
	}
	var line bytes.Buffer
	line.WriteString(`{"jsonrpc":"2.0","id":1,"result":{"tools":`)
	if err := json.Compact(&line, text); err != nil {
		b.Fatal(err)
	}
	line.WriteString(`}}`)
	lists["recorded"] = line.Bytes()
	return lists
}

// corpora is beside the repository, never in it.
const corpora = "../../../shared/corpora"

func benchGuard(b *testing.B, mode policy.PinMode, pins definition.Pins) *guard.Guard {
	b.Helper()
	g, err := guard.New(setup{Pins: mode, Findings: policy.FindingWarn, Secrets: []string{"hunter2-hunter2"}}.config(pins))
	if err != nil {
		b.Fatal(err)
	}
	return g
}

// bigList is an answer to tools/list of about n bytes.
func bigList(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"result":{"tools":[`)
	for i := 0; b.Len() < n; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":"list-folder-%d","description":"Retrieve collection %d of the items in a folder, and send the first page to the caller.\n\nSupports paging with \"top\" and \"skip\"; always see the notes on throttling before calling this.","inputSchema":{"type":"object","properties":{"folderId":{"type":"string","description":"Path parameter: folder id %d"},"top":{"type":"number","description":"Show only the first n items","minimum":0},"filter":{"type":"array","items":{"type":"string"}},"fetchAllPages":{"type":"boolean","description":"Fetch all pages automatically"}},"required":["folderId"],"additionalProperties":false,"$schema":"http://json-schema.org/draft-07/schema#"},"annotations":{"title":"list-folder-%d","readOnlyHint":true,"destructiveHint":false,"openWorldHint":true},"execution":{"taskSupport":"forbidden"}}`, i, i, i, i)
	}
	b.WriteString(`]},"jsonrpc":"2.0","id":1}`)
	return []byte(b.String())
}
