// Package grammar reads a command line by the commands and flags that there are: which words
// are flags, which may come next, and which is a mistake. It runs no command and prints
// nothing.
package grammar

import (
	"slices"
	"strings"

	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"

	"github.com/urfave/cli/v2"
)

// Word is a possible word and its meaning.
type Word struct{ Text, Usage string }

// Complete lists the words that can complete the last one of a command line. None
// means files, or a place that mcpen does not know: so it is after "--". values are those
// that a flag may have; names are the profiles.
func Complete(grammar *cli.App, values func(flag string) []string, names, line []string) []Word {
	if len(line) == 0 || slices.Contains(line[:len(line)-1], "--") {
		return nil
	}
	line, cur := line[:len(line)-1], line[len(line)-1]
	c, n := Command(grammar.Commands, line)
	commands, flags := grammar.Commands, grammar.Flags
	if c != nil {
		commands, flags = c.Subcommands, c.Flags
	}
	rest := line[n:]
	if flag, typed, prefix, ok := valueOf(flags, rest, cur); ok {
		var found []Word
		for _, v := range values(flag) {
			found = append(found, Word{prefix + v, ""})
		}
		return beginning(found, prefix+typed)
	}
	if strings.HasPrefix(cur, "-") {
		return beginning(FlagWords(flags), cur)
	}
	var found []Word
	for _, sub := range commands {
		if !sub.Hidden {
			found = append(found, Word{sub.Name, sub.Usage})
		}
	}
	_, given, _ := Sort(flags, rest)
	if c != nil && takesName(c.ArgsUsage, len(given)) {
		for _, name := range names {
			found = append(found, Word{name, "profile"})
		}
	}
	return beginning(found, cur)
}

// Command finds the command that words begin with, and how many of them name it.
func Command(commands []*cli.Command, words []string) (c *cli.Command, n int) {
	for ; n < len(words); n++ {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(words[n]) })
		if i < 0 {
			break
		}
		c, commands = commands[i], commands[i].Subcommands
	}
	return c, n
}

// Sort tells flags, with their values, from the other words of a command line. It is
// not whole where the last flag lacks its value.
func Sort(known []cli.Flag, words []string) (flags, others []string, whole bool) {
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

// FlagWords are flags as they are typed.
func FlagWords(flags []cli.Flag) []Word {
	found := []Word{{"--help", "show help"}}
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
				found = append(found, Word{dashes + name, usage})
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

func beginning(words []Word, with string) []Word {
	return slices.DeleteFunc(words, func(w Word) bool { return !strings.HasPrefix(w.Text, with) })
}

// FlagsFirst moves the flags of a command before its other words: people write "run
// SERVER --set name=value" as well. Words after "--" stay there.
func FlagsFirst(commands []*cli.Command, args []string) []string {
	c, n := Command(commands, args[min(1, len(args)):])
	if c == nil {
		return args
	}
	end := slices.Index(args, "--")
	if end < 0 {
		end = len(args)
	}
	flags, others, whole := Sort(c.Flags, args[1+n:end])
	if asksForHelp(c.Flags, flags) { // what stands beside it is no topic
		return append(slices.Clone(args[:1+n]), "--help")
	}
	if !whole { // nothing else is to become the value
		return slices.Concat(args[:1+n], flags)
	}
	return slices.Concat(args[:1+n], flags, others, args[end:])
}

// asksForHelp looks for --help among flags and their values, of which none is it.
func asksForHelp(known []cli.Flag, flags []string) bool {
	for i := 0; i < len(flags); i++ {
		switch w := flags[i]; {
		case valued(known, w) != "":
			i++
		case w == "--help" || w == "-help" || w == "-h":
			return true
		}
	}
	return false
}

// Strict makes a command and its subcommands refuse unknown words and flags. parent
// holds the words before the command's name; page adds a command's manual to its help.
func Strict(c *cli.Command, parent string, page func(text, path string) string) {
	path := parent + " " + c.Name
	c.Description = page(c.Description, path)
	for _, f := range c.Flags {
		if f, ok := f.(*cli.BoolFlag); ok {
			f.DisableDefaultText = true // each is false
		}
	}
	c.OnUsageError = func(_ *cli.Context, err error, _ bool) error { return NoFlag(err, path, c.Flags) }
	if len(c.Subcommands) == 0 {
		c.HideHelpCommand = true // "help" is a server's name there
		c.CustomHelpTemplate = cli.CommandHelpTemplate
		c.Before = func(ctx *cli.Context) error { return FewWords(path, c.ArgsUsage, ctx.Args().Slice()) }
		return
	}
	for _, sub := range c.Subcommands {
		Strict(sub, path, page)
	}
	commands := c.Subcommands
	c.Action = func(ctx *cli.Context) error {
		if ctx.NArg() > 0 {
			return NoCommand(path, ctx.Args().First(), commands)
		}
		if err := cli.ShowSubcommandHelp(ctx); err != nil {
			return err
		}
		return launch.Usage(path+" "+commands[0].Name, "no command named")
	}
}

// FewWords is an error where a command was given more words than its help has. A
// command whose help has "--" counts for itself.
func FewWords(path, has string, words []string) error {
	most := mostWords(has)
	if strings.Contains(has, "-- ") || most < 0 || len(words) <= most {
		return nil
	}
	want := strings.TrimSpace(path + " " + has)
	return launch.Usage(path+" --help", "%q is a word too many: want %s", words[most], want)
}

// NoCommand is the error of a word in the place of a command.
func NoCommand(parent, name string, commands []*cli.Command) error {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Names()...)
		}
	}
	hint := policy.DidYouMean(name, names)
	if hint == "" {
		hint = strings.Replace(parent, "mcpen", "mcpen help", 1)
	}
	return launch.Usage(hint, "no command %q", strings.TrimPrefix(parent+" "+name, "mcpen "))
}

// NoFlag is the error of flags that cannot be read.
func NoFlag(err error, path string, flags []cli.Flag) error {
	hint := ""
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		var names []string
		for _, w := range FlagWords(flags) {
			names = append(names, w.Text)
		}
		hint = policy.DidYouMean("--"+strings.TrimPrefix(name, "-"), names)
	}
	if hint == "" {
		hint = path + " --help"
	}
	return launch.Usage(hint, "%v", err)
}
