//go:build integration

package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// servers are real servers from the registry, with their profiles' parameters.
var servers = []struct {
	pkg, command, profile string
	set, args             []string
}{
	{pkg: "@modelcontextprotocol/server-everything", command: "mcp-server-everything"},
	{pkg: "@modelcontextprotocol/server-memory", command: "mcp-server-memory"},
	{pkg: "@modelcontextprotocol/server-sequential-thinking", command: "mcp-server-sequential-thinking"},
	{pkg: "@modelcontextprotocol/server-github", command: "mcp-server-github"},
	{pkg: "@modelcontextprotocol/server-filesystem", command: "mcp-server-filesystem", profile: "filesystem", set: []string{"dirs=DIR"}, args: []string{"DIR"}},
}

// A server that answers otherwise inside than outside is one that somebody takes
// out of its sandbox.
func TestRealServersAnswerAsWithoutMcpen(t *testing.T) {
	bin := realBinary(t)
	home := installReal(t)
	for _, s := range servers {
		t.Run(s.command, func(t *testing.T) {
			dir := realFolder(t)
			fill := func(words []string) (out []string) {
				for _, w := range words {
					out = append(out, strings.ReplaceAll(w, "DIR", dir))
				}
				return out
			}
			bare := append([]string{filepath.Join(home, "node_modules", ".bin", s.command)}, fill(s.args)...)
			argv := []string{bin, "run", "--quiet"}
			if s.profile != "" {
				argv = append(argv, "--profile", s.profile)
			}
			for _, set := range fill(s.set) {
				argv = append(argv, "--set", set)
			}
			argv = append(append(argv, "--"), bare...)
			want := answers(t, bare)
			got := answers(t, argv)
			for id := range want {
				if !bytes.Equal(got[id], want[id]) {
					t.Errorf("the answer to %s is not the same:\n inside %.300s\noutside %.300s", id, got[id], want[id])
				}
			}
		})
	}
}

// Even if the server would let a client out of its folder, the sandbox does not: here
// the server's own check allows everything.
func TestRealFilesystemCannotReadOutside(t *testing.T) {
	bin := realBinary(t)
	home := installReal(t)
	dir := realFolder(t)
	secret := filepath.Join(realFolder(t), "secret.txt")
	if err := os.WriteFile(secret, []byte("the secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	call := `{"jsonrpc":"2.0","id":"read","method":"tools/call","params":{"name":"read_text_file","arguments":{"path":"` + secret + `"}}}`
	server := filepath.Join(home, "node_modules", ".bin", "mcp-server-filesystem")
	// The server gets "/" as its folder.
	outside := answers(t, []string{server, "/"}, call)
	if !bytes.Contains(outside[`"read"`], []byte("the secret")) {
		t.Fatalf("outside the server does not read what it may: %s", outside[`"read"`])
	}
	inside := answers(t, []string{bin, "run", "--quiet", "--profile", "filesystem", "--set", "dirs=" + dir, "--", server, "/"}, call)
	if bytes.Contains(inside[`"read"`], []byte("the secret")) || !bytes.Contains(inside[`"read"`], []byte("ENOENT")) {
		t.Errorf("inside the server read what the profile does not declare: %s", inside[`"read"`])
	}
}

func realBinary(t *testing.T) string {
	bin, err := filepath.Abs("../../bin/mcpen")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatal("bin/mcpen is not built: make integration")
	}
	return bin
}

// realFolder is a folder that may be given: not below /tmp, which every server
// has of its own.
func realFolder(t *testing.T) string {
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(base, "mcpen-real-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// installReal puts the servers into the user's cache, once.
func installReal(t *testing.T) string {
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not here")
	}
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "mcpen-integration")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund"}
	for _, s := range servers {
		args = append(args, s.pkg)
	}
	if out, err := exec.Command(npm, args...).CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v: %s", err, out)
	}
	return dir
}

// answers sends initialize, tools/list and more, and returns the answers by id.
func answers(t *testing.T, argv []string, more ...string) map[string][]byte {
	t.Helper()
	lines := append([]string{
		`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":"tools","method":"tools/list"}`,
	}, more...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = &bytes.Buffer{}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); cmd.Process.Signal(os.Interrupt); cmd.Wait() }()
	io.WriteString(in, strings.Join(lines, "\n")+"\n")
	got := map[string][]byte{}
	want := len(lines) - 1 // the notification has no answer
	for r := bufio.NewReader(out); len(got) < want; {
		line, err := r.ReadBytes('\n')
		if err != nil {
			t.Fatalf("%v: %v after %d of %d answers: %s", argv, err, len(got), want, cmd.Stderr)
		}
		for _, id := range []string{`0`, `"tools"`, `"read"`, `"prompts"`, `"resources"`, `"templates"`} {
			if bytes.Contains(line, []byte(`"id":`+id)) && (bytes.Contains(line, []byte(`"result"`)) || bytes.Contains(line, []byte(`"error"`))) {
				got[id] = line
			}
		}
	}
	return got
}
