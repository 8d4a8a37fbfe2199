package relay

import (
	"testing"

	"mcpen/sandbox/internal/rpc"
)

// What the server cancels is a request of its own: were it the client's with the same
// id, the client would wait for an answer that nobody owes it any more.
func TestServerCancelsItsOwnAlone(t *testing.T) {
	r := &Relay{}
	say := func(from Side, line string) {
		t.Helper()
		m, err := rpc.View([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		r.note(from, m)
	}
	say(Client, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}`)
	say(Server, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	if !r.flight.asked() {
		t.Error("the server took the client's request back")
	}
	say(Server, `{"jsonrpc":"2.0","id":1,"method":"roots/list"}`)
	if !r.flight.asked() {
		t.Error("a request of the server's answered the client's")
	}
	say(Client, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	if r.flight.asked() {
		t.Error("what the client cancelled is waited for")
	}
}
