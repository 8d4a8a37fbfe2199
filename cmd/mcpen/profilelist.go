package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/draft"
	"mcpen/sandbox/launch"
)

func (a *app) profileListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list the profiles that can be run by name", ArgsUsage: "[WORD…]",
		Description: "With words: those that have each of them in their name, package or description.\nThe first of two of one name is the one that counts: yours, the machine's, mcpen's.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print them as JSON, with their parameters"}},
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			at, err := a.Dirs()
			if err != nil {
				return err
			}
			found, err := catalog.List(at, words)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return a.listJSON(found)
			}
			if len(found) == 0 {
				var inQuotes []string
				for _, w := range words {
					inQuotes = append(inQuotes, draft.Quote(w))
				}
				return &launch.Error{Code: 1, Err: fmt.Errorf("no profile has %s", strings.Join(inQuotes, " and ")), Hint: "mcpen profile list"}
			}
			return a.listText(found, a.columns())
		},
	}
}

func (a *app) listJSON(found []catalog.Listed) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(found)
}

// listText prints a line for each profile, of at most so many columns; 0 is no bound.
func (a *app) listText(found []catalog.Listed, columns int) error {
	rows := make([][2]string, len(found))
	width := [2]int{}
	for i, l := range found {
		rows[i] = [2]string{audit.Visible(l.Name), audit.Visible(l.Program())}
		for c := range width {
			width[c] = max(width[c], utf8.RuneCountInString(rows[i][c]))
		}
	}
	if columns > 0 { // the description has a third of the line at least
		width[1] = max(0, min(width[1], columns*2/3-width[0]-4))
	}
	for i, l := range found {
		what := l.Description
		switch {
		case len(l.Mistakes) > 0:
			what = "(has mistakes: mcpen check " + l.File + ")"
		case !l.Ships:
			what = strings.TrimSpace(what + " (" + l.File + ")")
		}
		line := fmt.Sprintf("%-*s  %-*s  %s", width[0], rows[i][0], width[1], shorten(rows[i][1], width[1]), audit.Visible(what))
		if columns > 0 {
			line = shorten(line, columns)
		}
		if _, err := fmt.Fprintln(a.out, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

// shorten cuts a text to so many characters, and shows that it was cut.
func shorten(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	if width < 1 {
		return ""
	}
	return string([]rune(text)[:width-1]) + "…"
}

// columns is the width of the terminal that a list goes to; 0 where it goes to none.
func (a *app) columns() int {
	if !a.Terminal(a.out) {
		return 0
	}
	if n, err := strconv.Atoi(a.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	n, _, err := term.GetSize(int(a.out.Fd()))
	if err != nil || n <= 0 {
		return 80
	}
	return n
}
