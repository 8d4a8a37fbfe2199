package main

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"mcpen/cmd/mcpen/clients"
	"mcpen/sandbox/catalog"
	"mcpen/sandbox/policy"
)

// The scripts ask "mcpen completion words" at each TAB. The library's own way is
// not used: it takes a magic last word, which a server's arguments may hold, and its
// script evaluates the line that is being typed.
var (
	//go:embed completion/mcpen.bash
	bashScript string
	//go:embed completion/mcpen.zsh
	zshScript string
	//go:embed completion/mcpen.fish
	fishScript string
)

func (a *app) completionCommand() *cli.Command {
	shell := func(name, script string) *cli.Command {
		return &cli.Command{Name: name, Usage: "print the script for " + name, Action: func(*cli.Context) error {
			_, err := io.WriteString(a.out, script)
			return err
		}}
	}
	return &cli.Command{
		Name: "completion", Usage: "print a script with which a shell completes commands, flags and profiles",
		Subcommands: []*cli.Command{
			shell("bash", bashScript), shell("zsh", zshScript), shell("fish", fishScript),
			{Name: "words", Hidden: true, Usage: "what may stand in the place of the last word", ArgsUsage: "-- WORD…", Action: func(c *cli.Context) error {
				for _, w := range completed(c.App, a.names(), c.Args().Slice()) {
					fmt.Fprintf(a.out, "%s\t%s\n", w.text, w.usage)
				}
				return nil
			}},
		},
	}
}

// names are the profiles that can be named, or none where nobody can tell.
func (a *app) names() []string {
	at, err := a.Dirs()
	if err != nil {
		return nil
	}
	return catalog.Names(at)
}

// word is a possible word and its meaning.
type word struct{ text, usage string }

// completed lists the words that can complete the last one of a command line. None
// means files, or a place that mcpen does not know: so it is after "--".
func completed(grammar *cli.App, names, line []string) []word {
	if len(line) == 0 || slices.Contains(line[:len(line)-1], "--") {
		return nil
	}
	line, cur := line[:len(line)-1], line[len(line)-1]
	c, n := commandOf(grammar.Commands, line)
	commands, flags := grammar.Commands, grammar.Flags
	if c != nil {
		commands, flags = c.Subcommands, c.Flags
	}
	rest := line[n:]
	if flag, typed, prefix, ok := valueOf(flags, rest, cur); ok {
		var found []word
		for _, v := range flagValues(flag, names) {
			found = append(found, word{prefix + v, ""})
		}
		return beginning(found, prefix+typed)
	}
	if strings.HasPrefix(cur, "-") {
		return beginning(flagWords(flags), cur)
	}
	var found []word
	for _, sub := range commands {
		if !sub.Hidden {
			found = append(found, word{sub.Name, sub.Usage})
		}
	}
	_, given, _ := sorted(flags, rest)
	if c != nil && takesName(c.ArgsUsage, len(given)) {
		for _, name := range names {
			found = append(found, word{name, "profile"})
		}
	}
	return beginning(found, cur)
}

// commandOf finds the command that words begin with, and how many of them name it.
func commandOf(commands []*cli.Command, words []string) (c *cli.Command, n int) {
	for ; n < len(words); n++ {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(words[n]) })
		if i < 0 {
			break
		}
		c, commands = commands[i], commands[i].Subcommands
	}
	return c, n
}

// sorted tells flags, with their values, from the other words of a command line. It is
// not whole where the last flag lacks its value.
func sorted(known []cli.Flag, words []string) (flags, others []string, whole bool) {
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case !strings.HasPrefix(w, "-") || w == "-":
			others = append(others, w)
		case valued(known, w) != "" && i+1 == len(words):
			return append(flags, w), others, false
		case valued(known, w) != "":
			flags = append(flags, w, words[i+1])
			i++
		default:
			flags = append(flags, w)
		}
	}
	return flags, others, true
}

// valued is the name of a flag that has its value in the next word, or "".
func valued(known []cli.Flag, w string) string {
	name, ok := strings.CutPrefix(w, "-")
	if !ok {
		return ""
	}
	name = strings.TrimPrefix(name, "-")
	for _, f := range known {
		if _, alone := f.(*cli.BoolFlag); !alone && slices.Contains(f.Names(), name) {
			return name
		}
	}
	return ""
}

// valueOf finds the flag of the unfinished value, whether in one word with it or not,
// the typed part, and the text before that in the word. Bash splits words at "=".
func valueOf(known []cli.Flag, before []string, cur string) (flag, typed, prefix string, ok bool) {
	if w, v, cut := strings.Cut(cur, "="); cut && valued(known, w) != "" {
		return valued(known, w), v, w + "=", true
	}
	if n := len(before); n > 1 && before[n-1] == "=" {
		before = before[:n-1]
	} else if cur == "=" {
		cur = ""
	}
	if len(before) == 0 {
		return "", "", "", false
	}
	flag = valued(known, before[len(before)-1])
	return flag, cur, "", flag != ""
}

// flagValues are the values that a flag may have, or none where anything may be one.
func flagValues(flag string, names []string) []string {
	switch flag {
	case "profile", "extends":
		return names
	case "client":
		return clients.Names()
	case "without":
		var out []string
		for _, l := range policy.DefaultLayers() {
			out = append(out, string(l))
		}
		return out
	case "format":
		return []string{"text", "json", "sarif"}
	case "level":
		return append(slices.Clone(levels), "malicious")
	case "fail-on":
		return []string{"red", "amber"}
	case "call":
		return []string{"read-only", "all", "none"}
	}
	return nil
}

// flagWords are flags as they are typed.
func flagWords(flags []cli.Flag) []word {
	found := []word{{"--help", "show help"}}
	for _, f := range flags {
		usage := ""
		if d, ok := f.(cli.DocGenerationFlag); ok {
			usage = d.GetUsage()
		}
		for _, name := range f.Names() {
			dashes := "--"
			if len(name) == 1 {
				dashes = "-"
			}
			if name != "help" && name != "h" {
				found = append(found, word{dashes + name, usage})
			}
		}
	}
	return found
}

// takesName reports whether a profile's name may be the next word of a command with
// these words in its help, where so many stand there already.
func takesName(usage string, given int) bool {
	fields := strings.Fields(strings.NewReplacer("[", " ", "]", " ", "|", " ", "…", " … ").Replace(usage))
	if !slices.ContainsFunc(fields, func(f string) bool { return f == "SERVER" || f == "NAME" || f == "A" }) {
		return false
	}
	most := mostWords(usage)
	return most < 0 || given < most
}

// mostWords is how many words before "--" a command takes by its help, or -1 where it
// takes any number of them.
func mostWords(usage string) (most int) {
	for _, way := range strings.Split(usage, " | ") {
		way, _, _ = strings.Cut(way, "-- ")
		if strings.Contains(way, "…") {
			return -1
		}
		most = max(most, len(strings.Fields(strings.Trim(way, " ["))))
	}
	return most
}

func beginning(words []word, with string) []word {
	return slices.DeleteFunc(words, func(w word) bool { return !strings.HasPrefix(w.text, with) })
}
