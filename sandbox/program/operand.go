package program

import (
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mcpen/sandbox/host"
	"mcpen/sandbox/internal/lazy"
)

// interpreter describes the command line of one.
type interpreter struct {
	name  func() *regexp.Regexp
	sub   []string // subcommands before the file
	value []string // options with a separate value
	none  []string // options after which no file follows
	short bool     // one-letter options may be joined: -um
}

// interpreters are the programs whose first operand is a file to run.
var interpreters = []interpreter{
	{name: lazy.Pattern(`^(node|nodejs|tsx|ts-node)$`),
		value: []string{"-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "--input-type", "--env-file", "--tsconfig", "-P", "--project"},
		none:  []string{"-e", "--eval", "-p", "--print", "-pe", "-v", "--version", "-h", "--help", "--run", "--test"}},
	{name: lazy.Pattern(`^bun$`), sub: []string{"run"},
		value: []string{"-r", "--preload", "--require", "--import", "--env-file", "--cwd", "-c", "--config"},
		none:  []string{"-e", "--eval", "-p", "--print"}},
	{name: lazy.Pattern(`^deno$`), sub: []string{"run"},
		value: []string{"-c", "--config", "--import-map", "-L", "--log-level", "--seed", "--location", "--cert", "--preload"}},
	{name: lazy.Pattern(`^(python|pypy)[0-9.]*t?$`), short: true, value: []string{"-W", "-X", "--check-hash-based-pycs"}, none: []string{"-c", "-m", "-V", "-h"}},
	{name: lazy.Pattern(`^(sh|bash|dash|zsh|ksh)$`), short: true, value: []string{"-o", "-O", "--rcfile", "--init-file"}, none: []string{"-c", "-s"}},
	{name: lazy.Pattern(`^ruby[0-9.]*$`), short: true, value: []string{"-I", "-r", "-C", "-E"}, none: []string{"-e", "-S"}},
	{name: lazy.Pattern(`^java$`),
		value: []string{"-cp", "-classpath", "--class-path", "-p", "--module-path", "--upgrade-module-path", "--add-modules", "--add-reads", "--add-exports", "--add-opens", "--source"},
		none:  []string{"-m", "--module", "-version", "--version", "-h", "--help"}},
	{name: lazy.Pattern(`^perl[0-9.]*$`), value: []string{}, none: []string{"-e", "-E", "-S"}},
}

// operand makes the entry file of an interpreter absolute and grants the package to
// which it belongs. It leaves arguments that name no file alone; the interpreter has to
// make sense of them.
func (f *finder) operand(path string, args []string) ([]string, error) {
	i := slices.IndexFunc(interpreters, func(in interpreter) bool { return in.name().MatchString(filepath.Base(path)) })
	if i < 0 {
		return args, nil
	}
	at := interpreters[i].file(args)
	if at < 0 {
		return args, nil
	}
	file := args[at]
	if !filepath.IsAbs(file) {
		if f.env.Dir == "" {
			return args, nil
		}
		file = filepath.Join(f.env.Dir, file)
	}
	chain, err := f.chain(file)
	if err != nil || !host.Exists(chain[len(chain)-1]) {
		return args, nil
	}
	f.follow(file)
	if f.lastScript != "" && args[at] != f.lastScript { // that script's first line names another
		f.led = append(f.led, f.lastScript)
	}
	real := chain[len(chain)-1]
	args = slices.Clone(args)
	if info := host.Look(real); info.Dir {
		if !f.visible(real) {
			f.grantPackage(filepath.Join(real, "index.js"))
			f.need(real, "the program")
		}
		args[at] = real
		return args, nil
	}
	args[at], err = f.script(chain)
	return args, err
}

// file returns the index of the file operand, or -1.
func (in interpreter) file(args []string) int {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			if i+1 < len(args) {
				return i + 1
			}
			return -1
		case arg == "-" || slices.Contains(in.none, arg):
			return -1
		case slices.Contains(in.value, arg):
			i++
		case strings.HasPrefix(arg, "--"):
			if name, _, ok := strings.Cut(arg, "="); ok && slices.Contains(in.none, name) {
				return -1
			}
		case strings.HasPrefix(arg, "-"):
			if in.short {
				stop, skip := in.joined(arg[1:])
				if stop {
					return -1
				}
				i += skip
			}
		case slices.Contains(in.sub, arg):
			in.sub = nil
		default:
			return i
		}
	}
	return -1
}

// joined reads joined one-letter options. stop is true if one of them means that no
// file follows. skip counts the arguments that the last one takes.
func (in interpreter) joined(letters string) (stop bool, skip int) {
	for i, letter := range letters {
		option := "-" + string(letter)
		if slices.Contains(in.none, option) {
			return true, 0
		}
		if slices.Contains(in.value, option) {
			if i == len(letters)-1 {
				return false, 1
			}
			return false, 0 // its value is joined to it
		}
	}
	return false, 0
}

// envLine reads the arguments of env(1) in a shebang: a command and, with -S,
// assignments before it and more words after it. It refuses options that change the
// inherited environment, as the program inside inherits only declared variables.
func envLine(opts []string) (command string, args, vars []string, err error) {
	var words []string
	if len(opts) > 0 {
		words = []string{opts[0]}
		for _, split := range []string{"-S", "-vS", "--split-string=", "--split-string "} {
			if rest, ok := strings.CutPrefix(opts[0], split); ok {
				if words, err = splitWords(rest); err != nil {
					return "", nil, nil, err
				}
				break
			}
		}
	}
	for len(words) > 0 {
		w := words[0]
		switch {
		case w == "--":
			words = words[1:]
		case strings.HasPrefix(w, "-"):
			return "", nil, nil, errors.New("its shebang line gives env the option " + w)
		case strings.Contains(w, "="):
			vars, words = append(vars, w), words[1:]
			continue
		}
		break
	}
	if len(words) == 0 {
		return "", nil, nil, errors.New("its shebang line gives env no command")
	}
	return words[0], words[1:], vars, nil
}

// splitWords splits as "env -S" does, with quotes and backslashes. It refuses
// variables.
func splitWords(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote byte
	open := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(s):
			i++
			open = true
			word.WriteByte(s[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, open = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		case c == '$' && quote != '\'':
			return nil, errors.New("its shebang line has a variable")
		default:
			open = true
			word.WriteByte(c)
		}
	}
	if quote != 0 {
		return nil, errors.New("its shebang line has a quote that is not closed")
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}
