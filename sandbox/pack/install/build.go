package install

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"mcpen/sandbox/internal/lazy"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/mirror"
)

// frontend is the build frontend of PEP 517, as a job runs it. Its arguments are the
// action, the unpacked source, the folder of build requirements, and the wheel's place.
const frontend = `import importlib, json, os, sys, tarfile
act, archive, place = sys.argv[1:4]
src, env, out = (os.path.join(place, d) for d in ("src", "env", "out"))
if not os.path.isdir(src):
    with tarfile.open(archive) as t:
        t.extractall(src, filter="data") if hasattr(tarfile, "data_filter") else t.extractall(src)
    os.mkdir(out)
root = os.path.join(src, os.listdir(src)[0])
system = json.load(open(os.path.join(place, "system.json")))
os.chdir(root)
extra = [os.path.join(root, p) for p in system["path"]]
os.environ["PYTHONPATH"] = env
sys.path[:0] = extra + [env]
sys.argv[:] = ["build"]
said = os.dup(1)
os.dup2(2, 1)
module, _, names = system["backend"].partition(":")
backend = importlib.import_module(module)
for n in filter(None, names.split(".")):
    backend = getattr(backend, n)
if act == "requires":
    result = getattr(backend, "get_requires_for_build_wheel", lambda _: [])({})
else:
    result = backend.build_wheel(out)
os.write(said, json.dumps(result).encode())`

// buildSystem is the table of that name in a pyproject.toml (PEP 518).
type buildSystem struct {
	Requires []string `toml:"requires" json:"-"`
	Backend  string   `toml:"build-backend" json:"backend"`
	Path     []string `toml:"backend-path" json:"path"`
}

// buildWheel builds a source distribution: it installs the build's requirements from
// wheels, and then the distribution's own code runs in a job without network.
func (w *work) buildWheel(ctx context.Context, from *mirror.Archive, name string) (*mirror.Archive, error) {
	w.in.say("build", "%s", from.Name)
	if !slices.Contains(w.in.Build, name) {
		return nil, &pack.SourceError{Name: name}
	}
	place := "build-" + name
	if err := w.root.Mkdir(place, 0o700); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(from.Path)
	if err != nil {
		return nil, err
	}
	system, err := readBuildSystem(data)
	if err != nil {
		return nil, fmt.Errorf("cannot build %q: %w", from.Name, err)
	}
	text, err := json.Marshal(system)
	if err != nil {
		return nil, err
	}
	err = errors.Join(w.root.WriteFile(place+"/"+from.Name, data, 0o600), w.root.WriteFile(place+"/system.json", text, 0o600), w.root.WriteFile(place+"/frontend.py", []byte(frontend), 0o600))
	if err != nil {
		return nil, err
	}
	if err := w.buildRequires(ctx, place, system.Requires); err != nil {
		return nil, err
	}
	more, err := w.frontend(ctx, "requires", place, from.Name)
	if err != nil {
		return nil, err
	}
	var requires []string
	if err := json.Unmarshal(more, &requires); err != nil {
		return nil, fmt.Errorf("cannot build %q: its build names no requirements: %w", from.Name, err)
	}
	if err := w.buildRequires(ctx, place, requires); err != nil {
		return nil, err
	}
	if _, err := w.frontend(ctx, "wheel", place, from.Name); err != nil {
		return nil, err
	}
	return w.takeWheel(place, from, name)
}

// frontend runs one step of a build, without network, and returns its output.
func (w *work) frontend(ctx context.Context, act, place, archive string) ([]byte, error) {
	file := func(name string) string { return filepath.Join(w.stage.Dir, place, name) }
	out := tail{limit: 1 << 20}
	argv := []string{w.in.Tools.Python, "-I", file("frontend.py"), act, file(archive), filepath.Join(w.stage.Dir, place)}
	// Same build, same result: times and the order of sets are part of it.
	env := append(w.pipEnv(), "SOURCE_DATE_EPOCH=315532800", "PYTHONHASHSEED=0")
	err := w.runTo(ctx, &out, "the build of "+archive, argv, env, false)
	return out.buf, err
}

// buildRequirement is a requirement of a build that names a package of the index:
// no address, no option of pip's, one line.
var buildRequirement = lazy.Pattern(`^[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9._, -]*\])?[ ]*(?:\([^()\n@]*\)|[<>=!~][^;@\n]*)?(?:;[^\n@]*)?$`)

// buildRequires installs a build's requirements, from wheels.
func (w *work) buildRequires(ctx context.Context, place string, requires []string) error {
	if len(requires) == 0 {
		return nil
	}
	list := ""
	if w.in.Tools.UV == "" {
		list = w.indexLine()
	}
	for _, r := range requires {
		if r = strings.TrimSpace(r); !buildRequirement().MatchString(r) {
			return pack.Refuse("cannot build %s: it requires %q, which is no package of the index", strings.TrimPrefix(place, "build-"), r)
		}
		list += r + "\n"
	}
	if err := w.root.WriteFile(place+"/requires.txt", []byte(list), 0o600); err != nil {
		return err
	}
	file := func(name string) string { return filepath.Join(w.stage.Dir, place, name) }
	name, argv := "pip install", slices.Concat(w.pip(), []string{"install", "--quiet", "--upgrade", "--only-binary", ":all:", "--target", file("env"), "-r", file("requires.txt")})
	if w.in.Tools.UV != "" {
		name, argv = "uv pip install", []string{w.in.Tools.UV, "pip", "install", "--quiet", "--only-binary", ":all:", "--python", w.in.Tools.Python, "--target", file("env"), "-r", file("requires.txt")}
	}
	return w.run(ctx, name, argv, w.pipEnv(), true)
}

// readBuildSystem reads how a source distribution is built; one without a
// pyproject.toml, or that says nothing of it, is built by setuptools (PEP 517).
func readBuildSystem(archive []byte) (buildSystem, error) {
	usual := buildSystem{Requires: []string{"setuptools>=40.8.0", "wheel"}, Backend: "setuptools.build_meta:__legacy__", Path: []string{}}
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return usual, err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return usual, nil
		}
		if err != nil {
			return usual, err
		}
		if path.Base(h.Name) != "pyproject.toml" || strings.Count(path.Clean(h.Name), "/") != 1 || h.Typeflag != tar.TypeReg {
			continue
		}
		var doc struct {
			System *buildSystem `toml:"build-system"`
		}
		text, err := io.ReadAll(io.LimitReader(t, 1<<20))
		if err == nil {
			err = toml.Unmarshal(text, &doc)
		}
		if err != nil {
			return usual, fmt.Errorf("its pyproject.toml does not read: %w", err)
		}
		if doc.System == nil {
			return usual, nil
		}
		s := *doc.System
		if s.Backend == "" {
			s.Backend, s.Requires = usual.Backend, append(s.Requires, usual.Requires...)
		}
		if s.Path == nil {
			s.Path = []string{}
		}
		for _, p := range s.Path {
			if !filepath.IsLocal(p) {
				return usual, fmt.Errorf("its backend is at %q", p)
			}
		}
		return s, nil
	}
}

// takeWheel looks at the one wheel that a build left, as at one that was fetched.
func (w *work) takeWheel(place string, from *mirror.Archive, name string) (*mirror.Archive, error) {
	list, err := fs.ReadDir(w.root.FS(), place+"/out")
	if err != nil {
		return nil, fmt.Errorf("cannot build %q: %w", from.Name, err)
	}
	version, _ := pack.ParseSdist(from.Name, name)
	if len(list) != 1 {
		return nil, pack.Refuse("cannot build %q: its build left %d files, and one wheel is wanted", from.Name, len(list))
	}
	file := list[0].Name()
	if wh, ok := pack.ParseWheel(file); !ok || wh.Name != name || !pack.SamePyPIVersion(wh.Version, version) {
		return nil, pack.Refuse("cannot build %q: its build made %q", from.Name, file)
	}
	data, err := w.read(place+"/out/"+file, w.in.Limits.Filled().Archive)
	if err != nil {
		return nil, err
	}
	return w.mirror.Keep(name, file, data)
}

// builtAgain builds a package that the lock lists as built, and returns the wheel's
// hash.
func (w *work) builtAgain(ctx context.Context, d pack.Dependency) (string, error) {
	if _, err := w.mirror.Fact(ctx, d); err != nil {
		return "", err
	}
	f, err := w.mirror.Elsewhere(ctx, d)
	if err != nil {
		return "", err
	}
	local, err := w.mirror.Add(f, d.File, d.Integrity)
	if err != nil {
		return "", err
	}
	from, err := w.mirror.Lookup(local)
	if err != nil {
		return "", err
	}
	wheel, err := w.mirror.Built(ctx, from, d.Path)
	if err != nil {
		return "", w.mirror.Verdict(err)
	}
	return wheel.Integrity, nil
}
