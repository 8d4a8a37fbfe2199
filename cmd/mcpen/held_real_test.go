//go:build integration

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type heldServer struct {
	ref  string
	env  string   // as env.set
	args []string // of the profile
}

// heldServers are real servers that list their tools without a login, with the values
// that they need to begin at all. "${value}" is a parameter, which is another one in
// another workspace.
var heldServers = []heldServer{
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
	{ref: "npm:@drawio/mcp"},
	{ref: "npm:@eslint/mcp"},
	{ref: "npm:repomix", args: []string{"--mcp"}},
	{ref: "npm:@mapbox/mcp-devkit-server", env: `MAPBOX_ACCESS_TOKEN = "pk.eyJ1Ijoibm9uZSJ9.none"`},
	{ref: "npm:@bankless/onchain-mcp", env: `BANKLESS_API_TOKEN = "${value}"`},
	{ref: "npm:hyperbrowser-mcp", env: `HYPERBROWSER_API_KEY = "${value}"`},
	{ref: "npm:ref-tools-mcp", env: `REF_API_KEY = "${value}"`},
	{ref: "npm:n8n-mcp", env: `MCP_MODE = "stdio", DISABLE_CONSOLE_OUTPUT = "true", LOG_LEVEL = "error"`},
	{ref: "npm:@postman/postman-mcp-server", env: `POSTMAN_API_KEY = "${value}"`},
	{ref: "npm:@mastra/mcp-docs-server"},
	{ref: "npm:@launchdarkly/mcp-server", args: []string{"start", "--transport", "stdio"}, env: `LAUNCHDARKLY_API_KEY = "${value}"`},
	{ref: "npm:hostinger-api-mcp", env: `HOSTINGER_API_TOKEN = "${value}"`},
	{ref: "npm:@wonderwhy-er/desktop-commander", env: `HOME = "${state}"`},
	{ref: "npm:@cyanheads/git-mcp-server", env: `GIT_BASE_DIR = "${workspace}", MCP_TRANSPORT_TYPE = "stdio"`},
	{ref: "npm:@line/line-bot-mcp-server", env: `DESTINATION_USER_ID = "U${value}", CHANNEL_ACCESS_TOKEN = "${value}"`},
	{ref: "pypi:markitdown-mcp"},
	{ref: "pypi:mcp-neo4j-data-modeling"},
	{ref: "pypi:scrapegraph-mcp", env: `SGAI_API_KEY = "${value}"`},
}

// allHeld are these, and the packages whose versions are compared, each once.
func allHeld(t *testing.T) []heldServer {
	all := slices.Clone(heldServers)
	for _, p := range realPackages(t) {
		if slices.ContainsFunc(all, func(s heldServer) bool { return s.ref == p.ref }) {
			continue
		}
		s := heldServer{ref: p.ref}
		for _, a := range p.args {
			s.args = append(s.args, strings.ReplaceAll(a, "DIR", "${workspace}"))
		}
		for _, kv := range p.env {
			name, value, _ := strings.Cut(kv, "=")
			s.env += fmt.Sprintf(", %s = %q", name, value)
		}
		s.env = strings.TrimPrefix(s.env, ", ")
		all = append(all, s)
	}
	return all
}

// Honest servers are not held: the definitions of a real server's second start, in
// another workspace and with another parameter, need no review. A person who must
// answer at every start stops reading the questions.
func TestRealServersAreNotHeld(t *testing.T) {
	bin := realBinary(t)
	only, err := regexp.Compile(os.Getenv("REAL_PACKAGES"))
	if err != nil {
		t.Fatal(err)
	}
	answered, tried := 0, 0
	defer func() { // a registry that is down would hold nobody
		if t.Logf("%d of %d servers answered", answered, tried); answered*4 < tried*3 {
			t.Errorf("only %d of %d servers answered", answered, tried)
		}
	}()
	for _, s := range allHeld(t) {
		if !only.MatchString(s.ref) {
			continue
		}
		tried++
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
			if out, err := exec.Command(bin, "add", "--name", "served", s.ref).CombinedOutput(); err != nil {
				t.Skipf("it does not install here: %.600s", out)
			}
			if _, err := realTools([]string{bin, "run", "--set", "value=Berlin", "served"}, os.Environ(), realFolder(t)); err != nil {
				t.Skipf("it answers nobody here: %.600v", err)
			}
			answered++
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
