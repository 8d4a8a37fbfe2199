package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// printer writes the transcript.
type printer struct {
	out    io.Writer
	colour bool
}

const (
	green = "32"
	red   = "31"
	faint = "2"
)

func (p printer) paint(colour, s string) string {
	if !p.colour {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// hello tells whom the client talks to.
func (p printer) hello(result json.RawMessage) {
	var r struct {
		Version string `json:"protocolVersion"`
		Info    struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"serverInfo"`
	}
	// Unreadable fields stay empty: the answer itself was valid.
	json.Unmarshal(result, &r)
	fmt.Fprintf(p.out, "  %s\n", p.paint(faint, fmt.Sprintf("%s %s, MCP %s", plain(r.Info.Name), plain(r.Info.Version), plain(r.Version))))
}

func (p printer) tools(names []string) {
	for i, name := range names {
		names[i] = plain(name)
	}
	fmt.Fprintf(p.out, "  tools: %s\n", strings.Join(names, ", "))
}

// call prints a request and its outcome, with the answer cut to a few lines.
func (p printer) call(c toolCall, text string, failed bool) {
	mark := p.paint(green, "allowed")
	if failed {
		mark = p.paint(red, "refused")
	}
	fmt.Fprintf(p.out, "  %s  %s %s\n", mark, c.tool, c.arguments)
	lines := strings.Split(strings.TrimRight(plain(text), "\n"), "\n")
	const most = 6
	for i, line := range lines {
		if i == most {
			fmt.Fprintf(p.out, "           %s\n", p.paint(faint, fmt.Sprintf("… %d more lines", len(lines)-most)))
			break
		}
		if r := []rune(line); len(r) > 120 {
			line = string(r[:120]) + "…"
		}
		fmt.Fprintf(p.out, "           %s\n", p.paint(faint, line))
	}
}

// plain removes the characters that could steer a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0) {
			return '�'
		}
		return r
	}, s)
}
