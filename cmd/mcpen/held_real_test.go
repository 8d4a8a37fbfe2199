//go:build integration

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// heldServers are real servers that tell what they have without being logged in, with what
// they want to begin at all. "${value}" is a parameter, which is another one in
// another workspace.
var heldServers = []struct {
	ref  string
	env  string   // as env.set
	args []string // of the profile
}{
	{ref: "npm:@modelcontextprotocol/server-everything"},
	{ref: "npm:@modelcontextprotocol/server-filesystem", args: []string{"${workspace}"}},
	{ref: "npm:@modelcontextprotocol/server-memory", env: `MEMORY_FILE_PATH = "${state}/${value}.json"`},
	{ref: "npm:@modelcontextprotocol/server-sequential-thinking"},
	{ref: "npm:@modelcontextprotocol/server-github"},
	{ref: "npm:@notionhq/notion-mcp-server", env: `NOTION_TOKEN = "ntn_${value}"`},
	{ref: "npm:@upstash/context7-mcp", env: `CONTEXT7_API_KEY = "ctx7sk-${value}"`},
	{ref: "npm:firecrawl-mcp", env: `FIRECRAWL_API_KEY = "fc-${value}"`},
	{ref: "npm:tavily-mcp", env: `TAVILY_API_KEY = "tvly-${value}"`},
	{ref: "npm:@playwright/mcp", args: []string{"--output-dir", "${state}/${value}"}},
	{ref: "pypi:mcp-server-git"},
	{ref: "pypi:mcp-server-time", args: []string{"--local-timezone", "Europe/${value}"}},
	{ref: "pypi:mcp-server-fetch", args: []string{"--user-agent", "agent ${value}"}},
}

// Honest servers are not held: what a real one says in its second start, in another
// workspace and with another parameter, waits for nobody. A person who is asked at
// every start stops reading what they are asked.
func TestRealServersAreNotHeld(t *testing.T) {
	bin := realBinary(t)
	for _, s := range heldServers {
		t.Run(s.ref, func(t *testing.T) {
			home := realFolder(t)
			t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", home).Run() })
			t.Setenv("HOME", home)
			file := filepath.Join(home, ".config/mcpen/profiles/served.toml")
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			args, err := json.Marshal(append([]string{}, s.args...))
			if err != nil {
				t.Fatal(err)
			}
			set := "MCPEN_VALUE = \"${value}\""
			if s.env != "" {
				set += ", " + s.env
			}
			text := fmt.Sprintf("version = 1\nname = \"served\"\n[params.value]\ntype = \"string\"\ndefault = \"Berlin\"\n[server]\npackage = %q\nargs = %s\n"+
				"[filesystem]\nread = [\"${workspace}\"]\nwrite = [\"${state}\"]\n[env]\nset = { %s }\n", s.ref, args, set)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			tools := map[int]bool{}
			for _, value := range []string{"Berlin", "Paris"} {
				dir := realFolder(t)
				for range 2 {
					got := answers(t, []string{bin, "run", "--workspace", dir, "--set", "value=" + value, "served"},
						`{"jsonrpc":"2.0","id":"prompts","method":"prompts/list"}`, `{"jsonrpc":"2.0","id":"resources","method":"resources/list"}`,
						`{"jsonrpc":"2.0","id":"templates","method":"resources/templates/list"}`)
					tools[countTools(t, got)] = true
				}
			}
			if len(tools) != 1 || tools[0] {
				t.Errorf("another number of tools at another start: %v", tools)
			}
			if out, err := exec.Command(bin, "review", "served").CombinedOutput(); err != nil || !strings.Contains(string(out), "served: nothing waits") || strings.Contains(string(out), "was seen yet") {
				t.Errorf("something is held: %v\n%.3000s", err, out)
			}
		})
	}
}
