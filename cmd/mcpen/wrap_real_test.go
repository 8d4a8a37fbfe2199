//go:build integration

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// realClients are MCP clients from the registry that connect without a login. Each has
// one server in its file, in the way that the client itself writes it.
var realClients = []struct {
	name, pkg, program string
	file, text         string   // the file of its servers, and the file's content
	add                []string // or the arguments that make it write that itself
	list               []string // the command that starts the server
	connected          string
}{
	{name: "claude-code", pkg: "@anthropic-ai/claude-code", program: "@anthropic-ai/claude-code-linux-x64/claude", file: ".claude.json",
		add: []string{"mcp", "add", "-s", "user", "everything", "--", "npx", "-y", "@modelcontextprotocol/server-everything"}, list: []string{"mcp", "list"}, connected: `everything: .*Connected`},
	{name: "gemini", pkg: "@google/gemini-cli", program: ".bin/gemini", file: ".gemini/settings.json",
		add: []string{"mcp", "add", "-s", "user", "everything", "npx", "-y", "@modelcontextprotocol/server-everything"}, list: []string{"mcp", "list"}, connected: `everything: .*Connected`},
	// It rewrites its own addition to another version when it reads it.
	{name: "qwen", pkg: "@qwen-code/qwen-code", program: ".bin/qwen", file: ".qwen/settings.json",
		text: "{\n  \"mcpServers\": {\n    \"everything\": {\n      \"command\": \"npx\",\n      \"args\": [\n        \"-y\",\n        \"@modelcontextprotocol/server-everything\"\n      ]\n    }\n  },\n  \"$version\": 4\n}",
		list: []string{"mcp", "list"}, connected: `everything: .*Connected`},
	{name: "codex", pkg: "@openai/codex", program: ".bin/codex", file: ".codex/config.toml", // it connects, and then has no login
		add: []string{"mcp", "add", "everything", "--", "npx", "-y", "@modelcontextprotocol/server-everything"}, list: []string{"exec", "--skip-git-repo-check", "hello"}},
	// It writes the schema into a file that names none.
	{name: "opencode", pkg: "opencode-ai", program: "opencode-linux-x64/bin/opencode", file: ".config/opencode/opencode.json",
		text: "{\n  \"$schema\": \"https://opencode.ai/config.json\",\n  // mine\n  \"mcp\": {\"everything\": {\"type\": \"local\", \"command\": [\"npx\", \"-y\", \"@modelcontextprotocol/server-everything\"], \"enabled\": true}}\n}\n",
		list: []string{"mcp", "list"}, connected: `everything.*connected`},
}

// installClients puts the clients into the user's cache, once, without their scripts.
func installClients(t *testing.T) string {
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not here")
	}
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "mcpen-integration-clients")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund"}
	for _, c := range realClients {
		args = append(args, c.pkg)
	}
	if out, err := exec.Command(npm, args...).CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v: %s", err, out)
	}
	return filepath.Join(dir, "node_modules")
}

// clientsHome is the home of somebody with clients and nothing of theirs.
func clientsHome(t *testing.T) string {
	home := realFolder(t)
	t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", home).Run() })
	t.Setenv("HOME", home)
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_STATE_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "CLAUDECODE"} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	t.Setenv("GEMINI_CLI_TRUST_WORKSPACE", "true")
	t.Setenv("MCP_TIMEOUT", "90000") // of Claude Code: a loaded machine takes its time
	return home
}

// A person who adds a server to a client finds it connected at the client's first look:
// add did the slow work.
func TestRealClientsConnectAtTheFirstList(t *testing.T) {
	bin := realBinary(t)
	modules := installClients(t)
	home := clientsHome(t)
	for _, c := range realClients {
		if c.name == "qwen" { // a fork of gemini
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			if out, err := clientRuns(home, bin, "add", "--client", c.name, "npm:@modelcontextprotocol/server-everything"); err != nil {
				t.Fatalf("add: %v: %s", err, out)
			}
			out, _ := clientRuns(home, filepath.Join(modules, c.program), c.list...) // codex ends with an error: it has no login
			if !regexp.MustCompile(c.connected).Match(out) {
				t.Errorf("%s does not connect: %s", c.name, out)
			}
			gone(t, home, bin)
			log, err := clientRuns(home, bin, "log", "everything")
			if err != nil || !bytes.Contains(log, []byte("start /")) {
				t.Errorf("%s started nothing: %v: %s", c.name, err, log)
			}
			if err := os.Remove(filepath.Join(home, ".local/state/mcpen/log/everything.jsonl")); err != nil {
				t.Error(err)
			}
		})
	}
}

// Clients that can be had read the examples as mcpen's own reader of their files does.
func TestRealClientsReadTheExamples(t *testing.T) {
	bin := realBinary(t)
	modules := installClients(t)
	home := clientsHome(t)
	t.Setenv("PATH", filepath.Dir(bin)+":"+os.Getenv("PATH"))
	t.Setenv("GITHUB_TOKEN", "github_pat_that_is_none")
	if err := os.Mkdir(filepath.Join(home, "notes"), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := clientRuns(home, bin, "add", "npm:@modelcontextprotocol/server-filesystem"); err != nil {
		t.Fatalf("add: %v: %s", err, out)
	}
	examples := map[string]string{"gemini": "gemini.settings.json", "opencode": "opencode.json", "codex": "codex.config.toml"}
	for _, c := range realClients {
		if examples[c.name] == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(exampleClients, examples[c.name]))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(home, c.file)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte("/home/you"), []byte(home)), 0o600); err != nil {
				t.Fatal(err)
			}
			out, _ := clientRuns(home, filepath.Join(modules, c.program), c.list...)
			if !regexp.MustCompile(strings.ReplaceAll(c.connected, "everything", "filesystem")).Match(out) {
				t.Errorf("%s does not connect: %s", c.name, out)
			}
			gone(t, home, bin)
			log, err := clientRuns(home, bin, "log", "filesystem")
			if err != nil || !bytes.Contains(log, []byte("start /")) {
				t.Errorf("%s started nothing: %v: %s", c.name, err, log)
			}
			if err := os.Remove(filepath.Join(home, ".local/state/mcpen/log/filesystem.jsonl")); err != nil {
				t.Error(err)
			}
		})
	}
}

// People's own clients start wrapped servers as they did before: each connects, lists
// the tools, leaves nothing running, and unwrap gives the file back to the byte.
func TestRealClientsStartWrappedServers(t *testing.T) {
	bin := realBinary(t)
	modules := installClients(t)
	home := clientsHome(t)
	for _, c := range realClients {
		t.Run(c.name, func(t *testing.T) {
			program := filepath.Join(modules, c.program)
			file := filepath.Join(home, c.file)
			if c.text != "" {
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if out, err := clientRuns(home, program, c.add...); err != nil {
				t.Fatalf("%s cannot add a server: %v: %s", c.name, err, out)
			}
			was, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := clientRuns(home, bin, "wrap", "--yes", "--client", c.name); err != nil {
				t.Fatalf("wrap: %v: %s", err, out)
			}
			var out []byte
			connected := regexp.MustCompile(c.connected).Match
			// Some look for a few seconds only, in which a loaded machine may start nothing.
			for try := 0; try == 0 || try < 4 && !connected(out); try++ {
				out, _ = clientRuns(home, program, c.list...) // codex ends with an error: it has no login
			}
			if !connected(out) {
				t.Errorf("%s does not connect: %s", c.name, out)
			}
			gone(t, home, bin)
			log, err := clientRuns(home, bin, "log", "everything")
			if err != nil || !bytes.Contains(log, []byte("start /")) || !bytes.Contains(log, []byte(" exit /")) {
				t.Errorf("nothing of the server was recorded: %v: %s", err, log)
			}
			again, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			tools := countTools(t, answers(t, []string{bin, "run", "--quiet", "--", "npx", "-y", "@modelcontextprotocol/server-everything"}))
			if out, err := clientRuns(home, bin, "unwrap", "--yes", "--client", c.name); err != nil {
				t.Fatalf("unwrap: %v: %s", err, out)
			}
			now, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(now, was) {
				t.Errorf("it came back otherwise (%v):\n%s\n%s\nwrapped, after the client ran:\n%s", err, was, now, again)
			}
			if err := os.Remove(filepath.Join(home, ".local/state/mcpen/log/everything.jsonl")); err != nil {
				t.Error(err)
			}
			t.Logf("%s: %d tools; %s", c.name, tools, regexp.MustCompile(`(?m)^.*everything.*$`).Find(out))
		})
	}
}

// gone waits until nothing runs any more: some clients do not wait for their servers.
func gone(t *testing.T, home, bin string) {
	t.Helper()
	for range 60 {
		ps, err := clientRuns(home, bin, "ps")
		if err == nil && strings.Count(string(ps), "\n") == 1 {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Error("something was left")
}

func clientRuns(home, program string, args ...string) ([]byte, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = home
	cmd.WaitDelay = time.Second
	stop := time.AfterFunc(2*time.Minute, func() { cmd.Process.Signal(os.Interrupt) })
	defer stop.Stop()
	if strings.HasSuffix(program, "codex") {
		// It tries to reach its model for ever: by then it has its servers.
		again := time.AfterFunc(20*time.Second, func() { cmd.Process.Signal(os.Interrupt) })
		defer again.Stop()
	}
	return cmd.CombinedOutput()
}
