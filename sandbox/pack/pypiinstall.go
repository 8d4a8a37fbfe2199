package pack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// pipEnv keeps every configuration file and cache of the user's from uv.
func (w *work) pipEnv() []string {
	dir := w.stage.Dir
	return []string{"PIP_CONFIG_FILE=/dev/null", "PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1", "UV_NO_CONFIG=1", "UV_CACHE_DIR=" + filepath.Join(dir, "cache"),
		"UV_PYTHON_DOWNLOADS=never", "UV_LINK_MODE=copy", "UV_NO_PROGRESS=1", "UV_HTTP_RETRIES=0", "XDG_CONFIG_HOME=" + filepath.Join(dir, "home")}
}

// pip is the beginning of a command line of pip, which belongs to the Python
// that will run the package. -I keeps PYTHON* and the working directory out,
// --isolated the configuration files and PIP_* variables.
func (w *work) pip() []string {
	return []string{w.in.Tools.Python, "-I", "-m", "pip", "--isolated", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--retries", "0"}
}

// requirement is what the package manager is asked for.
func (w *work) requirement() string {
	return strings.TrimPrefix(w.ref.String(), string(PyPI)+":")
}

// choosePyPI has uv or pip work out what is needed.
func (w *work) choosePyPI(ctx context.Context) error {
	if w.in.Tools.UV != "" {
		w.lock.With = "uv"
		return w.chooseUV(ctx)
	}
	w.lock.With = "pip"
	argv := append(w.pip(), "install", "--quiet", "--dry-run", "--ignore-installed", "--only-binary", ":all:", "--index-url", w.proxy.base(),
		// With a target, pip does not mind an interpreter that is externally managed (PEP 668).
		"--target", filepath.Join(w.stage.Dir, "trial"), "--report", filepath.Join(w.stage.Dir, "report.json"), w.requirement())
	if err := w.run(ctx, "pip install", argv, w.pipEnv(), true); err != nil {
		return err
	}
	data, err := w.read("report.json", 64<<20)
	if err != nil {
		return err
	}
	var report struct {
		Install []struct {
			Metadata struct {
				Name    string `json:"name"`
				Version string `json:"version"`
			} `json:"metadata"`
			Download struct {
				URL string `json:"url"`
			} `json:"download_info"`
		} `json:"install"`
	}
	if err := json.Unmarshal(data, &report); err != nil {
		return fmt.Errorf("cannot read the report that pip wrote: %w", err)
	}
	for _, i := range report.Install {
		f, err := w.proxy.lookup(i.Download.URL)
		if err != nil {
			return fmt.Errorf("cannot lock %q: %w", i.Metadata.Name, err)
		}
		w.lock.Dependencies = append(w.lock.Dependencies, Dependency{Path: normalizePyPI(i.Metadata.Name), Version: i.Metadata.Version,
			Integrity: f.integrity, File: f.name})
	}
	return w.lockWheels()
}

// uvPin is a line of what "uv pip compile" writes.
var uvPin = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^ ;\\\r\n]+)`)

// chooseUV asks uv for the versions, and takes the wheels that it then installs.
func (w *work) chooseUV(ctx context.Context) error {
	if err := w.root.WriteFile("want.txt", []byte(w.requirement()+"\n"), 0o600); err != nil {
		return err
	}
	file := func(name string) string { return filepath.Join(w.stage.Dir, name) }
	common := []string{"--python", w.in.Tools.Python, "--only-binary", ":all:", "--default-index", w.proxy.base(), "--quiet"}
	argv := slices.Concat([]string{w.in.Tools.UV, "pip", "compile", file("want.txt"), "-o", file("all.txt"), "--no-header", "--no-annotate"}, common)
	if err := w.run(ctx, "uv pip compile", argv, w.pipEnv(), true); err != nil {
		return err
	}
	argv = slices.Concat([]string{w.in.Tools.UV, "pip", "install", "--no-deps", "--target", file("trial"), "-r", file("all.txt")}, common)
	if err := w.run(ctx, "uv pip install", argv, w.pipEnv(), true); err != nil {
		return err
	}
	data, err := w.read("all.txt", 16<<20)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		m := uvPin.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		d := Dependency{Path: normalizePyPI(m[1]), Version: m[2]}
		for _, f := range w.proxy.served() {
			if wh, ok := parseWheel(f.name); ok && wh.name == d.Path && sameVersion(wh.version, d.Version) {
				d.Integrity, d.File = f.integrity, f.name
			}
		}
		w.lock.Dependencies = append(w.lock.Dependencies, d)
	}
	return errors.Join(w.root.RemoveAll("trial"), w.lockWheels())
}

// lockWheels fills in what follows from the list of wheels.
func (w *work) lockWheels() error {
	for _, d := range w.lock.Dependencies {
		if d.Path == w.ref.Name {
			w.lock.Integrity = d.Integrity
			w.lock.Version = d.Version
		}
		if wh, ok := parseWheel(d.File); ok && !wh.anywhere() {
			w.lock.Platform = w.in.platform(*w.lock)
		}
	}
	slices.SortFunc(w.lock.Dependencies, func(a, b Dependency) int { return strings.Compare(a.Path, b.Path) })
	return w.lock.check()
}

// installPyPI unpacks exactly the locked wheels into tree/lib and writes a start
// script for each entry point into tree/bin.
func (w *work) installPyPI(ctx context.Context) error {
	var list strings.Builder
	for _, d := range w.lock.Dependencies {
		fmt.Fprintf(&list, "%s==%s --hash=%s\n", d.Path, d.Version, d.Integrity)
	}
	if err := w.root.WriteFile("locked.txt", []byte(list.String()), 0o600); err != nil {
		return err
	}
	file := func(name string) string { return filepath.Join(w.stage.Dir, name) }
	args := []string{"install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", file("tree/lib"), "-r", file("locked.txt")}
	argv := slices.Concat(w.pip(), args, []string{"--no-compile", "--index-url", w.proxy.base()})
	name := "pip install"
	if w.in.Tools.UV != "" {
		name = "uv pip install"
		argv = slices.Concat([]string{w.in.Tools.UV, "pip"}, args, []string{"--python", w.in.Tools.Python, "--default-index", w.proxy.base()})
	}
	w.in.say("install", "%d packages", len(w.lock.Dependencies))
	if err := w.run(ctx, name, argv, w.pipEnv(), true); err != nil {
		return err
	}
	had := map[string]bool{}
	for _, f := range w.proxy.served() {
		had[f.integrity] = true
	}
	for _, d := range w.lock.Dependencies {
		if !had[d.Integrity] {
			return fmt.Errorf("cannot install %q: the wheel %q was not taken from the index", d.Path, d.File)
		}
	}
	if err := w.tidyPython(); err != nil {
		return err
	}
	return w.compile(ctx)
}

// tidyPython makes two installs of the same wheels the same tree: it removes
// what the installer wrote for itself and what names this machine's Python.
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
		return normalizePyPI(base), nil, nil
	}
	return normalizePyPI(base), entryPoints(data), err
}

// entryPoints reads the console scripts of an entry_points.txt.
func entryPoints(data []byte) map[string]string {
	out := map[string]string{}
	for _, kv := range iniLines(bytes.ReplaceAll(data, []byte("\t"), []byte(" "))) {
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
var pythonLine = regexp.MustCompile(`^#!\s*"?/[^\n]*python[0-9.]*"?[^\n/]*\n`)

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
		if line := pythonLine.Find(data); line != nil {
			data = append([]byte("#!/usr/bin/env python3\n"), data[len(line):]...)
			if err := w.root.WriteFile(p, data, 0o755); err != nil {
				return err
			}
		}
	}
	return w.root.Chmod(p, 0o755)
}

// pyTarget is what an entry point names: module:attribute[.attribute].
var pyTarget = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_.]*)\s*:\s*([A-Za-z_][A-Za-z0-9_.]*)$`)

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
	for _, name := range sortedKeys(points) {
		m := pyTarget.FindStringSubmatch(points[name])
		if m == nil || !npmOld.MatchString(name) {
			return fmt.Errorf("cannot use entry point %q of %s: %q names no function", name, w.ref.Name, points[name])
		}
		if err := w.root.WriteFile("tree/bin/"+name, fmt.Appendf(nil, starter, m[1], m[2]), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compile has Python compile what was installed, since it cannot write into the
// store later and would do so at every start. "unchecked-hash" makes the result
// independent of file times. Files that do not compile are templates and the
// like; they stay as they are.
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
