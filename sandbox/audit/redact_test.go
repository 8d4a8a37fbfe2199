package audit

import (
	"slices"
	"testing"
)

// What a person typed as a secret must not be on the screen of whoever lists
// what runs.
func TestRedactArgsLeavesSecretsOut(t *testing.T) {
	for _, row := range []struct{ in, want []string }{
		{[]string{"node", "server.js", "--api-key", "abc", "--port", "80"}, []string{"node", "server.js", "--api-key", Redacted, "--port", "80"}},
		{[]string{"x", "--token=abc"}, []string{"x", "--token=" + Redacted}},
		{[]string{"x", "API_KEY=abc"}, []string{"x", "API_KEY=" + Redacted}},
		{[]string{"x", "postgres://u:p@db/x"}, []string{"x", "postgres://%5Bredacted%5D@db/x"}},
		{[]string{"x", "postgres://u:%zz@db/x"}, []string{"x", Redacted}},
		{[]string{"x", "--verbose", "https://a.example/b"}, []string{"x", "--verbose", "https://a.example/b"}},
		{[]string{"keytool", "list"}, []string{"keytool", "list"}},
	} {
		if got := RedactArgs(row.in); !slices.Equal(got, row.want) {
			t.Errorf("RedactArgs(%q) = %q, want %q", row.in, got, row.want)
		}
	}
}
