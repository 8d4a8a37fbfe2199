package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/draft"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
)

func (a *app) profileListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list the profiles that can be run by name", ArgsUsage: "[WORD…]",
		Description: "With words: those that have each of them in their name, package or description.\nThe first of two of one name is the one that counts: yours, the machine's, mcpen's.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print them as JSON, with their parameters"}},
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			found, err := a.listed(words)
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

// listedProfile is a profile in a list.
type listedProfile struct {
	Name        string        `json:"name"`
	Package     string        `json:"package,omitempty"` // "" for a command, or for a profile made to be extended
	Description string        `json:"description,omitempty"`
	File        string        `json:"file"`
	Ships       bool          `json:"ships"`
	Starts      bool          `json:"starts"` // whether it can be run
	Params      []listedParam `json:"params"`
	Mistakes    []string      `json:"mistakes,omitempty"`
}

// listedParam is a profile's parameter.
type listedParam struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	Description string   `json:"description,omitempty"`
	Required    bool     `json:"required"`
	Many        bool     `json:"many,omitempty"`
	Default     []string `json:"default,omitempty"`
	Choices     []string `json:"choices,omitempty"`
	Env         string   `json:"env,omitempty"`
}

// listed are the profiles that have each of the words.
func (a *app) listed(words []string) ([]listedProfile, error) {
	at, err := a.Dirs()
	if err != nil {
		return nil, err
	}
	out := []listedProfile{}
	for _, name := range catalog.Names(at) {
		file, data, err := catalog.Loader(at)(name, "")
		if err != nil {
			return nil, fmt.Errorf("cannot read the profile %q: %w", name, err)
		}
		l := listedProfile{Name: name, File: file, Ships: profiles.Ships(file), Params: []listedParam{}}
		p, err := policy.Parse(file, data, catalog.Loader(at))
		if mistakes := (policy.Mistakes)(nil); errors.As(err, &mistakes) {
			for _, m := range mistakes {
				l.Mistakes = append(l.Mistakes, m.Error())
			}
		} else {
			l.take(p)
		}
		if l.has(words) {
			out = append(out, l)
		}
	}
	return out, nil
}

// take takes over a profile's description of itself.
func (l *listedProfile) take(p *policy.Profile) {
	l.Package, l.Description = p.Package(), p.Description
	l.Starts = l.Package != "" || slices.ContainsFunc(p.Said(), func(s policy.Said) bool { return s.Key == "server.command" })
	for _, q := range p.Params {
		l.Params = append(l.Params, listedParam{Name: q.Name, Type: string(q.Type), Description: q.Description, Required: !q.Optional,
			Many: q.Many, Default: q.Default, Choices: q.Choices, Env: q.Env})
	}
}

func (l listedProfile) has(words []string) bool {
	text := strings.ToLower(l.Name + "\n" + l.Package + "\n" + l.Description)
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, strings.ToLower(w)) })
}

func (a *app) listJSON(found []listedProfile) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(found)
}

// listText prints a line for each profile, of at most so many columns; 0 is no bound.
func (a *app) listText(found []listedProfile, columns int) error {
	rows := make([][2]string, len(found))
	width := [2]int{}
	for i, l := range found {
		rows[i] = [2]string{audit.Visible(l.Name), audit.Visible(l.starts())}
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

// starts names the program that a profile starts.
func (l listedProfile) starts() string {
	switch {
	case l.Package != "":
		return l.Package
	case l.Starts:
		return "a command"
	case len(l.Mistakes) > 0:
		return "?"
	}
	return "to extend"
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
