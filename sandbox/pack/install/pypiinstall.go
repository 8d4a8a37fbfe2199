package install

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/internal/lazy"
	"mcpen/sandbox/pack"
)

// indexLine gives pip the mirror's address in a requirements file; uv gets it in a
// variable. Every user of the machine can read arguments, and anybody who knows the
// address can use the credentials behind it.
func (w *work) indexLine() string { return "--index-url " + w.mirror.Base() + "\n" }

// pipEnv keeps every configuration file and cache of the user's from uv.
func (w *work) pipEnv() []string {
	dir := w.stage.Dir
	return []string{"PIP_CONFIG_FILE=/dev/null", "PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1", "UV_NO_CONFIG=1", "UV_CACHE_DIR=" + filepath.Join(dir, "cache"),
		"UV_PYTHON_DOWNLOADS=never", "UV_LINK_MODE=copy", "UV_NO_PROGRESS=1", "UV_HTTP_RETRIES=0", "UV_HTTP_TIMEOUT=600", "UV_DEFAULT_INDEX=" + w.mirror.Base(), "XDG_CONFIG_HOME=" + filepath.Join(dir, "home")}
}

// pip is the beginning of a command line of pip, which belongs to the Python
// that will run the package. -I keeps PYTHON* and the working directory out,
// --isolated the configuration files and PIP_* variables.
func (w *work) pip() []string {
	return []string{w.in.Tools.Python, "-I", "-m", "pip", "--isolated", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--retries", "0", "--timeout", "600"}
}

// requirement is the request to the package manager.
func (w *work) requirement() string {
	return strings.TrimPrefix(w.ref.String(), string(pack.PyPI)+":")
}

// choosePyPI has uv or pip resolve the requirements. Without an earlier install it also
// installs them, in the same go.
func (w *work) choosePyPI(ctx context.Context, was *made) error {
	if w.in.Tools.UV != "" {
		w.lock.With = "uv"
		return w.chooseUV(ctx, was)
	}
	w.lock.With = "pip"
	if err := w.root.WriteFile("want.txt", []byte(w.indexLine()+w.requirement()+"\n"), 0o600); err != nil {
		return err
	}
	argv := append(w.pip(), "install", "--quiet", "--ignore-installed", "--only-binary", ":all:", "-r", filepath.Join(w.stage.Dir, "want.txt"),
		// With a target, pip does not mind an interpreter that is externally managed (PEP 668).
		"--target", filepath.Join(w.stage.Dir, "tree/lib"), "--no-compile", "--report", filepath.Join(w.stage.Dir, "report.json"))
	if was != nil {
		argv = append(argv, "--dry-run")
	}
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
		f, err := w.mirror.Lookup(i.Download.URL)
		if err != nil {
			return fmt.Errorf("cannot lock %q: %w", i.Metadata.Name, err)
		}
		w.lock.Dependencies = append(w.lock.Dependencies, f.Locked(pack.NormalizePyPI(i.Metadata.Name), i.Metadata.Version))
	}
	return w.lockWheels()
}

// uvPin matches a line of the output of "uv pip compile".
var uvPin = lazy.Pattern(`^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^ ;\\\r\n]+)`)

// chooseUV is choosePyPI with uv, which does not say which wheels it takes: they are
// those that it fetched, or those of an earlier install.
func (w *work) chooseUV(ctx context.Context, was *made) error {
	if err := w.root.WriteFile("want.txt", []byte(w.requirement()+"\n"), 0o600); err != nil {
		return err
	}
	file := func(name string) string { return filepath.Join(w.stage.Dir, name) }
	common := []string{"--python", w.in.Tools.Python, "--only-binary", ":all:", "--quiet"}
	if was == nil {
		argv := slices.Concat([]string{w.in.Tools.UV, "pip", "install", "--target", file("tree/lib"), "-r", file("want.txt")}, common)
		if err := w.run(ctx, "uv pip install", argv, w.pipEnv(), true); err != nil {
			return err
		}
		return w.lockFetched()
	}
	argv := slices.Concat([]string{w.in.Tools.UV, "pip", "compile", file("want.txt"), "-o", file("all.txt"), "--no-header", "--no-annotate"}, common)
	if err := w.run(ctx, "uv pip compile", argv, w.pipEnv(), true); err != nil {
		return err
	}
	data, err := w.read("all.txt", 16<<20)
	if err != nil {
		return err
	}
	before, _ := was.lock() // one that does not read has no wheels
	for line := range strings.Lines(string(data)) {
		m := uvPin().FindStringSubmatch(line)
		if m == nil {
			continue
		}
		d := pack.Dependency{Path: pack.NormalizePyPI(m[1]), Version: m[2]}
		for _, b := range before.Dependencies {
			if _, listed := w.mirror.Known(b); listed && b.Path == d.Path && pack.SamePyPIVersion(b.Version, d.Version) {
				d = b
			}
		}
		if d.Integrity == "" { // it was not chosen before
			w.lock.Dependencies = nil
			return w.chooseUV(ctx, nil)
		}
		w.lock.Dependencies = append(w.lock.Dependencies, d)
	}
	return w.lockWheels()
}

// lockFetched makes the lock of the packages that uv installed: their wheels are
// those that it fetched.
func (w *work) lockFetched() error {
	tree, err := fs.Sub(w.root.FS(), "tree")
	if err != nil {
		return err
	}
	list, err := fs.ReadDir(tree, "lib")
	if err != nil {
		return fmt.Errorf("cannot read what uv installed: %w", err)
	}
	for _, e := range list {
		if !e.IsDir() || !strings.HasSuffix(e.Name(), ".dist-info") {
			continue
		}
		name, version, err := wheelMetadata(tree, "lib/"+e.Name())
		if err != nil {
			return fmt.Errorf("%q: its METADATA does not read: %w", e.Name(), err)
		}
		d := pack.Dependency{Path: name, Version: version}
		for _, f := range w.mirror.Served() {
			if wh, ok := pack.ParseWheel(f.Name); ok && wh.Name == name && pack.SamePyPIVersion(wh.Version, version) {
				d = f.Locked(name, version)
			}
		}
		w.lock.Dependencies = append(w.lock.Dependencies, d)
	}
	return w.lockWheels()
}

// lockWheels fills in the fields that follow from the list of wheels.
func (w *work) lockWheels() error {
	for _, d := range w.lock.Dependencies {
		if d.Path == w.ref.Name {
			w.lock.Integrity = d.Integrity
			w.lock.Version = d.Version
		}
	}
	w.addWheels()
	slices.SortFunc(w.lock.Dependencies, func(a, b pack.Dependency) int { return strings.Compare(a.Path, b.Path) })
	return w.lock.Check()
}

// addWheels lists the other wheels of every locked version that are old enough, so that
// one lock serves a team's other Pythons and machines. If a version has only one wheel,
// made for this machine, it limits the lock to it.
func (w *work) addWheels() {
	for i := range w.lock.Dependencies {
		d := &w.lock.Dependencies[i]
		if d.Built {
			continue
		}
		d.Wheels = w.mirror.WheelsOf(*d)
		if wh, ok := pack.ParseWheel(d.File); ok && !wh.Anywhere() && len(d.Wheels) == 0 {
			w.lock.Platform = w.in.platform(*w.lock)
		}
	}
}

// installPyPI unpacks exactly the locked wheels into tree/lib and writes a start
// script for each entry point into tree/bin.
func (w *work) installPyPI(ctx context.Context) error {
	// Where the tree is known it is made of the very same wheels.
	others := pack.Dependency.Others
	if w.choosing || w.lock.Trees[w.in.platform(*w.lock)] != "" {
		others = func(pack.Dependency) []pack.Dependency { return nil }
	}
	var list strings.Builder
	if w.in.Tools.UV == "" {
		list.WriteString(w.indexLine())
	}
	for _, d := range w.lock.Dependencies {
		hash := d.Integrity
		if d.Built {
			w.mirror.Want(d.Path, d.Version)
			var err error
			if hash, err = w.builtAgain(ctx, d); err != nil {
				return err
			}
		}
		fmt.Fprintf(&list, "%s==%s --hash=%s", d.Path, d.Version, hash)
		for _, o := range others(d) {
			fmt.Fprintf(&list, " --hash=%s", o.Integrity)
		}
		list.WriteByte('\n')
	}
	if err := w.root.WriteFile("locked.txt", []byte(list.String()), 0o600); err != nil {
		return err
	}
	file := func(name string) string { return filepath.Join(w.stage.Dir, name) }
	args := []string{"install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", file("tree/lib"), "-r", file("locked.txt")}
	argv := slices.Concat(w.pip(), args, []string{"--no-compile"})
	name := "pip install"
	if w.in.Tools.UV != "" {
		name = "uv pip install"
		argv = slices.Concat([]string{w.in.Tools.UV, "pip"}, args, []string{"--python", w.in.Tools.Python})
	}
	w.in.say("install", "%d packages", len(w.lock.Dependencies))
	if err := w.run(ctx, name, argv, w.pipEnv(), true); err != nil {
		return err
	}
	return w.settlePyPI(ctx)
}

// settlePyPI compares the installed packages with the lock and makes them the tree.
func (w *work) settlePyPI(ctx context.Context) error {
	if err := w.checkOverlaps(); err != nil {
		return err
	}
	if err := w.tidyPython(); err != nil {
		return err
	}
	if err := w.adopt(); err != nil {
		return err
	}
	if !w.choosing && w.lock.Trees[w.in.platform(*w.lock)] == "" {
		if err := w.checkRequires(ctx); err != nil {
			return err
		}
	}
	return w.compile(ctx)
}
