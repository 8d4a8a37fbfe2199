package clients

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// sample is a file like those that people have, and how its client writes servers.
type sample struct {
	name   string
	format format
	shapes []shape
	text   string
}

// samples are files of every client's shape, in the styles that people and programs
// write them in.
func samples(n int) []sample {
	out := make([]sample, n)
	for i := range out {
		g := generator{rand.New(rand.NewPCG(uint64(i), 19))}
		kinds := []func() sample{g.json, g.json, g.claude, g.opencode, g.zed, g.codex, g.goose, g.continued, g.libre}
		out[i] = kinds[i%len(kinds)]()
		if g.chance(8) {
			out[i].text = strings.ReplaceAll(out[i].text, "\n", "\r\n")
		}
		if g.chance(8) {
			out[i].text = "\ufeff" + out[i].text
		}
	}
	return out
}

type generator struct{ *rand.Rand }

func (g generator) chance(oneIn int) bool { return g.IntN(oneIn) == 0 }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

// command is a command line as configurations have it.
func (g generator) command() []string {
	return pick(g,
		[]string{"npx", "-y", "@modelcontextprotocol/server-filesystem", "/home/ada/src", "/home/ada/Käse & Brot"},
		[]string{"npx", "-y", "@modelcontextprotocol/server-github"},
		[]string{"npx", "@scope/thing@latest", "--api-key", "sk-\"quoted\"-\\back"},
		[]string{"uvx", "mcp-server-git", "--repository", "/home/ada/src, really"},
		[]string{"uvx", "--from", "mcp-server-time==2026.10.19", "mcp-server-time"},
		[]string{"/opt/a,b/server[1]", "#1", "- x", "a: b", "{}"},
		[]string{"my-server"},
		[]string{"node", "/home/ada/server/dist/index.js", ""},
		[]string{"python3", "-m", "server", "--", "--verbose"},
	)
}

// other is an entry that is not to be wrapped, in JSON.
func (g generator) other() string {
	return pick(g,
		`{"url": "https://mcp.example.com/mcp", "headers": {"Authorization": "Bearer x"}}`,
		`{"type": "http", "url": "https://mcp.example.com"}`,
		`{"command": "npx", "args": ["-y", "off"], "disabled": true}`,
		`{"command": "docker", "args": ["run", "-i", "--rm", "mcp/thing"]}`,
		`{"command": "npx", "args": ["x", "${input:token}"]}`,
		`{}`, `null`, `"text"`, `[1, 2.50, 1e400]`)
}

// style is how one person or program writes JSON.
type style struct {
	nl, indent, colon string
	comments, trail   bool
	multi             bool // lists have a line for each item
}

func (g generator) style() style {
	s := style{nl: "\n", indent: pick(g, "  ", "    ", "\t"), colon: pick(g, ": ", ": ", ":", " : "), multi: g.chance(2)}
	if g.chance(5) {
		s.nl, s.indent, s.multi = "", "", false
	} else {
		s.comments, s.trail = g.chance(2), g.chance(3)
	}
	return s
}

func (s style) line(depth int) string {
	if s.nl == "" {
		return ""
	}
	return s.nl + strings.Repeat(s.indent, depth)
}

// object writes members, which are `"key": value` each.
func (g generator) object(s style, depth int, members ...string) string {
	var b strings.Builder
	b.WriteString("{")
	for i, m := range members {
		if s.comments && g.chance(4) {
			b.WriteString(s.line(depth+1) + pick(g, "// a note: [\"not\", {a list}]", "/* { */", "// ümläut"))
		}
		b.WriteString(s.line(depth+1) + m)
		if i < len(members)-1 || s.trail && g.chance(2) {
			b.WriteString(",")
		}
		if s.comments && g.chance(6) {
			b.WriteString(" // behind")
		}
	}
	if len(members) > 0 {
		b.WriteString(s.line(depth))
	}
	b.WriteString("}")
	return b.String()
}

func (g generator) list(s style, depth int, items []string) string {
	if len(items) == 0 {
		return pick(g, "[]", "[ ]", "["+s.line(depth)+"]")
	}
	q := make([]string, len(items))
	for i, item := range items {
		q[i] = quoteJSON(item)
		if g.chance(9) {
			q[i] = strings.ReplaceAll(q[i], "/", `\/`)
		}
	}
	if !s.multi || g.chance(4) {
		pad := pick(g, "", "", " ")
		return "[" + pad + strings.Join(q, pick(g, ", ", ", ", ",", " , ")) + pad + "]"
	}
	var b strings.Builder
	b.WriteString("[")
	if s.comments && g.chance(4) {
		b.WriteString(" // the words, [all] of them")
	}
	for i, item := range q {
		b.WriteString(s.line(depth+1) + item)
		if i < len(q)-1 || s.trail && g.chance(2) {
			b.WriteString(",")
		}
		if s.comments && g.chance(4) {
			b.WriteString(pick(g, " // one, two", " /* , */"))
		}
	}
	return b.String() + s.line(depth) + "]"
}

func (g generator) member(s style, key, value string) string { return quoteJSON(key) + s.colon + value }

// entryJSON is an entry with its command and arguments under these keys.
func (g generator) entryJSON(s style, depth int, command, args, env string) string {
	argv := g.command()
	members := []string{g.member(s, command, quoteJSON(argv[0]))}
	if len(argv) > 1 || g.chance(2) {
		members = append(members, g.member(s, args, g.list(s, depth+1, argv[1:])))
	}
	if g.chance(2) {
		members = append(members, g.member(s, env, g.object(s, depth+1, g.member(s, "API_KEY", `"s\u00e9cret"`), g.member(s, "LEVEL", `"info"`))))
	}
	if g.chance(3) {
		members = append([]string{g.member(s, "type", `"stdio"`)}, members...)
	}
	if g.chance(3) {
		members = append(members, g.member(s, "timeout", "60.0"))
	}
	g.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return g.object(s, depth, members...)
}

func (g generator) servers(s style, depth int) string {
	var members []string
	for i := range 1 + g.IntN(4) {
		value := g.entryJSON(s, depth+1, "command", "args", "env")
		if g.chance(4) {
			value = g.other()
		}
		members = append(members, g.member(s, fmt.Sprintf("server %d.é", i), value))
	}
	return g.object(s, depth, members...)
}

func (g generator) tail(s style) string {
	return pick(g, "", "\n", "\n\n") + map[bool]string{true: "// the end", false: ""}[s.comments && g.chance(4)]
}

func (g generator) json() sample {
	s := g.style()
	key := pick(g, "mcpServers", "servers")
	text := g.object(s, 0, g.member(s, "theme", `"dark"`), g.member(s, key, g.servers(s, 1)), g.member(s, "n", "1.0e2"))
	return sample{"json", formatJSON, []shape{{at: []string{key}}}, text + g.tail(s)}
}

func (g generator) claude() sample {
	s := g.style()
	project := g.object(s, 2, g.member(s, "history", `["<b>"]`), g.member(s, "mcpServers", g.servers(s, 3)))
	text := g.object(s, 0, g.member(s, "numStartups", "12345678901234567890"), g.member(s, "mcpServers", g.servers(s, 1)),
		g.member(s, "projects", g.object(s, 1, g.member(s, "/home/ada/src", project), g.member(s, "/tmp/x", "{}"))))
	return sample{"claude", formatJSON, claudeShapes, text + g.tail(s)}
}

func (g generator) opencode() sample {
	s := g.style()
	var members []string
	for i := range 1 + g.IntN(3) {
		members = append(members, g.member(s, fmt.Sprint("s", i), g.object(s, 2, g.member(s, "type", `"local"`),
			g.member(s, "command", g.list(s, 3, g.command())), g.member(s, "enabled", pick(g, "true", "true", "false")))))
	}
	text := g.object(s, 0, g.member(s, "$schema", `"https://opencode.ai/config.json"`), g.member(s, "mcp", g.object(s, 1, members...)))
	return sample{"opencode", formatJSON, opencodeShapes, text + g.tail(s)}
}

func (g generator) zed() sample {
	s := g.style()
	old := g.object(s, 2, g.member(s, "command", g.entryJSON(s, 3, "path", "args", "env")), g.member(s, "settings", "{}"))
	text := g.object(s, 0, g.member(s, "ui_font_size", "16"), g.member(s, "context_servers", g.object(s, 1,
		g.member(s, "old", old), g.member(s, "new", g.entryJSON(s, 2, "command", "args", "env")),
		g.member(s, "from extension", `{"source": "extension", "settings": {}}`))))
	return sample{"zed", formatJSON, zedShapes, text + g.tail(s)}
}

// tomlString writes a string in one of TOML's ways.
func (g generator) tomlString(t string) string {
	if !strings.Contains(t, "'") && g.chance(3) {
		return "'" + t + "'"
	}
	if !strings.ContainsAny(t, `"\`) && g.chance(9) {
		return `"""` + t + `"""`
	}
	return quoteJSON(t)
}

func (g generator) tomlList(items []string) string {
	q := make([]string, len(items))
	for i, t := range items {
		q[i] = g.tomlString(t)
	}
	if len(items) == 0 {
		return pick(g, "[]", "[ ]", "[ # none\n]")
	}
	if g.chance(2) {
		return "[" + strings.Join(q, pick(g, ", ", ",")) + pick(g, "]", " ]", ",]")
	}
	return "[" + pick(g, "", " # why, [so]?") + "\n  " + strings.Join(q, pick(g, ",\n  ", ", # one ]\n  ")) + pick(g, "", ",") + "\n]"
}

func (g generator) codex() sample {
	var b strings.Builder
	b.WriteString("model = \"gpt\" # the model\n\n")
	for i := range 1 + g.IntN(4) {
		argv := g.command()
		name := fmt.Sprintf(pick(g, "s%d", "\"quoted %d\""), i)
		eq := pick(g, " = ", "=", " =  ")
		lines := []string{"command" + eq + g.tomlString(argv[0]) + pick(g, "", " # a comment")}
		if len(argv) > 1 || g.chance(2) {
			lines = append(lines, "args"+eq+g.tomlList(argv[1:]))
		}
		g.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		switch g.IntN(4) {
		case 0:
			if !strings.Contains(strings.Join(lines, ""), "#") {
				fmt.Fprintf(&b, "[mcp_servers]\ninline%d = { %s, env = { A = \"b\" } }\n", i, strings.Join(lines, ", "))
				b.WriteString("[other]\nx = 1979-05-27T07:32:00Z\n")
				return sample{"codex", formatTOML, codexShapes, b.String()}
			}
			fallthrough
		default:
			indent := pick(g, "", "", "  ")
			fmt.Fprintf(&b, "[mcp_servers.%s]\n%s%s\n", name, indent, strings.Join(lines, "\n"+indent))
			if g.chance(2) {
				fmt.Fprintf(&b, "startup_timeout_sec = 20.0\n[mcp_servers.%s.env]\nAPI_KEY = 'x'\n", name)
			}
		}
		if g.chance(3) {
			b.WriteString("\n# between\n")
		}
	}
	if g.chance(3) {
		b.WriteString("[mcp_servers.remote]\nurl = \"https://example.com\"\n")
	}
	return sample{"codex", formatTOML, codexShapes, strings.TrimSuffix(b.String(), pick(g, "", "\n"))}
}

// yamlString writes a string in one of YAML's ways.
func (g generator) yamlString(t string, flow bool) string {
	plain := t != "" && !strings.ContainsAny(t, "\"\\#:{}[]&*!|>'%@`") && !strings.HasPrefix(t, "- ") && t != "--" && !(flow && strings.Contains(t, ","))
	switch {
	case plain && !g.chance(4):
		return t
	case !strings.Contains(t, "'") && g.chance(2):
		return "'" + t + "'"
	}
	return quoteJSON(t)
}

func (g generator) yamlArgs(key, indent string, items []string) string {
	if len(items) == 0 {
		return key + ": []"
	}
	q := make([]string, len(items))
	if g.chance(2) {
		for i, t := range items {
			q[i] = g.yamlString(t, true)
		}
		return key + ": " + pick(g, "[", "[ ") + strings.Join(q, pick(g, ", ", ",  ", ",\n"+indent+"    ")) + "]" + pick(g, "", " # words")
	}
	for i, t := range items {
		q[i] = "- " + g.yamlString(t, false) + pick(g, "", "", "  # one")
	}
	in := indent + pick(g, "", "  ")
	return key + ":" + pick(g, "", " # these", "\n"+in+"# above") + "\n" + in + strings.Join(q, "\n"+in)
}

func (g generator) yamlEntry(indent, command, args string) []string {
	argv := g.command()
	lines := []string{command + ": " + g.yamlString(argv[0], false) + pick(g, "", " # the program")}
	if len(argv) > 1 || g.chance(2) {
		lines = append(lines, g.yamlArgs(args, indent, argv[1:]))
	}
	lines = append(lines, "timeout: 300", "env:\n"+indent+"  KEY: \"s\u00e9cret\"")
	g.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines
}

func (g generator) goose() sample {
	var b strings.Builder
	b.WriteString("# goose\nGOOSE_PROVIDER: anthropic\nextensions:\n")
	for i := range 1 + g.IntN(3) {
		fmt.Fprintf(&b, "  ext%d: # é\n    enabled: true\n    type: stdio\n    %s\n", i, strings.Join(g.yamlEntry("    ", "cmd", "args"), "\n    "))
	}
	b.WriteString("  developer:\n    enabled: true\n    type: builtin\n    cmd: x\nafter: |\n  text: [\n")
	return sample{"goose", formatYAML, gooseShapes, b.String()}
}

func (g generator) continued() sample {
	var b strings.Builder
	b.WriteString("name: Mine\nmcpServers:\n")
	in := pick(g, "", "  ")
	for i := range 1 + g.IntN(3) {
		lines := append(g.yamlEntry(in+"  ", "command", "args"), fmt.Sprint("name: server ", i))
		g.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		fmt.Fprintf(&b, "%s- %s\n", in, strings.Join(lines, "\n"+in+"  "))
	}
	if g.chance(2) {
		fmt.Fprintf(&b, "%s- {name: flow, command: npx, args: [-y, thing]}\n", in)
	}
	return sample{"continue", formatYAML, continueShapes, b.String()}
}

func (g generator) libre() sample {
	var b strings.Builder
	b.WriteString("version: 1.2.1\nmcpServers:\n")
	for i := range 1 + g.IntN(3) {
		if g.chance(5) {
			fmt.Fprintf(&b, "  flow%d: {command: my-server}\n", i)
			continue
		}
		fmt.Fprintf(&b, "  s%d:\n      %s\n", i, strings.Join(g.yamlEntry("      ", "command", "args"), "\n      "))
	}
	return sample{"libre", formatYAML, []shape{{at: []string{"mcpServers"}}}, b.String()}
}
