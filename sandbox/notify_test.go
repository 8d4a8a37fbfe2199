package sandbox_test

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/policy"
)

// A person whose client shows the server's log sees there why a call failed that
// needed the network, and not only in a terminal that nobody looks at.
func TestClientIsToldWhatWasRefused(t *testing.T) {
	p := newPen(t, policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp)
	r := p.start(p.plan("[tools]\npins = \"off\"\n", `
read line
echo '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"logging":{}},"serverInfo":{"name":"s","version":"1"}}}'
read line
getent hosts other.test
echo '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
read line
`))
	if err := r.out.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(r.out)
	fmt.Fprintln(r.in, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
	if _, err := lines.ReadString('\n'); err != nil { // clients wait for the server's capabilities
		t.Fatal(err)
	}
	fmt.Fprintln(r.in, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch","arguments":{}}}`)
	told, answered := "", false
	for told == "" || !answered {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("answered: %t, told: %q: %v", answered, told, err)
		}
		if strings.Contains(line, "notifications/message") {
			told += line
		}
		answered = answered || strings.Contains(line, `"id":1`)
	}
	if !strings.Contains(told, `mcpen refused the name other.test`) {
		t.Errorf("the client was told %q", told)
	}
	if strings.Contains(told, "allow") {
		t.Errorf("a model may read how to lift it: %q", told)
	}
	r.in.Close()
	r.wait()
}
