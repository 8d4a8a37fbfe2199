package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"mcpen/profiles"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

func (a *app) profileDiffCommand() *cli.Command {
	return &cli.Command{
		Name: "diff", Usage: "say what a profile gives that another one does not", ArgsUsage: "A B | NAME",
		Description: "Each of them is a name or a path, with what it extends. With one name: the profile\nthat mcpen carries, and yours of that name.\n\n" +
			"The exit status is 1 where B gives more than A: a host, a path, a variable, a tool,\nmore of a limit.",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "one JSON object for each change"}},
		Action: func(c *cli.Context) error {
			was, is, err := a.compared(c.Args().Slice())
			if err != nil {
				return err
			}
			changes := policy.Compare(was, is)
			if c.Bool("json") {
				err = a.diffJSON(changes)
			} else {
				a.diffText(changes)
			}
			if err != nil {
				return err
			}
			return widened(changes)
		},
	}
}

// compared are the two profiles that the words of a command line name.
func (a *app) compared(names []string) (was, is *policy.Profile, err error) {
	at, err := a.Dirs()
	if err != nil {
		return nil, nil, err
	}
	switch len(names) {
	case 1:
		data, ok := profiles.Read(names[0])
		if !ok {
			return nil, nil, usage("mcpen profile diff A B", "mcpen carries no profile %q to compare yours with", names[0])
		}
		was, err = policy.Parse(profiles.File(names[0]), data, catalog.Loader(user.Dirs{Machine: a.Machine}))
	case 2:
		was, err = catalog.Profile(at, names[0])
	default:
		return nil, nil, usage("mcpen profile diff A B", "two profiles, please")
	}
	if err != nil {
		return nil, nil, err
	}
	is, err = catalog.Profile(at, names[len(names)-1])
	return was, is, err
}

// diffText prints a line for each change, the word for a person in front.
func (a *app) diffText(changes []policy.Change) {
	for _, ch := range changes {
		sign, word := "-", "        "
		if ch.Added {
			sign = "+"
		}
		if ch.Wider {
			word = "GIVES   "
		}
		line := fmt.Sprintf("%s %s %s = %q", word, sign, ch.Key, ch.Text)
		if ch.At != (policy.Pos{}) {
			line += "  (" + ch.At.String() + ")"
		}
		fmt.Fprintln(a.out, audit.Visible(line))
	}
	if len(changes) == 0 {
		fmt.Fprintln(a.out, "they give the same")
	}
}

func (a *app) diffJSON(changes []policy.Change) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	for _, ch := range changes {
		if err := enc.Encode(struct {
			Key   string `json:"key"`
			Text  string `json:"text"`
			Added bool   `json:"added"`
			Wider bool   `json:"wider"`
			At    string `json:"at,omitempty"`
		}{ch.Key, ch.Text, ch.Added, ch.Wider, ch.At.String()}); err != nil {
			return err
		}
	}
	return nil
}

// widened is the error of a comparison that found a new right.
func widened(changes []policy.Change) error {
	n := 0
	for _, ch := range changes {
		if ch.Wider {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return &launch.Error{Code: 1, Err: fmt.Errorf("the second profile gives more: %s", user.Count(n, "change"))}
}
