//go:build integration

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/trial"
)

// triedPackages are real packages, half of them with secrets, and the hosts that their
// code names (owner/repository@commit:file:line of each is in the profile that mcpen
// carries, if there is one). A host of another reading in why is not reached in a
// trial, for that reason.
var triedPackages = []struct {
	ref     string
	args    []string
	hosts   []string
	secrets bool
	why     map[string]string
}{
	{ref: "npm:@modelcontextprotocol/server-everything"},
	{ref: "npm:@modelcontextprotocol/server-filesystem"},
	{ref: "npm:@modelcontextprotocol/server-memory"},
	{ref: "npm:@modelcontextprotocol/server-sequential-thinking"},
	{ref: "npm:@openbnb/mcp-server-airbnb", hosts: []string{"www.airbnb.com", "photon.komoot.io", "nominatim.openstreetmap.org"}},
	{ref: "npm:@antv/mcp-server-chart", hosts: []string{"antv-studio.alipay.com"}},
	{ref: "npm:@shopify/dev-mcp", hosts: []string{"shopify.dev"}},
	{ref: "npm:effect-mcp", hosts: []string{"raw.githubusercontent.com"}},
	{ref: "pypi:mcp-server-fetch", hosts: []string{"www.example.com"}},
	{ref: "pypi:mcp-server-git"},
	{ref: "pypi:mcp-server-time"},
	{ref: "pypi:wikipedia-mcp", hosts: []string{"en.wikipedia.org"}},
	{ref: "pypi:arxiv-mcp-server", hosts: []string{"export.arxiv.org", "arxiv.org", "api.semanticscholar.org"},
		why: map[string]string{"arxiv.org": "a paper is downloaded once the search found it", "api.semanticscholar.org": "it asks for a paper that the search found"}},
	{ref: "pypi:duckduckgo-mcp-server", hosts: []string{"html.duckduckgo.com"}},
	{ref: "pypi:awslabs.aws-documentation-mcp-server", hosts: []string{"docs.aws.amazon.com", "proxy.search.docs.aws.com", "api.contentrecs.docs.aws.com", "docs.amazonaws.cn"},
		why: map[string]string{"docs.aws.amazon.com": "it reads pages whose address is one of its own, and is given another", "docs.amazonaws.cn": "a variable chooses the partition"}},
	{ref: "npm:@modelcontextprotocol/server-github", secrets: true, hosts: []string{"api.github.com"}},
	{ref: "npm:@notionhq/notion-mcp-server", secrets: true, hosts: []string{"api.notion.com"}},
	{ref: "npm:@upstash/context7-mcp", secrets: true, hosts: []string{"context7.com"}},
	{ref: "npm:firecrawl-mcp", secrets: true, hosts: []string{"api.firecrawl.dev"}},
	{ref: "npm:tavily-mcp", secrets: true, hosts: []string{"api.tavily.com"}},
	{ref: "npm:exa-mcp-server", secrets: true, hosts: []string{"api.exa.ai", "api.agnost.ai"}},
	{ref: "npm:@perplexity-ai/mcp-server", secrets: true, hosts: []string{"api.perplexity.ai"}},
	{ref: "npm:@brave/brave-search-mcp-server", secrets: true, hosts: []string{"api.search.brave.com"}},
	{ref: "npm:airtable-mcp-server", secrets: true, hosts: []string{"api.airtable.com", "content.airtable.com"}},
	{ref: "npm:@delorenj/mcp-server-trello", secrets: true, hosts: []string{"api.trello.com"}},
	{ref: "npm:figma-developer-mcp", args: []string{"--stdio"}, secrets: true, hosts: []string{"api.figma.com", "us.i.posthog.com"},
		why: map[string]string{"us.i.posthog.com": "it sends what it counted later than a trial lasts"}},
	{ref: "npm:@mapbox/mcp-server", secrets: true, hosts: []string{"api.mapbox.com"}},
	{ref: "pypi:mcp-neo4j-aura-manager", secrets: true, hosts: []string{"api.neo4j.io"}},
	{ref: "pypi:elevenlabs-mcp", secrets: true, hosts: []string{"api.elevenlabs.io"}},
	{ref: "pypi:scrapegraph-mcp", secrets: true, hosts: []string{"api.scrapegraphai.com"}},
}

// Thirty packages that people use, as their registries give them today: none is taken
// for a thief, the hosts that its code names are found where a tool leads there, the
// profile that is written lets it start and list, and its tools are those that it has
// outside. TRIED_HOME keeps packages between runs; TRIED_TABLE takes the table.
func TestRealTried(t *testing.T) {
	bin := realBinary(t)
	home := os.Getenv("TRIED_HOME")
	if home == "" {
		home = realFolder(t)
		t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", home).Run() })
	}
	t.Setenv("HOME", home)
	table := fmt.Sprintf("%-48s %-18s %-6s %5s %5s  %-34s %s\n", "package", "version", "says", "bare", "tried", "with its profile", "hosts: found / named in its code")
	for _, p := range triedPackages {
		t.Run(strings.NewReplacer("@", "", "/", "-").Replace(p.ref), func(t *testing.T) {
			profile := filepath.Join(t.TempDir(), "drafted.toml")
			argv := append([]string{"try", "--json", "--call", "all", "--watch", "2s", "--limit", "4m", "--write", profile, p.ref, "--"}, p.args...)
			cmd := exec.Command(bin, argv...)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			err := cmd.Run()
			var r trial.Report
			if e := json.Unmarshal(out.Bytes(), &r); e != nil {
				t.Fatalf("%v, %v: %s", err, e, errs.String())
			}
			bare := bareTools(t, home, &r, p.args)
			tried := make([]string, len(r.Conversation.Tools))
			for i, tool := range r.Conversation.Tools {
				tried[i] = tool.Name
			}
			slices.Sort(tried)
			found, lacks := 0, ""
			for _, h := range p.hosts {
				switch {
				case slices.ContainsFunc(r.Hosts, func(have trial.Host) bool { return have.Name == h }):
					found++
				case p.why[h] != "":
					lacks += "; " + h + ": " + p.why[h]
				default:
					t.Errorf("%s was not found: %+v", h, r.Hosts)
				}
			}
			table += fmt.Sprintf("%-48s %-18s %-6s %5d %5d  %-34s %d / %d%s\n", p.ref, r.Subject.Version, r.Verdict.Level, len(bare), len(tried), r.Replay, found, len(p.hosts), lacks)
			if r.Verdict.Level == trial.Red {
				t.Errorf("an honest package is red: %+v", r.Verdict.Reasons[0])
			}
			if len(bare) == 0 || !slices.Equal(bare, tried) {
				t.Errorf("tools outside: %q, in the trial: %q; %+v", bare, tried, r.Verdict.Reasons)
			}
			if want := fmt.Sprintf("it starts and lists the same %d tool", len(tried)); !strings.HasPrefix(r.Replay, want) || !strings.HasSuffix(r.Replay, "; 0 refusals") {
				t.Errorf("with the profile that was written %s", r.Replay)
			}
			if p.secrets && len(r.Subject.Variables) == 0 {
				t.Error("no secret was found that it reads")
			}
		})
	}
	fmt.Print(table)
	if file := os.Getenv("TRIED_TABLE"); file != "" {
		if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// bareTools starts a trial's program outside of every sandbox, and returns the names of
// its tools.
func bareTools(t *testing.T, home string, r *trial.Report, args []string) []string {
	t.Helper()
	argv := slices.Clone(r.Subject.Command)
	dir := realFolder(t)
	for i, word := range argv {
		if rest, ok := strings.CutPrefix(word, r.Subject.Root+"/"); ok {
			trees, _ := filepath.Glob(filepath.Join(home, ".local/state/mcpen/store/trees/*/tree", rest)) // the pattern is good
			if len(trees) == 0 {
				t.Fatalf("%s is in no tree", rest)
			}
			argv[i] = trees[0]
			for _, tree := range trees[1:] { // the one that was installed last
				if newer(tree, argv[i]) {
					argv[i] = tree
				}
			}
		}
		argv[i] = strings.ReplaceAll(argv[i], r.Desk.Workspace, dir)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "LANG=C.UTF-8"}
	for _, name := range r.Subject.Variables {
		value := "pk.eyJ1IjoieCJ9.not-a-secret"
		if strings.HasSuffix(name, "URL") {
			value = trial.Canned
		} else if strings.HasSuffix(name, "PORT") {
			value = "443"
		}
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); cmd.Process.Kill(); cmd.Wait() }()
	timer := time.AfterFunc(3*time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewReader(out)
	say := func(text string) { io.WriteString(in, text+"\n") }
	hear := func(id string) []byte {
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				t.Fatalf("outside it ends: %v: %.2000s", err, said.String())
			}
			var m struct {
				ID json.RawMessage
			}
			if json.Unmarshal(line, &m) == nil && string(m.ID) == id {
				return line
			}
		}
	}
	say(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{"listChanged":true},"sampling":{},"elicitation":{}},"clientInfo":{"name":"claude-ai","version":"0.1.0"}}}`)
	hear("1")
	say(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	var names []string
	for id, cursor := 2, ""; ; id++ {
		params, _ := json.Marshal(map[string]string{"cursor": cursor}) // strings
		if cursor == "" {
			params = []byte("{}")
		}
		say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/list","params":%s}`, id, params))
		var page struct {
			Result struct {
				Tools      []struct{ Name string }
				NextCursor string
			}
		}
		if err := json.Unmarshal(hear(fmt.Sprint(id)), &page); err != nil {
			t.Fatal(err)
		}
		for _, tool := range page.Result.Tools {
			names = append(names, tool.Name)
		}
		if cursor = page.Result.NextCursor; cursor == "" {
			slices.Sort(names)
			return names
		}
	}
}

// newer reports whether the tree of one file was made after that of another.
func newer(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && x.ModTime().After(y.ModTime())
}
