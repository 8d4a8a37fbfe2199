package main

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/grammar"
)

// overview is mcpen's own help: the library's, but with the commands under their headings
// in the order that they have, and without the versions that --version prints.
const overview = `NAME:
   {{template "helpNameTemplate" .}}

USAGE:
   {{.HelpName}} COMMAND [options]

{{.Description}}

COMMANDS:
{{- $heading := ""}}{{range .VisibleCommands}}{{if ne .Category $heading}}{{$heading = .Category}}
   {{.Category}}:{{end}}
     {{join .Names ", "}}{{"\t"}}{{.Usage}}{{end}}

OPTIONS:{{template "visibleFlagTemplate" .}}
`

// width bounds the lines of a help page. Pages are read in pipes and small windows, too, so
// the terminal's own width does not count.
const width = 80

// again matches the second copy that the library prints of a flag that may be repeated.
var again = regexp.MustCompile(` \[ --[^\]]* \]`)

func init() {
	// The heading above a command is the overview's alone.
	cli.CommandHelpTemplate = strings.Replace(cli.CommandHelpTemplate, "{{if .Category}}", "{{if false}}", 1)
	cli.SubcommandHelpTemplate = strings.Replace(cli.SubcommandHelpTemplate, "{{if .Category}}", "{{if false}}", 1)
	flag := cli.FlagStringer
	cli.FlagStringer = func(f cli.Flag) string { return again.ReplaceAllString(flag(f), "") }
	printed := cli.HelpPrinterCustom
	cli.HelpPrinterCustom = func(out io.Writer, text string, data any, funcs map[string]any) {
		var page bytes.Buffer
		printed(&page, text, data, funcs)
		io.WriteString(out, fold(page.String(), width)) //nolint:errcheck // the library has no way for it either
	}
}

// fold breaks lines of a page that are longer than columns, at spaces. It indents the
// continuation to the last column of the line's table, which begins after two spaces or
// more. It never breaks a word: one that is longer has a line of its own.
func fold(page string, columns int) string {
	var out strings.Builder
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		margin := strings.LastIndex(strings.TrimRight(line, " "), "  ") + 2
		if margin < 2 || margin > columns*5/8 {
			margin = len(line) - len(strings.TrimLeft(line, " "))
		}
		out.WriteString(hang(line, columns, len([]rune(line[:margin]))) + "\n")
	}
	return out.String()
}

// hang breaks one line as fold does, and indents the continuation by margin columns.
func hang(line string, columns, margin int) string {
	var out strings.Builder
	for len([]rune(line)) > columns {
		head := string([]rune(line)[:columns+1])
		at := strings.LastIndexByte(head, ' ')
		if at < 0 || len([]rune(head[:at])) <= margin { // a word as long as the line has a line
			text := strings.TrimLeft(line, " ")
			if at = strings.IndexByte(text, ' '); at < 0 {
				break
			}
			at += len(line) - len(text)
		}
		out.WriteString(line[:at] + "\n")
		line = strings.Repeat(" ", margin) + line[at+1:]
	}
	return out.String() + line
}

// helpCommand is "mcpen help log" for "mcpen log --help".
func (a *app) helpCommand() *cli.Command {
	return &cli.Command{Name: "help", Aliases: []string{"h"}, Usage: "show the commands, or what one of them does", ArgsUsage: "[COMMAND…]", Action: func(c *cli.Context) error {
		words := c.Args().Slice()
		if parent, n := grammar.Command(c.App.Commands, words); n < len(words) {
			commands := c.App.Commands
			if parent != nil {
				commands = parent.Subcommands
			}
			return grammar.NoCommand(strings.Join(append([]string{"mcpen"}, words[:n]...), " "), words[n], commands)
		}
		args := slices.Concat([]string{"mcpen"}, words, []string{"--help"})
		return a.cli([]string{"mcpen", "help"}).RunContext(c.Context, args)
	}}
}
