package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"

	"mcpen/sandbox/locked"
	"mcpen/sandbox/server"
	"mcpen/sandbox/user"
)

// keyringHome is a home with a client whose server has a token, and a function that
// runs commands in it: it returns a command line's exit code and output.
func keyringHome(t *testing.T, text string) (file string, run func(words ...string) (int, string)) {
	t.Helper()
	home := t.TempDir()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(home, "bin")
	file = filepath.Join(home, ".cursor", "mcp.json")
	if err := errors.Join(os.Mkdir(bin, 0o755), os.Symlink(own, filepath.Join(bin, "mcpen")), os.Mkdir(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	return file, func(words ...string) (int, string) {
		t.Helper()
		said, err := os.CreateTemp(t.TempDir(), "said")
		if err != nil {
			t.Fatal(err)
		}
		defer said.Close()
		in, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		args := append([]string{"mcpen"}, words...)
		a := &app{in: in, out: said, args: args, Caller: server.Caller{Packages: locked.Packages{Person: user.Person{Err: said, Env: []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}, Passwd: passwd, Machine: machine}}}}
		code := a.run(context.Background(), args)
		data, err := os.ReadFile(said.Name())
		if err != nil {
			t.Fatal(err)
		}
		return code, string(data)
	}
}

func contents(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A token that lay in a file lies in the keyring, the server gets it from there, and
// unwrap leaves the file as it was and nothing behind.
func TestWrapMovesSecretsIntoTheKeyring(t *testing.T) {
	const text = "{\n  \"mcpServers\": {\n    \"github\": {\n      \"command\": \"npx\", // ours\n      \"args\": [\"-y\", \"@modelcontextprotocol/server-github\"],\n" +
		"      \"env\": { \"GITHUB_PERSONAL_ACCESS_TOKEN\": \"ghp\\u005fabc\", \"LOG_LEVEL\": \"debug\" }\n    }\n  }\n}\n"
	keyring.MockInit()
	file, run := keyringHome(t, text)
	code, said := run("wrap", "--dry-run", "--secrets", "keyring")
	if code != 0 || strings.Contains(said, "u005fabc") || !strings.Contains(said, "keyring:mcpen/cursor.github.") {
		t.Errorf("what would change, %d:\n%s", code, said)
	}
	code, said = run("wrap", "--yes", "--no-install", "--secrets", "keyring")
	now := contents(t, file)
	if code != 0 || !strings.Contains(said, "moves GITHUB_PERSONAL_ACCESS_TOKEN into the keyring") || strings.Contains(now, "u005fabc") || !strings.Contains(now, `"LOG_LEVEL": "debug"`) {
		t.Fatalf("%d: %s\n%s", code, said, now)
	}
	_, ref, _ := strings.Cut(now, `"GITHUB_PERSONAL_ACCESS_TOKEN": "`)
	ref, _, _ = strings.Cut(ref, `"`)
	kept, ok := server.KeptIn("GITHUB_PERSONAL_ACCESS_TOKEN", ref)
	if value, err := kept.Value(); !ok || err != nil || value != "ghp_abc" {
		t.Errorf("%q is %q, %v", ref, value, err)
	}
	if code, said := run("wrap", "--yes", "--no-install", "--secrets", "keyring"); code != 0 || contents(t, file) != now {
		t.Errorf("once more, %d: %s\n%s", code, said, contents(t, file))
	}
	if code, said := run("unwrap", "--dry-run"); code != 0 || strings.Contains(said, "u005fabc") || contents(t, file) != now {
		t.Errorf("what would come back, %d: %s", code, said)
	}
	if code, said := run("unwrap", "--yes"); code != 0 || contents(t, file) != text {
		t.Errorf("came back, %d: %s\n%s", code, said, contents(t, file))
	}
	if _, err := kept.Value(); err == nil {
		t.Error("the token is still in the keyring")
	}
}

// A person who wrapped first and thought of the tokens afterwards moves them then, and
// unwrap restores all of it.
func TestSecretsOfWrappedServersMove(t *testing.T) {
	const text = `{"mcpServers": {"github": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-github"], "env": {"GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_abc", "LOG_LEVEL": "debug"}}}}`
	keyring.MockInit()
	file, run := keyringHome(t, text)
	if code, said := run("wrap", "--yes", "--no-install"); code != 0 {
		t.Fatal(said)
	}
	wrapped := contents(t, file)
	if code, said := run("wrap"); code != 0 || !strings.Contains(said, "nothing to wrap") || contents(t, file) != wrapped {
		t.Errorf("once more, %d: %s", code, said)
	}
	code, said := run("wrap", "--yes", "--no-install", "--secrets", "keyring")
	now := contents(t, file)
	if code != 0 || !strings.Contains(said, "moved the secrets of github") || strings.Contains(now, "ghp_abc") || !strings.Contains(now, `"LOG_LEVEL": "debug"`) {
		t.Fatalf("%d: %s\n%s", code, said, now)
	}
	if a, b, ok := strings.Cut(now, `"keyring:`); !ok || a+`"ghp_abc"`+b[strings.Index(b, `"`)+1:] != wrapped {
		t.Errorf("more than the token changed:\n%s\n%s", wrapped, now)
	}
	if code, said := run("wrap", "--yes", "--no-install", "--secrets", "keyring"); code != 0 || contents(t, file) != now {
		t.Errorf("once more, %d: %s", code, said)
	}
	if code, said := run("unwrap", "--yes"); code != 0 || contents(t, file) != text {
		t.Errorf("came back, %d: %s\n%s", code, said, contents(t, file))
	}
}

// Without a keyring nothing is wrapped and nothing is lost.
func TestWrapWithoutAKeyring(t *testing.T) {
	const text = `{"mcpServers": {"github": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-github"], "env": {"GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_abc"}}}}`
	keyring.MockInitWithError(errors.New("nobody answers"))
	defer keyring.MockInit()
	file, run := keyringHome(t, text)
	code, said := run("wrap", "--yes", "--no-install", "--secrets", "keyring")
	if code != 1 || !strings.Contains(said, "cannot keep GITHUB_PERSONAL_ACCESS_TOKEN: the keyring says: nobody answers") || contents(t, file) != text {
		t.Errorf("%d: %s\n%s", code, said, contents(t, file))
	}
	if code, said := run("wrap", "--yes", "--secrets", "elsewhere"); code != 2 || !strings.Contains(said, "neither keep nor keyring") {
		t.Errorf("%d: %s", code, said)
	}
	// In the keyring while it works, and locked when they are to come back.
	keyring.MockInit()
	if code, said := run("wrap", "--yes", "--no-install", "--secrets", "keyring"); code != 0 {
		t.Fatal(said)
	}
	now := contents(t, file)
	keyring.MockInitWithError(errors.New("locked"))
	if code, said := run("unwrap", "--yes"); code != 1 || !strings.Contains(said, "GITHUB_PERSONAL_ACCESS_TOKEN cannot be given back: the keyring says: locked") || contents(t, file) != now {
		t.Errorf("%d: %s\n%s", code, said, contents(t, file))
	}
}
