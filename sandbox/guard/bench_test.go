package guard_test

import (
	"fmt"
	"strings"
	"testing"

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
		g := benchGuard(b, policy.PinWarn)
		b.ReportAllocs()
		for b.Loop() {
			if g.Client(ask).Forward == nil || g.Server(answer).Forward == nil {
				b.Fatal("refused")
			}
		}
	})
}

// BenchmarkList is a list of tools of about 1 MB: read alone, through the guard
// again and again, and for the first time.
func BenchmarkList(b *testing.B) {
	ask := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	answer := bigList(1 << 20)
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(answer)))
		for b.Loop() {
			if _, err := rpc.View(answer); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("guard", func(b *testing.B) {
		g := benchGuard(b, policy.PinEnforce)
		g.Client(ask)
		g.Server(answer)
		if _, err := g.Reload(g.Pins().ApproveAll()); err != nil {
			b.Fatal(err)
		}
		g.Client(ask)
		g.Server(answer)
		b.SetBytes(int64(len(answer)))
		for b.Loop() {
			g.Client(ask)
			if v := g.Server(answer); &v.Forward[0] != &answer[0] {
				b.Fatal("a list that was approved is changed")
			}
		}
	})
	for _, mode := range []policy.PinMode{policy.PinEnforce, policy.PinWarn, policy.PinOff} {
		b.Run("first/"+string(mode), func(b *testing.B) {
			b.SetBytes(int64(len(answer)))
			for b.Loop() {
				g := benchGuard(b, mode)
				g.Client(ask)
				g.Server(answer)
			}
		})
	}
}

func benchGuard(b *testing.B, mode policy.PinMode) *guard.Guard {
	g, err := guard.New(setup{Pins: mode, Findings: policy.FindingWarn, Secrets: []string{"hunter2-hunter2"}}.config(guard.Pins{}))
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
		fmt.Fprintf(&b, `{"name":"list-folder-%d","description":"Retrieve a collection of the items in a folder, and send the first page to the caller.\n\nSupports paging with \"top\" and \"skip\"; always see the notes on throttling before calling this.","inputSchema":{"type":"object","properties":{"folderId":{"type":"string","description":"Path parameter: folder id"},"top":{"type":"number","description":"Show only the first n items","minimum":0},"filter":{"type":"array","items":{"type":"string"}},"fetchAllPages":{"type":"boolean","description":"Fetch all pages automatically"}},"required":["folderId"],"additionalProperties":false,"$schema":"http://json-schema.org/draft-07/schema#"},"annotations":{"title":"list-folder-%d","readOnlyHint":true,"destructiveHint":false,"openWorldHint":true},"execution":{"taskSupport":"forbidden"}}`, i, i)
	}
	b.WriteString(`]},"jsonrpc":"2.0","id":1}`)
	return []byte(b.String())
}
