package pack

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// CommandKind is the kind of program that a command line of a client starts.
type CommandKind string

// The kinds. The zero value is none.
const (
	CommandPackage   CommandKind = "package"   // a registry package: Ref
	CommandProgram   CommandKind = "program"   // a program or script of the user's own
	CommandContainer CommandKind = "container" // an image; recognised, never run by mcpen
)

// Command is a command line that was understood.
type Command struct {
	Kind CommandKind
	Tool string   // "npx", "uvx", "docker", …
	Ref  Ref      // with CommandPackage
	Args []string // the server's own arguments; with CommandProgram the whole command line
	// With CommandContainer, Image and Env are an image and the names of its variables.
	Image string
	Env   []string
	// Notes name the parts of the command that Command lacks, for a person.
	Notes []string
}

// FromCommand reads a command line as clients keep it: npx, npm exec, bunx, pnpm dlx,
// yarn dlx, uvx, uv tool run, pipx run, deno run npm:, docker run, each also behind
// "cmd /c" and "env". Any other command is a program. It is an error if a package
// runner is to run something that mcpen cannot lock: a range, a git address, a shell
// line, another registry.
func FromCommand(argv []string) (Command, error) {
	if len(argv) == 0 || argv[0] == "" {
		return Command{}, fmt.Errorf("cannot read an empty command")
	}
	name := toolName(argv[0])
	rest := argv[1:]
	second := ""
	if len(rest) > 0 {
		second = rest[0]
	}
	switch {
	case name == "cmd" && strings.EqualFold(second, "/c") && len(rest) > 1:
		return FromCommand(rest[1:])
	case name == "env":
		return fromEnv(argv)
	case name == "npx":
		return fromRunner("npx", rest, npxFlags, parseNPM)
	case name == "npm" && (second == "exec" || second == "x"):
		return fromRunner("npm exec", rest[1:], npxFlags, parseNPM)
	case name == "bunx":
		return fromRunner("bunx", rest, bunxFlags, parseNPM)
	case name == "bun" && second == "x":
		return fromRunner("bun x", rest[1:], bunxFlags, parseNPM)
	case (name == "pnpm" || name == "yarn") && slices.Contains(rest, "dlx"):
		i := slices.Index(rest, "dlx")
		if i == 0 || strings.HasPrefix(rest[0], "-") {
			return fromRunner(name+" dlx", slices.Concat(rest[:i], rest[i+1:]), dlxFlags, parseNPM)
		}
	case name == "uvx":
		return fromRunner("uvx", rest, uvxFlags, parsePython)
	case name == "uv" && second == "tool" && len(rest) > 1 && rest[1] == "run":
		return fromRunner("uv tool run", rest[2:], uvxFlags, parsePython)
	case name == "pipx" && second == "run":
		return fromRunner("pipx run", rest[1:], pipxFlags, parsePython)
	case name == "deno" && second == "run":
		return fromDeno(argv)
	case (name == "docker" || name == "podman") && second == "run":
		return fromContainer(name, rest[1:])
	}
	return Command{Kind: CommandProgram, Tool: name, Args: slices.Clone(argv)}, nil
}

// toolName is the last element of a path in either spelling, without the
// endings that Windows puts on it.
func toolName(p string) string {
	p = strings.ToLower(path.Base(strings.ReplaceAll(p, `\`, "/")))
	for _, end := range []string{".exe", ".cmd", ".bat", ".ps1"} {
		p = strings.TrimSuffix(p, end)
	}
	return p
}

// flagKind is the meaning of a package runner's flag here.
type flagKind int

const (
	flagUnknown flagKind = iota
	flagPlain            // has no effect here
	flagValue            // has a value, and no effect here
	flagPackage          // its value is the package; the word after it is the entry point
	flagNote             // has no value, is reported as not carried over
	flagNoteValue
	flagRefused // would start something that cannot be locked
)

var (
	npxFlags = map[string]flagKind{
		"-y": flagPlain, "--yes": flagPlain, "-q": flagPlain, "--quiet": flagPlain, "-s": flagPlain, "--silent": flagPlain, "--no": flagPlain,
		"--no-install": flagPlain, "--prefer-online": flagPlain, "--prefer-offline": flagPlain, "--ignore-existing": flagPlain,
		"--no-audit": flagPlain, "--no-fund": flagPlain, "--no-update-notifier": flagPlain, "--loglevel": flagValue, "--cache": flagValue,
		"-p": flagPackage, "--package": flagPackage,
		"--node-options": flagNoteValue, "-c": flagRefused, "--call": flagRefused, "--registry": flagRefused,
	}
	bunxFlags = map[string]flagKind{
		"-y": flagPlain, "--bun": flagNote, "--silent": flagPlain, "--verbose": flagPlain, "--no-install": flagPlain,
		"-p": flagPackage, "--package": flagPackage,
	}
	dlxFlags = map[string]flagKind{
		"-q": flagPlain, "--quiet": flagPlain, "-s": flagPlain, "--silent": flagPlain, "-p": flagPackage, "--package": flagPackage,
		"--allow-build": flagNoteValue, "-c": flagRefused, "--shell-mode": flagRefused, "--registry": flagRefused,
	}
	uvxFlags = map[string]flagKind{
		"-q": flagPlain, "--quiet": flagPlain, "-v": flagPlain, "--verbose": flagPlain, "--refresh": flagPlain, "--isolated": flagPlain,
		"-n": flagPlain, "--no-cache": flagPlain, "--no-progress": flagPlain, "--no-config": flagPlain, "--no-env-file": flagPlain,
		"--native-tls": flagPlain, "--managed-python": flagPlain, "--no-python-downloads": flagPlain,
		"--python-preference": flagValue, "--link-mode": flagValue, "--cache-dir": flagValue, "--color": flagValue,
		"-U": flagPlain, "--upgrade": flagPlain, "--reinstall": flagPlain,
		"--from": flagPackage, "-p": flagNoteValue, "--python": flagNoteValue, "--prerelease": flagNoteValue, "--exclude-newer": flagNoteValue,
		"--with": flagRefused, "--with-editable": flagRefused, "--with-requirements": flagRefused, "--index": flagRefused,
		"--default-index": flagRefused, "-i": flagRefused, "--index-url": flagRefused, "--extra-index-url": flagRefused,
		"-f": flagRefused, "--find-links": flagRefused, "-c": flagRefused, "--constraints": flagRefused, "--env-file": flagRefused,
	}
	pipxFlags = map[string]flagKind{
		"-q": flagPlain, "--quiet": flagPlain, "-v": flagPlain, "--verbose": flagPlain, "--no-cache": flagPlain,
		"--spec": flagPackage, "--python": flagNoteValue, "--path": flagRefused, "--with": flagRefused, "--pip-args": flagRefused,
		"--index-url": flagRefused, "-i": flagRefused,
	}
)

// fromRunner reads "[flags] [--] PACKAGE args" and
// "[flags] --package PACKAGE [--] BIN args".
func fromRunner(tool string, args []string, flags map[string]flagKind, parse func(string) (Ref, error)) (Command, error) {
	c := Command{Kind: CommandPackage, Tool: tool}
	pkg := ""
	i := 0
	for ; i < len(args) && strings.HasPrefix(args[i], "-"); i++ {
		if args[i] == "--" {
			i++
			break
		}
		name, value, joined := strings.Cut(args[i], "=")
		kind := flags[name]
		if takes := kind == flagValue || kind == flagPackage || kind == flagNoteValue; takes && !joined {
			if i+1 == len(args) {
				return Command{}, fmt.Errorf("cannot read %s: %s has no value", tool, name)
			}
			i++
			value = args[i]
		}
		switch kind {
		case flagPlain, flagValue:
		case flagPackage:
			if pkg != "" {
				return Command{}, fmt.Errorf("cannot lock %s with more than one package (%q and %q)", tool, pkg, value)
			}
			pkg = value
		case flagNote, flagNoteValue:
			c.Notes = append(c.Notes, fmt.Sprintf("%s %s is not carried over", tool, args[i]))
		case flagRefused:
			return Command{}, fmt.Errorf("cannot lock %s with %s: it starts more than one package of the configured registry", tool, name)
		default:
			return Command{}, fmt.Errorf("cannot read %s: unknown flag %q", tool, name)
		}
	}
	rest := args[i:]
	if len(rest) == 0 {
		return Command{}, fmt.Errorf("cannot read %s: no package is named", tool)
	}
	bin := ""
	if pkg == "" {
		pkg = rest[0]
	} else {
		bin = rest[0]
	}
	ref, err := parseSpec(tool, pkg, parse)
	if err != nil {
		return Command{}, err
	}
	ref.Bin = bin
	c.Ref, c.Args = ref, slices.Clone(rest[1:])
	return c, nil
}

// parseSpec refuses the specifications beyond registry packages that package runners
// accept.
func parseSpec(tool, spec string, parse func(string) (Ref, error)) (Ref, error) {
	elsewhere := strings.Contains(spec, "://") || strings.HasPrefix(spec, "git+") || strings.HasPrefix(spec, "git@") ||
		strings.HasPrefix(spec, ".") || strings.HasPrefix(spec, "/") || strings.HasPrefix(spec, "~") ||
		strings.HasSuffix(spec, ".tgz") || strings.HasSuffix(spec, ".whl") ||
		(strings.Contains(spec, "/") && !strings.HasPrefix(spec, "@"))
	if elsewhere {
		return Ref{}, fmt.Errorf("cannot lock %q of %s: it is not a package of a registry; install it yourself and name the program", spec, tool)
	}
	return parse(spec)
}

// parsePython reads a requirement as uvx and pipx do, "name@version" included.
func parsePython(spec string) (Ref, error) {
	if name, version, ok := strings.Cut(spec, "@"); ok {
		name, version = strings.TrimSpace(name), strings.TrimSpace(version)
		if version == "latest" {
			return parsePyPI(name)
		}
		return parsePyPI(name + "==" + version)
	}
	return parsePyPI(strings.ReplaceAll(spec, " ", ""))
}

// fromEnv reads "env NAME=VALUE… command".
func fromEnv(argv []string) (Command, error) {
	rest := argv[1:]
	var names []string
	for len(rest) > 0 {
		if rest[0] == "-S" || rest[0] == "--" {
			rest = rest[1:]
			continue
		}
		name, _, ok := strings.Cut(rest[0], "=")
		if !ok || strings.HasPrefix(name, "-") {
			break
		}
		names = append(names, name)
		rest = rest[1:]
	}
	if len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return Command{Kind: CommandProgram, Tool: "env", Args: slices.Clone(argv)}, nil
	}
	c, err := FromCommand(rest)
	if err != nil {
		return Command{}, err
	}
	if c.Kind == CommandProgram {
		c.Args = slices.Clone(argv)
		return c, nil
	}
	if len(names) > 0 {
		c.Env = append(c.Env, names...)
		c.Notes = append(c.Notes, "env sets "+strings.Join(names, ", ")+": declare them in the profile")
	}
	return c, nil
}

// fromDeno reads "deno run [--allow-…] npm:PACKAGE[/BIN] args". The package runs on
// node here; the profile must state the rights that deno's own flags gave.
func fromDeno(argv []string) (Command, error) {
	for i, a := range argv[2:] {
		if strings.HasPrefix(a, "-") {
			continue
		}
		spec, ok := strings.CutPrefix(a, "npm:")
		if !ok {
			if strings.HasPrefix(a, "jsr:") || strings.Contains(a, "://") {
				return Command{}, fmt.Errorf("cannot lock %q of deno run: only npm: packages can be", a)
			}
			break
		}
		spec = strings.TrimPrefix(spec, "/")
		bin := ""
		cut := strings.IndexByte(spec, '/')
		if strings.HasPrefix(spec, "@") && cut >= 0 {
			if j := strings.IndexByte(spec[cut+1:], '/'); j >= 0 {
				cut += 1 + j
			} else {
				cut = -1
			}
		}
		if cut >= 0 {
			spec, bin = spec[:cut], spec[cut+1:]
		}
		ref, err := parseNPM(spec)
		if err != nil {
			return Command{}, err
		}
		ref.Bin = bin
		return Command{Kind: CommandPackage, Tool: "deno run", Ref: ref, Args: slices.Clone(argv[2+i+1:]),
			Notes: []string{"the package runs on node, not on deno; deno's --allow flags are for the profile to say"}}, nil
	}
	return Command{Kind: CommandProgram, Tool: "deno", Args: slices.Clone(argv)}, nil
}

// containerValues are the flags of "docker run" that take a value and are met
// in MCP configurations.
var containerValues = []string{"-e", "--env", "-v", "--volume", "-p", "--publish", "--name", "--network", "--net", "--mount", "-u", "--user",
	"-w", "--workdir", "--entrypoint", "--platform", "--env-file", "--pull", "--add-host", "--memory", "-m", "--cpus", "-l", "--label",
	"--cap-add", "--cap-drop", "--security-opt", "--device", "--tmpfs", "--runtime", "-h", "--hostname", "--dns", "--restart", "--gpus", "--shm-size"}

func fromContainer(tool string, args []string) (Command, error) {
	c := Command{Kind: CommandContainer, Tool: tool + " run"}
	for i := 0; i < len(args); i++ {
		a := args[i]
		if !strings.HasPrefix(a, "-") {
			c.Image, c.Args = a, slices.Clone(args[i+1:])
			break
		}
		name, value, joined := strings.Cut(a, "=")
		if !joined && slices.Contains(containerValues, name) && i+1 < len(args) {
			i++
			value = args[i]
		}
		if name == "-e" || name == "--env" {
			variable, _, _ := strings.Cut(value, "=")
			c.Env = append(c.Env, variable)
		}
	}
	if c.Image == "" {
		return Command{}, fmt.Errorf("cannot read %s run: no image is named", tool)
	}
	c.Notes = []string{fmt.Sprintf("the image %q runs under %s, which confines it in its own way; mcpen runs programs and packages, "+
		"so use the package the image is made from, where there is one", c.Image, tool)}
	return c, nil
}
