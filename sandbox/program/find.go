package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
)

// FindEnv is the environment in which Find looks for a program. Find reads nothing else
// of the process's environment.
type FindEnv struct {
	Path string            // PATH; entries that are not absolute are skipped
	Home string            // absolute; "" searches no home
	Dir  string            // absolute: the working directory, for names with a slash and version files
	Vars map[string]string // those variables of FindVars that are set
	Root string            // prefix of /usr, /opt, /nix and the like; "" is "/". For tests
}

// FindVars names the variables that tell version managers where their files are and
// which version to use. ASDF_*_VERSION and MISE_*_VERSION count too.
var FindVars = []string{
	"NVM_DIR", "NVM_BIN", "FNM_DIR", "VOLTA_HOME", "ASDF_DATA_DIR", "ASDF_DIR", "ASDF_DEFAULT_TOOL_VERSIONS_FILENAME",
	"MISE_DATA_DIR", "MISE_CONFIG_DIR", "PYENV_ROOT", "PYENV_VERSION", "PYENV_DIR", "UV_PYTHON_INSTALL_DIR",
	"XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOMEBREW_PREFIX", "BUN_INSTALL", "DENO_INSTALL", "PNPM_HOME", "USER",
}

// Kind says why Find did not find a program, in the exit codes of a shell.
type Kind int

// The kinds, whose values are the exit codes.
const (
	NotExecutable Kind = 126 // it is there and cannot be executed
	NotFound      Kind = 127 // it is not there
)

// FindError says why a program cannot start and how to mend that.
type FindError struct {
	Name string // as in the command
	Kind Kind
	Why  string
	Hint string // the remedy for a person; may be empty
}

// Error returns one line without the hint.
func (e *FindError) Error() string {
	verb := "find"
	if e.Kind == NotExecutable {
		verb = "execute"
	}
	why := e.Why
	name := strconv.Quote(e.Name)
	if rest, same := strings.CutPrefix(why, name+": "); same {
		why = rest
	} else if rest, same := strings.CutPrefix(why, name+" "); same {
		why = "it " + rest
	}
	return fmt.Sprintf("cannot %s %s: %s", verb, name, why)
}

// Find follows a command to the file that the kernel executes and lists the files that
// this one needs. It runs nothing: it resolves the shims of version managers by reading
// the files that the manager would read.
//
// Find turns a script into its interpreter with the script as an argument, as the
// kernel would, so that neither env(1) nor a shim has to exist inside. If an operand
// names the entry file of an interpreter ("node server.js"), Find makes it absolute and
// lists the needs of that file too. The error is a *FindError, or a plain one for an
// empty argv or a path in env that is not absolute.
func Find(argv []string, env FindEnv) (plan.Program, error) {
	if len(argv) == 0 || argv[0] == "" {
		return plan.Program{}, errors.New("cannot find a program: the command is empty")
	}
	for _, dir := range []string{env.Home, env.Dir} {
		if dir != "" && !filepath.IsAbs(dir) {
			return plan.Program{}, fmt.Errorf("internal error: %q is not an absolute path", dir)
		}
	}
	f := &finder{env: env, name: argv[0]}
	if real, _, err := host.Resolve(env.Home); err == nil && env.Home != "" {
		f.home = real
	}
	path, err := f.lookup(argv[0])
	if err != nil {
		return plan.Program{}, err
	}
	args, err := f.program(path, argv[0], argv[1:], 0)
	if err != nil {
		return plan.Program{}, err
	}
	f.prog.Args = args
	f.prog.Env = append(f.prog.Env, plan.Env{Name: "PATH", Value: f.searchPath()})
	return f.prog, nil
}

// finder is one search.
type finder struct {
	env  FindEnv
	home string // Home with symlinks resolved
	name string // argv[0], for errors
	prog plan.Program
	bins []string // directories that come first in PATH inside
	node string   // the node that volta pins for a package's command

	led        []string // the symlinks and scripts that led to the current place
	lastScript string   // the last script that Find turned into its interpreter
}

// errElsewhere says that a shim passes the command on to the rest of PATH.
var errElsewhere = errors.New("the version in force is the system's")

func (f *finder) fail(kind Kind, hint, format string, args ...any) error {
	return &FindError{Name: f.name, Kind: kind, Why: fmt.Sprintf(format, args...), Hint: hint}
}

func (f *finder) via(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if !slices.Contains(f.prog.Via, line) {
		f.prog.Via = append(f.prog.Via, line)
	}
}

// at returns a system path below Root.
func (f *finder) at(path string) string {
	if f.env.Root == "" {
		return path
	}
	return filepath.Join(f.env.Root, path)
}

// below returns a path below Home, or "" where there is no home.
func (f *finder) below(path string) string {
	if f.env.Home == "" {
		return ""
	}
	return filepath.Join(f.env.Home, path)
}

// lookup finds a command as a shell does and resolves shims. Where PATH does not have
// the command, it searches the directories of version managers: a client started from a
// desktop passes a PATH without them.
func (f *finder) lookup(command string) (string, error) {
	if strings.Contains(command, "/") {
		path := command
		if !filepath.IsAbs(path) {
			if f.env.Dir == "" {
				return "", f.fail(NotFound, "", "a relative path and no working directory")
			}
			path = filepath.Join(f.env.Dir, path)
		}
		if kind, why := executable(path); kind != 0 {
			return "", f.fail(kind, hintFor(kind, path), "%s", why)
		}
		real, err := f.unshim(path)
		if errors.Is(err, errElsewhere) {
			return f.search(filepath.Base(path), f.pathDirs(), filepath.Dir(path))
		}
		return real, err
	}
	path, err := f.search(command, f.pathDirs(), "")
	var fe *FindError
	if err == nil || !errors.As(err, &fe) || fe.Kind != NotFound || fe.Hint != "" {
		return path, err
	}
	for _, dir := range f.known(command) {
		at := filepath.Join(dir, command)
		if kind, _ := executable(at); kind != 0 {
			continue
		}
		real, err := f.unshim(at)
		if errors.Is(err, errElsewhere) {
			continue
		}
		if err == nil {
			f.via("%q is not on PATH; found in %s", command, dir)
		}
		return real, err
	}
	return "", err
}

// search looks for a command in directories and skips one of them.
func (f *finder) search(command string, dirs []string, except string) (string, error) {
	var blocked error
	for _, dir := range dirs {
		if dir == except {
			continue
		}
		at := filepath.Join(dir, command)
		kind, why := executable(at)
		if kind == NotExecutable && blocked == nil {
			blocked = f.fail(kind, hintFor(kind, at), "%s", why)
		}
		if kind != 0 {
			continue
		}
		real, err := f.unshim(at)
		if errors.Is(err, errElsewhere) {
			f.via("%s is a shim and its version is the system's", at)
			continue
		}
		return real, err
	}
	if blocked != nil {
		return "", blocked
	}
	if command != f.name {
		return "", f.fail(NotFound, "", "it needs %q, which is not on PATH", command)
	}
	return "", f.fail(NotFound, "", "not on PATH, nor where version managers put programs")
}

// pathDirs returns the directories of PATH. It drops empty and relative entries: they
// mean the working directory, from which Find starts nothing by name.
func (f *finder) pathDirs() []string {
	var dirs []string
	for _, dir := range filepath.SplitList(f.env.Path) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, filepath.Clean(dir))
		}
	}
	return dirs
}

// executable says why a path cannot be executed, with kind 0 where it can.
func executable(path string) (Kind, string) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		if text, err := os.Readlink(path); err == nil {
			return NotFound, fmt.Sprintf("%q is a symlink to %q, which does not exist", path, text)
		}
		return NotFound, fmt.Sprintf("%q does not exist", path)
	case err != nil:
		return NotExecutable, fmt.Sprintf("%q: %v", path, errors.Unwrap(err))
	case info.IsDir():
		return NotExecutable, fmt.Sprintf("%q is a directory", path)
	case !info.Mode().IsRegular():
		return NotExecutable, fmt.Sprintf("%q is not a file", path)
	case unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS) != nil:
		return NotExecutable, fmt.Sprintf("%q is not executable", path)
	}
	return 0, ""
}

func hintFor(kind Kind, path string) string {
	if kind == NotExecutable {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return fmt.Sprintf("chmod +x %s", path)
		}
	}
	return ""
}

// searchPath is PATH inside: the runtimes' own directories, then the system's.
func (f *finder) searchPath() string {
	dirs := slices.Clone(f.bins)
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin"} {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return strings.Join(dirs, ":")
}
