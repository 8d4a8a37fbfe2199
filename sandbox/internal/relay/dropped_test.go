package relay

import (
	"fmt"
	"strings"
	"testing"

	"mcpen/sandbox/internal/rpc"
)

// Inspect does not see the lines that the relay itself refuses. The relay must take
// their requests: otherwise the store would fill up with requests that were answered
// long ago.
func TestDropped(t *testing.T) {
	g := newRig(t, func(c *Config) { c.MaxLine = 200 })
	only := func(of *requests, id string) {
		t.Helper()
		if got := of.Only(); string(got) != id {
			t.Errorf("in flight is %q, want %q", got, id)
		}
	}
	ask := func(id int) {
		t.Helper()
		line := fmt.Sprintf("{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"ping\"}\n", id)
		g.send(g.clientIn, line)
		g.want(g.serverIn, line)
		only(g.requests, fmt.Sprint(id))
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
		only(g.requests, "")
	}
	ask(4) // its answer passes: nothing is dropped
	g.send(g.serverOut, `{"jsonrpc":"2.0","id":4,"result":{}}`+"\n")
	g.want(g.clientOut, `{"jsonrpc":"2.0","id":4,"result":{}}`+"\n")

	asked := `{"jsonrpc":"2.0","id":"s","method":"roots/list"}` + "\n"
	g.send(g.serverOut, asked)
	g.want(g.clientOut, asked)
	only(g.asked, `"s"`)
	g.send(g.clientIn, `{"jsonrpc":"2.0","id":"s","result":{"a":1,"a":2}}`+"\n")
	gets(g.serverIn, `"s"`)
	only(g.asked, "")

	g.readers[1].Close() // the server's stdin: the next request cannot be written
	g.send(g.clientIn, `{"jsonrpc":"2.0","id":5,"method":"ping"}`+"\n")
	gets(g.clientOut, "5")
	only(g.requests, "")
}

// An answer that Inspect saw and that is not passed on is replaced, although Inspect
// took its request: by a line from Inspect, or else by the relay.
func TestRefusedAnswersAreReplacedOnce(t *testing.T) {
	own := []byte(`{"jsonrpc":"2.0","id":"1","error":{"code":1,"message":"own"}}`)
	for name, c := range map[string]struct {
		delivery Delivery
		want     string
	}{
		"by Inspect":       {Delivery{ToClient: [][]byte{own}}, string(own)},
		"by the relay":     {Delivery{}, `{"jsonrpc":"2.0","id":"1","error":{"code":-32603,"message":"the server's answer was not passed on: refused by the sandbox"}}`},
		"beside a message": {Delivery{ToClient: [][]byte{[]byte(`{"jsonrpc":"2.0","method":"m"}`)}}, `{"jsonrpc":"2.0","method":"m"}` + "\n" + `{"jsonrpc":"2.0","id":"1","error":{"code":-32603,"message":"the server's answer was not passed on: refused by the sandbox"}}`},
	} {
		client := &sink{}
		r := idle(t, client, &sink{}, func(cfg *Config) {
			cfg.Inspect = func(from Side, line []byte, _ rpc.Message) Delivery {
				if from == Server {
					return c.delivery
				}
				return Delivery{Forward: line}
			}
		})
		say := func(from Side, line string) {
			r.line(from, frame{raw: []byte(line + "\n"), line: []byte(line)})
			r.toClient.empty()
		}
		say(Client, `{"jsonrpc":"2.0","id":"1","method":"ping"}`)
		say(Server, `{"jsonrpc":"2.0","id":1,"result":{}}`)
		if got := client.String(); got != c.want+"\n" {
			t.Errorf("%s: the client gets %q, want %q", name, got, c.want)
		}
		client.Reset()
		c.delivery = Delivery{}
		if say(Server, `{"jsonrpc":"2.0","id":1,"result":{}}`); client.Len() > 0 {
			t.Errorf("%s: an answer that nobody waits for is answered: %q", name, client.String())
		}
	}
}
