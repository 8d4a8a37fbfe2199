package audit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A secret on a command line must not appear in a list of running servers.
func TestRedactArgsLeavesSecretsOut(t *testing.T) {
	for _, row := range []struct{ in, want []string }{
		{[]string{"node", "server.js", "--api-key", "abc", "--port", "80"}, []string{"node", "server.js", "--api-key", redacted, "--port", "80"}},
		{[]string{"x", "--token=abc"}, []string{"x", "--token=" + redacted}},
		{[]string{"x", "API_KEY=abc"}, []string{"x", "API_KEY=" + redacted}},
		{[]string{"x", "postgres://u:p@db/x"}, []string{"x", "postgres://%5Bredacted%5D@db/x"}},
		{[]string{"x", "postgres://u:%zz@db/x"}, []string{"x", redacted}},
		{[]string{"x", "--verbose", "https://a.example/b"}, []string{"x", "--verbose", "https://a.example/b"}},
		{[]string{"keytool", "list"}, []string{"keytool", "list"}},
	} {
		if got := RedactArgs(row.in); !slices.Equal(got, row.want) {
			t.Errorf("RedactArgs(%q) = %q, want %q", row.in, got, row.want)
		}
	}
}

// A server may print its own token, put it into a host name or get it as an argument.
// The log must not keep it: the file outlives the owner's care for the token.
func TestLogLeavesSecretsOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l, err := Open(dir, Options{Server: "s", Args: true, Secrets: []string{"hunter2hunter2", "a\"b\\c<d", "-----BEGIN\nMIIEow\n-----END\n", "1234567", "abc"}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, e := range []Event{
		{Kind: KindStderr, Subject: "TOKEN=hunter2hunter2 abc"},
		{Kind: KindStderr, Subject: "MIIEow", Detail: "-----BEGIN"},
		{Kind: KindName, Subject: "hunter2hunter2.evil.example", Hint: `network.allow = ["hunter2hunter2.evil.example:443"]`},
		{Kind: KindTool, Subject: "t", Request: &Request{ID: json.RawMessage(`1234567`), Name: "hunter2hunter2", Args: json.RawMessage(`{"a":"hunter2hunter2","b":"a\"b\\c\u003cd","n":1234567}`)}},
	} {
		if err := l.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "s.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "MIIEow", "BEGIN", "1234567", `b\\c`} {
		if strings.Contains(string(data), secret) {
			t.Errorf("%s is in the log:\n%s", secret, data)
		}
	}
	if !strings.Contains(string(data), `"TOKEN=[redacted] abc"`) || strings.Count(string(data), "\n") != 4 {
		t.Errorf("more is left out than the secret:\n%s", data)
	}
}
