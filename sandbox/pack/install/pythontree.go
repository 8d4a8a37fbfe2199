package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/internal/configparser"
	"mcpen/sandbox/internal/lazy"
	"mcpen/sandbox/pack"
)

// tidyPython makes two installs of the same wheels the same tree: it removes the
// installer's own files and the files that name this machine's Python.
func (w *work) tidyPython() error {
	scripts := map[string]map[string]string{} // package to entry points
	err := fs.WalkDir(w.root.FS(), "tree/lib", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && d.Name() == "__pycache__":
			if err := w.root.RemoveAll(p); err != nil {
				return err
			}
			return fs.SkipDir
		case d.IsDir() && strings.HasSuffix(d.Name(), ".dist-info") && path.Dir(p) == "tree/lib":
			name, points, err := w.tidyDistInfo(p)
			scripts[name] = points
			return err
		case !d.IsDir() && path.Dir(p) == "tree/lib" && d.Name() == ".lock":
			return w.root.Remove(p) // uv's
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot tidy up after the install: %w", err)
	}
	if err := w.tidyBin(scripts); err != nil {
		return fmt.Errorf("cannot tidy up after the install: %w", err)
	}
	return w.writeStarters(scripts[w.ref.Name])
}

// tidyDistInfo cleans one dist-info directory and reads its entry points.
func (w *work) tidyDistInfo(dir string) (name string, points map[string]string, err error) {
	for _, file := range []string{"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"} {
		if err := w.root.Remove(dir + "/" + file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", nil, err
		}
	}
	base, _, _ := strings.Cut(path.Base(dir), "-")
	data, err := w.read(dir+"/RECORD", 64<<20)
	if err != nil {
		return "", nil, err
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		file, _, _ := strings.Cut(strings.Trim(strings.TrimRight(line, "\r\n"), `"`), ",")
		file = path.Clean(file)
		if strings.HasPrefix(file, "../") || strings.HasPrefix(file, "bin/") || strings.HasPrefix(file, "/") || strings.Contains(file, "__pycache__/") {
			continue
		}
		if dist, own := path.Split(file); strings.HasSuffix(dist, ".dist-info/") && slices.Contains([]string{"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}, own) {
			continue
		}
		lines = append(lines, strings.TrimRight(line, "\r\n")+"\n")
	}
	slices.Sort(lines)
	if err := w.root.WriteFile(dir+"/RECORD", []byte(strings.Join(lines, "")), 0o644); err != nil {
		return "", nil, err
	}
	data, err = w.read(dir+"/entry_points.txt", 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return pack.NormalizePyPI(base), nil, nil
	}
	return pack.NormalizePyPI(base), entryPoints(data), err
}

// entryPoints reads the console scripts of an entry_points.txt.
func entryPoints(data []byte) map[string]string {
	out := map[string]string{}
	for _, kv := range configparser.Lines(bytes.ReplaceAll(data, []byte("\t"), []byte(" "))) {
		if name, ok := strings.CutPrefix(kv[0], "console_scripts."); ok {
			target, _, _ := strings.Cut(kv[1], "[")
			out[strings.TrimSpace(name)] = strings.TrimSpace(target)
		}
	}
	return out
}

// tidyBin removes the scripts that the installer made for entry points: their
// first line names this machine's Python. Scripts that a wheel brings itself
// get a first line that names none.
func (w *work) tidyBin(scripts map[string]map[string]string) error {
	list, err := fs.ReadDir(w.root.FS(), "tree/lib/bin")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	made := map[string]bool{}
	for _, points := range scripts {
		for name := range points {
			made[name] = true
		}
	}
	left := 0
	for _, d := range list {
		p := "tree/lib/bin/" + d.Name()
		if made[d.Name()] {
			if err := w.root.Remove(p); err != nil {
				return err
			}
			continue
		}
		left++
		if err := w.tidyScript(p); err != nil {
			return err
		}
	}
	if left == 0 {
		return w.root.Remove("tree/lib/bin")
	}
	return nil
}

// pythonLine is a first line that names an interpreter of this machine.
var pythonLine = lazy.Pattern(`^#!\s*"?/[^\n]*python[0-9.]*"?[^\n/]*\n`)

func (w *work) tidyScript(p string) error {
	info, err := w.root.Lstat(p)
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	if info.Size() < 1<<20 {
		data, err := w.root.ReadFile(p)
		if err != nil {
			return err
		}
		if line := pythonLine().Find(data); line != nil {
			data = append([]byte("#!/usr/bin/env python3\n"), data[len(line):]...)
			if err := w.root.WriteFile(p, data, 0o755); err != nil {
				return err
			}
		}
	}
	return w.root.Chmod(p, 0o755)
}

// pyTarget matches the target of an entry point: module:attribute[.attribute].
var pyTarget = lazy.Pattern(`^([A-Za-z_][A-Za-z0-9_.]*)\s*:\s*([A-Za-z_][A-Za-z0-9_.]*)$`)

// starter starts one entry point from wherever the tree is mounted. The
// directory of the script leaves sys.path; .pth files are read as in a venv.
const starter = `import os, sys
_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [p for p in sys.path if p != _here]
import site
site.addsitedir(os.path.join(os.path.dirname(_here), "lib"))
import importlib
_f = importlib.import_module("%s")
for _n in "%s".split("."):
    _f = getattr(_f, _n)
if __name__ == "__main__":
    sys.exit(_f())
`

func (w *work) writeStarters(points map[string]string) error {
	if err := w.root.Mkdir("tree/bin", 0o755); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(points)) {
		m := pyTarget().FindStringSubmatch(points[name])
		if m == nil || !pack.IsProgramName(name) {
			return fmt.Errorf("cannot use entry point %q of %s: %q names no function", name, w.ref.Name, points[name])
		}
		if err := w.root.WriteFile("tree/bin/"+name, fmt.Appendf(nil, starter, m[1], m[2]), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compile has Python compile the installed files, because Python cannot write into the
// store later and would compile them at every start. "unchecked-hash" makes the result
// independent of file times. Files that do not compile are templates and the like; they
// stay as they are.
func (w *work) compile(ctx context.Context) error {
	w.in.say("compile", "%s", w.ref.Name)
	argv := []string{w.in.Tools.Python, "-I", "-m", "compileall", "-qq", "--invalidation-mode", "unchecked-hash", filepath.Join(w.stage.Dir, "tree/lib")}
	if err := w.run(ctx, "compileall", argv, []string{"PYTHONHASHSEED=0"}, false); err != nil {
		if ctx.Err() != nil {
			return err
		}
		w.in.say("compile", "some files do not compile: they are compiled when they are used")
	}
	return nil
}
