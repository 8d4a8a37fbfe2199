package relay

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"mcpen/sandbox/internal/rpc"
)

// Whoever counts requests in flight is not shown the lines that the relay itself
// refuses: without a word about them its count fills up with requests that were
// answered long ago, until it takes no more.
func TestDropped(t *testing.T) {
	var mu sync.Mutex
	var dropped []string
	g := newRig(t, func(c *Config) {
		c.MaxLine = 200
		c.Inspect = func(_ Side, line []byte, _ rpc.Message) Verdict { return Verdict{Forward: line} }
		c.Dropped = func(toServer bool, id []byte) {
			mu.Lock()
			defer mu.Unlock()
			dropped = append(dropped, fmt.Sprint(toServer, " ", string(id)))
		}
	})
	ask := func(id int) {
		t.Helper()
		line := fmt.Sprintf("{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"ping\"}\n", id)
		g.send(g.clientIn, line)
		g.want(g.serverIn, line)
	}
	gets := func(r interface{ ReadString(byte) (string, error) }, id string) {
		t.Helper()
		line, err := r.ReadString('\n')
		if err != nil || !strings.Contains(line, `"id":`+id+`,"error"`) {
			t.Errorf("got %q (%v), want an error for %s", line, err, id)
		}
	}
	for id, answer := range []string{
		`{"jsonrpc":"2.0","id":0,"result":{"a":1,"a":2}}`,
		`{"jsonrpc":"2.0","id":1,"result":"` + strings.Repeat("x", 300) + `"}`,
		`{"jsonrpc":"2.0","result":"` + strings.Repeat("x", 600) + `","id":2}`,
		`[{"jsonrpc":"2.0","id":3,"result":{}}]`,
	} {
		ask(id)
		g.send(g.serverOut, answer+"\n")
		gets(g.clientOut, fmt.Sprint(id))
	}
	ask(4) // whose answer passes: nothing is dropped
	g.send(g.serverOut, `{"jsonrpc":"2.0","id":4,"result":{}}`+"\n")
	g.want(g.clientOut, `{"jsonrpc":"2.0","id":4,"result":{}}`+"\n")

	asked := `{"jsonrpc":"2.0","id":"s","method":"roots/list"}` + "\n"
	g.send(g.serverOut, asked)
	g.want(g.clientOut, asked)
	g.send(g.clientIn, `{"jsonrpc":"2.0","id":"s","result":{"a":1,"a":2}}`+"\n")
	gets(g.serverIn, `"s"`)

	g.readers[1].Close() // the server's stdin: the next request cannot be written
	g.send(g.clientIn, `{"jsonrpc":"2.0","id":5,"method":"ping"}`+"\n")
	gets(g.clientOut, "5")

	mu.Lock()
	defer mu.Unlock()
	want := []string{"true 0", "true 1", "true 2", "true 3", `false "s"`, "true 5"}
	if !slices.Equal(dropped, want) {
		t.Errorf("dropped %q, want %q", dropped, want)
	}
}
