package clients

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func noLiterals(Var) (string, error) { return "", nil }

// A secret that went into the keyring comes back as it was written, to the byte, and
// nothing else of the file changes on the way.
func TestValuesMoveAndComeBack(t *testing.T) {
	for name, tc := range map[string]struct{ client, file, text, value string }{
		"escapes and comments": {"claude-desktop", "claude_desktop_config.json", "{\r\n  \"mcpServers\": {\r\n    \"a\": {\"command\": \"npx\", \"args\": [\"-y\", \"x\"], \"env\": {\"LOG\": \"1\", \"TOKEN\": \"gh\\u0070_\\/x\" , \"N\": 5}},\r\n    \"b\": {\"command\": \"y\", \"env\": {\"TOKEN\": \"other\"}}\r\n  }\r\n}\r\n", "ghp_/x"},
		"TOML":                 {"codex", "config.toml", "[mcp_servers.a]\ncommand = 'npx' # c\nargs = ['-y', 'x']\n[mcp_servers.a.env]\nLOG = \"1\"\nTOKEN = 'ghp_/x' # mine\n[mcp_servers.b]\ncommand = 'y'\nenv = { TOKEN = \"other\" }\n", "ghp_/x"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Named(tc.client)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), tc.file)
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := At(path)
			if err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			const ref = "keyring:mcpen/it"
			words := func(e Entry) ([]string, bool) { return []string{"--secret", "TOKEN"}, e.Server == "a" }
			change, err := p.Wrap(testMcpen, words, func(Entry) map[string]string { return map[string]string{"TOKEN": ref, "ABSENT": "x"} })
			if err != nil || len(change.Left) > 0 {
				t.Fatal(err, change.Left)
			}
			if len(change.Moved) != 1 || change.Moved[0].Value != tc.value || change.Moved[0].Name != "TOKEN" || change.Moved[0].Ref != ref {
				t.Fatalf("moved %+v", change.Moved)
			}
			now := string(change.After)
			if strings.Contains(now, change.Moved[0].Literal) || strings.Count(now, ref) != 1 || !strings.Contains(now, "other") {
				t.Errorf("the file has\n%s", now)
			}
			if err := os.WriteFile(path, change.After, 0o600); err != nil {
				t.Fatal(err)
			}
			all := func(Entry) bool { return true }
			held, err := p.Unwrap(all, func(v Var) (string, error) {
				if v.Value == ref {
					return "", errors.New("locked")
				}
				return "", nil
			})
			if err != nil || len(held.Left) != 1 || string(held.After) != now {
				t.Errorf("without the keyring: %v %v\n%s", err, held.Left, held.After)
			}
			back, err := p.Unwrap(all, func(v Var) (string, error) {
				if v.Value == ref {
					return change.Moved[0].Literal, nil
				}
				return "", nil
			})
			if err != nil || len(back.Left) > 0 || len(back.Back) != 1 || string(back.After) != tc.text {
				t.Errorf("came back as\n%s\nwas\n%s\n%v %+v", back.After, tc.text, err, back.Left)
			}
		})
	}
}
