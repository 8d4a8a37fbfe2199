package program

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
)

// maxHops is how many interpreters one program may lead through. The kernel stops at
// four (fs/exec.c, exec_binprm).
const maxHops = 4

// program sets the executable for the file at path, which is no shim and was called as
// typed, and returns its arguments.
func (f *finder) program(path, typed string, rest []string, hops int) ([]string, error) {
	if hops > maxHops {
		return nil, f.fail(NotExecutable, "", "%q leads through more than %d interpreters", path, maxHops)
	}
	if err := f.refuseSnap(path); err != nil {
		return nil, err
	}
	chain, err := f.chain(path)
	if err != nil {
		return nil, f.fail(NotFound, "", "%v", err)
	}
	f.follow(path)
	real := chain[len(chain)-1]
	if real != path {
		f.via("%s → %s", path, real)
	}
	f.grantSettings(real)
	bang, err := shebang(real)
	if err != nil {
		return nil, f.fail(NotExecutable, "", "%v", err)
	}
	if bang == nil {
		return f.binary(chain, typed, rest)
	}
	script, err := f.script(chain)
	if err != nil {
		return nil, err
	}
	return f.interpret(script, bang, rest, hops)
}

// interpret turns a script into its interpreter with the script as an argument.
func (f *finder) interpret(script string, bang []string, rest []string, hops int) ([]string, error) {
	if len(bang) == 0 {
		return nil, f.fail(NotExecutable, "", "%q names no interpreter after #!", script)
	}
	interp, opts := bang[0], bang[1:]
	if filepath.Base(interp) == "env" {
		command, more, vars, err := envLine(opts)
		if err != nil {
			return nil, f.fail(NotExecutable, "", "%q: %v", script, err)
		}
		interp, opts = command, more
		for _, v := range vars {
			key, value, _ := strings.Cut(v, "=")
			f.prog.Env = append(f.prog.Env, plan.Env{Name: key, Value: value, At: script})
		}
	}
	path, err := f.interpreter(interp)
	if err != nil {
		return nil, err
	}
	if strings.Contains(interp, "/") {
		f.led = append(f.led, script)
	}
	f.lastScript = script
	f.via("%s is run by %s", script, path)
	rest = slices.Concat(opts, []string{script}, rest)
	return f.program(path, interp, rest, hops+1)
}

// interpreter finds the program that a shebang names.
func (f *finder) interpreter(name string) (string, error) {
	if name == "node" && f.node != "" {
		return f.node, nil
	}
	if filepath.IsAbs(name) && f.env.Root != "" && f.system(filepath.Join(f.env.Root, name)) {
		name = filepath.Join(f.env.Root, name)
	}
	if strings.Contains(name, "/") {
		if kind, why := executable(name); kind != 0 {
			return "", f.fail(kind, "", "its interpreter: %s", why)
		}
	}
	return f.lookup(name)
}

// binary sets the executable. It keeps the name if every symlink behind it is visible
// inside, as a python finds its environment by the name it was called by.
func (f *finder) binary(chain []string, typed string, rest []string) ([]string, error) {
	real := chain[len(chain)-1]
	for _, c := range chain {
		if root, why := f.versionRoot(c); root != "" {
			if err := f.grantRoot(root, why); err != nil {
				return nil, err
			}
		}
	}
	if !f.visible(real) {
		f.grantBinary(real)
	}
	path := f.firstVisible(chain)
	if _, links, err := host.Resolve(path); err == nil {
		f.needLinks(links) // a link in one version's directory may lead through a neighbouring one
	}
	f.prog.Path = path
	f.addBin(filepath.Dir(path))
	arg0 := path
	if filepath.Base(typed) != filepath.Base(path) && filepath.Base(real) == filepath.Base(path) {
		arg0 = typed // a program that acts by the name it is called by
	}
	rest, err := f.operand(path, rest)
	if err != nil {
		return nil, err
	}
	return append([]string{arg0}, rest...), nil
}

// script grants a script's package and returns the name by which to run it.
func (f *finder) script(chain []string) (string, error) {
	real := chain[len(chain)-1]
	for _, c := range chain {
		if root, why := f.versionRoot(c); root != "" {
			if err := f.grantRoot(root, why); err != nil {
				return "", err
			}
			f.addBin(filepath.Join(root, "bin"))
		}
	}
	if !f.visible(real) {
		f.grantPackage(real)
	}
	return f.firstVisible(chain), nil
}

// chain returns a path with its directory resolved, followed by every name to which the
// last component leads as a symlink. The real file is last.
func (f *finder) chain(path string) ([]string, error) {
	dir, _, err := host.Resolve(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	at := filepath.Join(dir, filepath.Base(path))
	chain := []string{at}
	for range host.MaxLinks {
		text, err := os.Readlink(at)
		if err != nil {
			return chain, nil // not a symlink; an earlier check saw that it exists
		}
		if !filepath.IsAbs(text) {
			text = filepath.Join(dir, text)
		}
		if dir, _, err = host.Resolve(filepath.Dir(text)); err != nil {
			return nil, err
		}
		at = filepath.Join(dir, filepath.Base(text))
		chain = append(chain, at)
	}
	return nil, f.fail(NotExecutable, "", "%q leads through too many symlinks", path)
}

// firstVisible returns the earliest name of a chain from which on every name is visible
// inside.
func (f *finder) firstVisible(chain []string) string {
	at := len(chain) - 1
	for at > 0 && f.visible(chain[at-1]) {
		at--
	}
	return chain[at]
}

// addBin puts a directory into the PATH inside.
func (f *finder) addBin(dir string) {
	if f.system(dir) || slices.Contains(f.bins, dir) {
		return
	}
	f.bins = append(f.bins, dir)
}

// refuseSnap refuses programs of snapd: they are in mounts that only snapd's own
// launcher enters.
func (f *finder) refuseSnap(path string) error {
	real, _, err := host.Resolve(path)
	if err != nil {
		return nil // chain reports the error
	}
	snap := f.at("/snap")
	if within(path, snap) || within(real, snap) || within(real, f.at("/var/lib/snapd")) || real == f.at("/usr/bin/snap") {
		return f.fail(NotExecutable, "install it from your distribution, nodejs.org, nvm or uv, and put that first in PATH",
			"%q is a snap, which only snapd can start, outside of any sandbox", path)
	}
	return nil
}

// shebang returns the interpreter of a script and its argument, or nil for a file that
// does not begin with "#!". As in the kernel, the rest of the line after the
// interpreter is one argument, and only the first 256 bytes count.
func shebang(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		if os.IsPermission(err) {
			return nil, nil // executable and not readable: no script
		}
		return nil, err
	}
	defer file.Close()
	head := make([]byte, 256)
	n, err := io.ReadFull(file, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(head[:n], []byte("#!"))
	if !ok {
		return nil, nil
	}
	line, _, _ := strings.Cut(string(rest), "\n")
	line = strings.Trim(line, " \t\r")
	interp, arg, found := strings.Cut(line, " ")
	if tab, targ, ok := strings.Cut(line, "\t"); ok && len(tab) < len(interp) {
		interp, arg, found = tab, targ, true
	}
	if interp == "" {
		return []string{}, nil
	}
	if arg = strings.Trim(arg, " \t"); !found || arg == "" {
		return []string{interp}, nil
	}
	return []string{interp, arg}, nil
}
