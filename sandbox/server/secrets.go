package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zalando/go-keyring"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

const (
	maxSecret   = 64 << 10
	secretDelay = 30 * time.Second // a password manager may ask the person
)

// FetchSecrets fetches the values of the plan's secrets, by variable, for
// plan.Plan.WithSecrets. It leaves out optional ones that are unset. No error reveals a
// secret's value.
func (c *Caller) FetchSecrets(ctx context.Context, p Prepared) (map[string]plan.Opaque, error) {
	values := map[string]plan.Opaque{}
	for _, s := range p.Plan.Process.Secrets {
		from, mayLack := strings.CutPrefix(s.From, "?")
		if _, set := c.Lookup(strings.TrimPrefix(from, "env:")); mayLack && !set {
			continue // policy has a "?" in front of variables alone
		}
		value, err := c.secret(ctx, from, p)
		if err != nil {
			return nil, noSecret(s.At, s.Name, s.From, err)
		}
		if strings.ContainsRune(value, 0) {
			return nil, &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("%s: the secret for %s holds a NUL, which no variable can", s.At, s.Name)}
		}
		values[s.Name] = plan.Opaque(value)
	}
	return values, nil
}

// unset is the error of a secret whose variable is not set. It is known before anything
// is installed, which may take a minute.
func (c *Caller) unset(pol policy.Policy) error {
	for _, s := range pol.Env.Secret {
		name, ok := strings.CutPrefix(s.From, "env:")
		if _, set := c.Lookup(name); ok && !set {
			return noSecret(s.At.String(), s.Name, s.From, errNotSet)
		}
	}
	return nil
}

var errNotSet = errors.New("it is not set")

// noSecret is the error of a secret that cannot be fetched, with a remedy.
func noSecret(at, name, from string, err error) error {
	hint := ""
	if name, ok := strings.CutPrefix(from, "env:"); ok {
		hint = fmt.Sprintf("set %s in the environment or in the entry of the client that starts it, or keep it elsewhere: keyring:mcpen/%s", name, name)
	}
	return &launch.Error{Code: launch.ExitUsage, Err: fmt.Errorf("%s: cannot fetch the secret for %s from %q: %w", at, name, from, err), Hint: hint}
}

// secret fetches one reference. One line end behind the value is not part of it.
func (c *Caller) secret(ctx context.Context, from string, p Prepared) (string, error) {
	kind, what, _ := strings.Cut(from, ":")
	switch kind {
	case "env":
		v, ok := c.Lookup(what)
		if !ok {
			return "", errNotSet
		}
		if kept, ok := KeptIn(what, v); ok {
			return kept.Value()
		}
		return v, nil
	case "file":
		if real := p.Host.Paths[what].Real; real != "" {
			what = real
		}
		return readSecret(what)
	case "command":
		return c.commandSecret(ctx, what, p.Dirs)
	case "keyring":
		service, name, ok := strings.Cut(what, "/")
		if !ok {
			return "", errors.New("it is not keyring:SERVICE/NAME")
		}
		return keyring.Get(service, name)
	}
	return "", fmt.Errorf("internal error: no kind of secret %q", kind)
}

// readSecret reads a file by its real path. It does not follow a symlink that appeared
// there since.
func readSecret(name string) (string, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS})
	if err != nil {
		return "", &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: name, Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o077 != 0 {
		return "", fmt.Errorf("others can read it (mode %04o): chmod 600 %s", st.Mode&0o777, name)
	}
	data, err := wholefile.ReadOpened(fd, name, maxSecret)
	if err != nil {
		return "", err
	}
	return trimLine(string(data)), nil
}

// vetCommands refuses a command for a secret if it runs, or gets as an argument, a file
// that a server or the author of the workspace could have written: the command has all
// of the user's rights.
func (c *Caller) vetCommands(p Prepared) error {
	for _, s := range p.Policy.Env.Secret {
		line, ok := strings.CutPrefix(s.From, "command:")
		if !ok {
			continue
		}
		for i, word := range strings.Fields(line) {
			file := c.wordFile(p.Dirs, word, i == 0)
			if g, ok := p.ground(host.Look(file)); ok {
				return &launch.Error{Code: launch.ExitRefused, Err: fmt.Errorf("%v: cannot fetch the secret for %s: its command names %q, which %s could have written", s.At, s.Name, file, g.Who),
					Hint: "keep it where no server writes, such as ~/.local/bin"}
			}
		}
	}
	return nil
}

// wordFile returns the file that a word of a command may name, or "".
func (c *Caller) wordFile(at user.Dirs, word string, program bool) string {
	if program && !strings.Contains(word, "/") {
		for _, dir := range filepath.SplitList(c.Getenv("PATH")) {
			if file := filepath.Join(dir, word); filepath.IsAbs(dir) && unix.Access(file, unix.X_OK) == nil {
				return file
			}
		}
		return ""
	}
	if _, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(word, "-") {
		word = value
	}
	if filepath.IsAbs(word) {
		return filepath.Clean(word)
	}
	return filepath.Join(commandDir(at), word)
}

// ground is the folder of a server's or the workspace's in which a path lies, or a
// symlink on the way to it.
func (p Prepared) ground(f plan.PathFact) (plan.Ground, bool) {
	if !f.Exists {
		return plan.Ground{}, false
	}
	ways := []string{f.Real}
	for _, l := range f.Links {
		ways = append(ways, l.Path)
	}
	for _, way := range ways {
		for _, g := range origin.Grounds(p.Dirs, p.workspace) {
			if way == g.Dir || strings.HasPrefix(way, g.Dir+"/") {
				return g, true
			}
		}
		if dir := p.writable(way); dir != "" {
			return plan.Ground{Dir: dir, Who: "the server"}, true
		}
	}
	return plan.Ground{}, false
}

// commandDir is where a secret's command runs: in no project, whose files programs
// read without being asked.
func commandDir(at user.Dirs) string {
	if at.Login.Home != "" {
		return at.Login.Home
	}
	return "/"
}

// commandSecret runs a command with the user's rights, without a shell, and takes its
// output.
func (c *Caller) commandSecret(ctx context.Context, line string, at user.Dirs) (string, error) {
	argv := strings.Fields(line)
	if len(argv) == 0 {
		return "", errors.New("the command is empty")
	}
	ctx, cancel := context.WithTimeout(ctx, secretDelay)
	defer cancel()
	program := c.wordFile(at, argv[0], true)
	if program == "" {
		return "", fmt.Errorf("there is no program %q", argv[0])
	}
	cmd := exec.CommandContext(ctx, program, argv[1:]...)
	cmd.Args[0], cmd.Dir, cmd.Stderr = argv[0], commandDir(at), c.Err
	cmd.Env = append(slices.Clone(c.Env), "PWD="+cmd.Dir)
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", fmt.Errorf("it did not answer within %v", secretDelay)
	}
	if err != nil {
		return "", err
	}
	return trimLine(string(out)), nil
}

func trimLine(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r") }
