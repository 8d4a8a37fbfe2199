package install

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/store"
	"mcpen/sandbox/plan"
)

// Runtime is the interpreter that an entry point needs.
type Runtime string

// The runtimes. The zero value is none: the file is a program itself.
const (
	RuntimeNone   Runtime = ""
	RuntimeNode   Runtime = "node"
	RuntimePython Runtime = "python"
)

// Entry is the program of a package that npx or uvx would start.
type Entry struct {
	Bin     string
	Runtime Runtime
	Flags   []string // for the runtime, from the script's first line
	File    string   // relative to the tree
}

// ErrLibrary is the error that EntryOf wraps for a package without a program.
var ErrLibrary = errors.New("it brings no program; it is a library")

// EntryOf finds the entry point of a locked package in its tree: the one that
// the lock names; or else the only one; or else the one that has the package's
// unscoped name. Anything else is an error that lists the choices.
func EntryOf(t *store.Tree, l pack.Lock) (Entry, error) {
	ref, err := l.Ref()
	if err != nil {
		return Entry{}, err
	}
	var bins map[string]string
	if ref.Ecosystem == pack.NPM {
		bins, err = npmBins(t, ref)
	} else {
		bins, err = pypiBins(t)
	}
	if err != nil {
		return Entry{}, &pack.UnfitError{Err: fmt.Errorf("cannot find the entry point of %s: %w", ref, err)}
	}
	bin, err := chooseBin(bins, ref)
	if err != nil {
		return Entry{}, fmt.Errorf("cannot find the entry point of %s: %w", ref, err)
	}
	e := Entry{Bin: bin, File: bins[bin], Runtime: RuntimePython}
	if err := t.CheckFile(e.File); err != nil {
		return Entry{}, &pack.UnfitError{Err: err}
	}
	if ref.Ecosystem == pack.NPM {
		if e.Runtime, e.Flags, err = interpreter(filepath.Join(t.Dir, e.File)); err != nil {
			return Entry{}, &pack.UnfitError{Err: fmt.Errorf("cannot start %q of %s: %w", bin, ref, err)}
		}
	}
	return e, nil
}

func npmBins(t *store.Tree, ref pack.Ref) (map[string]string, error) {
	dir := "node_modules/" + ref.Name
	if err := t.CheckFile(dir + "/package.json"); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(t.Dir, dir, "package.json"))
	if err != nil {
		return nil, err
	}
	var p packageJSON
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("its package.json does not read: %w", err)
	}
	if p.Name != ref.Name || p.Version != ref.Version {
		return nil, fmt.Errorf("the archive holds %q %q", p.Name, p.Version)
	}
	bins := p.bins()
	for name, target := range bins {
		// A bin may be written without its ending, as require would find it.
		for _, end := range []string{"", ".js", "/index.js"} {
			// EntryOf checks only the chosen file for changes.
			if file := dir + "/" + target + end; t.HasFile(file) {
				bins[name] = file
				break
			}
		}
		if !strings.HasPrefix(bins[name], dir+"/") {
			delete(bins, name)
		}
	}
	return bins, nil
}

func pypiBins(t *store.Tree) (map[string]string, error) {
	list, err := os.ReadDir(filepath.Join(t.Dir, "bin"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	bins := map[string]string{}
	for _, d := range list {
		bins[d.Name()] = "bin/" + d.Name()
	}
	return bins, nil
}

// chooseBin chooses as npx does (libnpmexec get-bin-from-manifest) and as uvx
// does, and takes the only one where uvx would ask for its name.
func chooseBin(bins map[string]string, ref pack.Ref) (string, error) {
	names := slices.Sorted(maps.Keys(bins))
	if len(names) == 0 {
		return "", ErrLibrary
	}
	choices := "it brings " + strings.Join(names, ", ")
	if ref.Bin != "" {
		if bins[ref.Bin] == "" {
			return "", fmt.Errorf("there is no %q; %s", ref.Bin, choices)
		}
		return ref.Bin, nil
	}
	same := true
	for _, n := range names {
		same = same && bins[n] == bins[names[0]]
	}
	_, base := pack.SplitScope(ref.Name)
	i := slices.IndexFunc(names, func(n string) bool {
		return n == base || ref.Ecosystem == pack.PyPI && pack.NormalizePyPI(n) == base
	})
	switch {
	case i >= 0:
		return names[i], nil
	case same:
		return names[0], nil
	}
	return "", fmt.Errorf("%s, and none has the package's name; say which one", choices)
}

// interpreter reads the interpreter and its flags from a program's first line.
func interpreter(file string) (Runtime, []string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 512)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", nil, err
	}
	if strings.HasPrefix(line, "\x7fELF") {
		return RuntimeNone, nil, nil
	}
	script, ok := strings.CutPrefix(strings.TrimPrefix(line, "\ufeff"), "#!")
	if !ok {
		if ext := path.Ext(file); ext == ".js" || ext == ".mjs" || ext == ".cjs" {
			return RuntimeNode, nil, nil
		}
		return "", nil, errors.New("it is neither a node script nor a program of this system")
	}
	words := strings.Fields(script)
	if len(words) > 0 && path.Base(words[0]) == "env" {
		words = words[1:]
		if len(words) > 0 && words[0] == "-S" {
			words = words[1:]
		}
	}
	if len(words) == 0 || path.Base(words[0]) != "node" && path.Base(words[0]) != "nodejs" {
		return "", nil, fmt.Errorf("its first line asks for %q, and only node is known here", strings.TrimSpace(script))
	}
	return RuntimeNode, words[1:], nil
}

// Program is the entry point as the sandbox starts it: directly, without npx, uvx or
// the registry in between. via is the interpreter as found on this machine, with its
// needs; Program ignores it if the entry needs none.
func (e Entry) Program(t *store.Tree, l pack.Lock, via plan.Program, args []string) (plan.Program, error) {
	file := filepath.Join(t.Dir, e.File)
	p := plan.Program{Path: file, Args: append([]string{file}, args...), Tree: t.Hash}
	if e.Runtime != RuntimeNone {
		if !filepath.IsAbs(via.Path) {
			return plan.Program{}, fmt.Errorf("cannot start %s: it needs %s, which was not found", l.Package, e.Runtime)
		}
		name := via.Path
		if len(via.Args) > 0 {
			name = via.Args[0]
		}
		p.Path = via.Path
		p.Args = slices.Concat([]string{name}, e.Flags, []string{file}, args)
		p.Needs, p.Env, p.Via = slices.Clone(via.Needs), slices.Clone(via.Env), slices.Clone(via.Via)
	}
	p.Needs = append(p.Needs, plan.Need{Path: t.Dir, Why: "package " + l.Package + " " + l.Version})
	p.Via = append(p.Via, fmt.Sprintf("%s %s, program %q → %s", l.Package, l.Version, e.Bin, file))
	switch e.Runtime {
	case RuntimeNode:
		p.Env = prefixPath(p.Env, filepath.Join(t.Dir, "node_modules", ".bin"))
	case RuntimePython:
		lib := filepath.Join(t.Dir, "lib")
		p.Env = prefixPath(p.Env, filepath.Join(lib, "bin"))
		// For children of the server that use the same interpreter.
		p.Env = append(p.Env, plan.Env{Name: "PYTHONPATH", Value: lib}, plan.Env{Name: "PYTHONNOUSERSITE", Value: "1"},
			plan.Env{Name: "PYTHONDONTWRITEBYTECODE", Value: "1"})
	}
	return p, nil
}

// prefixPath puts a directory in front of PATH, if env has a PATH.
func prefixPath(env []plan.Env, dir string) []plan.Env {
	for i := range env {
		if env[i].Name == "PATH" {
			env[i].Value = dir + ":" + env[i].Value
		}
	}
	return env
}
