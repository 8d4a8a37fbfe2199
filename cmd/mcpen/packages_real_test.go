//go:build integration

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Servers that people run, as their registries give them today: locked, started
// and asked for their tools; and again with registries that nobody answers at.
func TestRealPackages(t *testing.T) {
	bin := realBinary(t)
	for _, p := range []struct {
		ref, profile string
		args         []string
	}{
		{ref: "npm:@modelcontextprotocol/server-everything"},
		{ref: "npm:@modelcontextprotocol/server-filesystem", profile: "[filesystem]\nread = [\"DIR\"]\n", args: []string{"DIR"}},
		{ref: "npm:@modelcontextprotocol/server-memory"},
		{ref: "npm:@modelcontextprotocol/server-github"},
		{ref: "npm:@notionhq/notion-mcp-server", profile: "[env.set]\nNOTION_TOKEN = \"ntn_nothing\"\n"},
		{ref: "npm:@upstash/context7-mcp"},
		{ref: "npm:firecrawl-mcp", profile: "[env.set]\nFIRECRAWL_API_KEY = \"fc-nothing\"\n"},
		{ref: "npm:@playwright/mcp"},
		{ref: "pypi:mcp-server-git"},
		{ref: "pypi:mcp-server-time"},
		{ref: "pypi:mcp-server-fetch"},
	} {
		t.Run(p.ref, func(t *testing.T) {
			home := realFolder(t)
			t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", home).Run() })
			dir := realFolder(t)
			argv := []string{bin, "run", p.ref}
			if p.profile != "" {
				file := filepath.Join(home, ".config/mcpen/profiles/served.toml")
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				text := fmt.Sprintf("version = 1\nname = \"served\"\n[server]\npackage = %q\n", p.ref) + strings.ReplaceAll(p.profile, "DIR", dir)
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				argv = []string{bin, "run", "served"}
			}
			for i, arg := range p.args {
				if i == 0 {
					argv = append(argv, "--")
				}
				argv = append(argv, strings.ReplaceAll(arg, "DIR", dir))
			}
			t.Setenv("HOME", home)
			began := time.Now()
			first := countTools(t, answers(t, argv))
			installed := time.Since(began)
			connects := realConnects(t, home)
			for _, name := range []string{"npm_config_registry", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_INDEX_URL"} {
				t.Setenv(name, "http://127.0.0.1:1/")
			}
			began = time.Now()
			again := countTools(t, answers(t, argv))
			locked := time.Since(began)
			if first == 0 || first != again {
				t.Errorf("%d tools at first, %d from the lock", first, again)
			}
			if n := realConnects(t, home); connects == 0 || n != connects {
				t.Errorf("%d connects to install, %d more from the lock", connects, n-connects)
			}
			t.Logf("%s: %d tools; first run %.1f s, with the lock %.2f s; %s", p.ref, first, installed.Seconds(), locked.Seconds(), realLock(t, home))
		})
	}
}

func countTools(t *testing.T, got map[string][]byte) int {
	t.Helper()
	var m struct {
		Result struct {
			Tools []json.RawMessage `json:"tools"`
		} `json:"result"`
	}
	if err := json.Unmarshal(got[`"tools"`], &m); err != nil {
		t.Fatal(err)
	}
	return len(m.Result.Tools)
}

// realConnects counts the connections of the install jobs: those of a server
// that is refused its own are in another log.
func realConnects(t *testing.T, home string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(home, ".local/state/mcpen/log/install.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(data, []byte(`"kind":"connect"`))
}

var lockedVersion = regexp.MustCompile(`(?m)^version = .*$`)

func realLock(t *testing.T, home string) string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(home, ".config/mcpen/profiles/*.lock"))
	if len(files) != 1 {
		t.Fatalf("locks: %v", files)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s, %d packages", lockedVersion.Find(data), bytes.Count(data, []byte("[[dependency]]")))
}
