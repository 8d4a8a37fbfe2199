package program

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
)

// within reports whether path is dir or lies below it. Nothing lies in an empty dir.
func within(path, dir string) bool {
	return dir != "" && (path == dir || dir == "/" || strings.HasPrefix(path, dir+"/"))
}

// system reports whether every sandbox sees a path anyway.
func (f *finder) system(path string) bool {
	for _, dir := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib64"} {
		if within(path, f.at(dir)) {
			return true
		}
	}
	return false
}

// visible reports whether a path exists inside, with the needs found so far.
func (f *finder) visible(path string) bool {
	return f.system(path) || slices.ContainsFunc(f.prog.Needs, func(n plan.Need) bool { return within(path, n.Path) })
}

// tooWide reports whether a directory holds more than one program: the root, one of its
// own directories, the home or an ancestor of it, and the directories that all programs
// of a user share.
func (f *finder) tooWide(dir string) bool {
	if dir == "/" || filepath.Dir(dir) == "/" || filepath.Dir(dir) == f.at("/") || dir == f.at("/opt") || dir == f.at("/home") {
		return true
	}
	for _, home := range []string{f.home, f.env.Home} {
		if home == "" {
			continue
		}
		if within(home, dir) {
			return true
		}
		for _, shared := range []string{".local", ".local/share", ".local/lib", ".local/bin", ".config", ".cache", "bin"} {
			if dir == filepath.Join(home, shared) {
				return true
			}
		}
	}
	return false
}

// need grants a path, unless it is visible already or too wide.
func (f *finder) need(path, why string, args ...any) {
	if f.visible(path) || f.tooWide(path) {
		return
	}
	f.prog.Needs = append(f.prog.Needs, plan.Need{Path: path, Why: fmt.Sprintf(why, args...), Led: slices.Clone(f.led)})
}

// follow remembers the symlinks in a path.
func (f *finder) follow(path string) {
	if _, links, err := host.Resolve(path); err == nil {
		for _, l := range links {
			f.led = append(f.led, l.Path)
		}
	}
}

// layouts are the version directories of managers: "*" is one component, and the whole
// pattern matches at the end of the root.
var layouts = []struct{ pattern, why string }{
	{"versions/node/*", "node of nvm"},
	{"node-versions/*/installation", "node of fnm"},
	{"tools/image/node/*", "node of volta"},
	{"tools/image/npm/*", "npm of volta"},
	{"tools/image/pnpm/*", "pnpm of volta"},
	{"tools/image/yarn/*", "yarn of volta"},
	{"tools/image/packages/@*/*", "package of volta"},
	{"tools/image/packages/*", "package of volta"},
	{"asdf/installs/*/*", "runtime of asdf"},
	{".asdf/installs/*/*", "runtime of asdf"},
	{"mise/installs/*/*", "runtime of mise"},
	{".pyenv/versions/*", "python of pyenv"},
	{"uv/python/*", "python of uv"},
}

// versionRoot returns the directory of the whole version to which a file belongs, or
// "".
func (f *finder) versionRoot(path string) (root, why string) {
	if f.system(path) {
		return "", ""
	}
	for dir := filepath.Dir(path); !f.tooWide(dir); dir = filepath.Dir(dir) {
		if host.Exists(filepath.Join(dir, "pyvenv.cfg")) {
			return dir, "python environment"
		}
		if host.Exists(filepath.Join(dir, "conda-meta")) {
			return dir, "conda environment"
		}
	}
	for _, fixed := range []struct{ dir, why string }{
		{f.at("/nix/store"), "the Nix store, where every package names others"},
		{f.at("/home/linuxbrew/.linuxbrew"), "Homebrew"},
		{f.env.Vars["HOMEBREW_PREFIX"], "Homebrew"},
		{f.below(".linuxbrew"), "Homebrew"},
	} {
		if within(path, fixed.dir) && !f.tooWide(fixed.dir) {
			return fixed.dir, fixed.why
		}
	}
	for dir := filepath.Dir(path); !f.tooWide(dir); dir = filepath.Dir(dir) {
		if why := f.layout(dir); why != "" {
			return dir, why
		}
	}
	if rel, ok := strings.CutPrefix(path, f.at("/opt")+"/"); ok {
		if top, _, below := strings.Cut(rel, "/"); below {
			return filepath.Join(f.at("/opt"), top), "the program's own directory"
		}
	}
	if prefix := filepath.Dir(filepath.Dir(path)); filepath.Base(filepath.Dir(path)) == "bin" && !f.tooWide(prefix) && runtimePrefix(prefix) {
		return prefix, "the runtime's own prefix"
	}
	return "", ""
}

// layout says of which manager a directory is a version, or "".
func (f *finder) layout(dir string) string {
	for _, l := range layouts {
		n := strings.Count(l.pattern, "/") + 1
		parts := strings.Split(dir, "/")
		if len(parts) < n {
			continue
		}
		if ok, _ := filepath.Match(l.pattern, strings.Join(parts[len(parts)-n:], "/")); ok {
			return l.why
		}
	}
	for _, own := range []struct{ root, pattern, why string }{
		{f.pyenvRoot(), "versions/*", "python of pyenv"},
		{f.asdfRoot(), "installs/*/*", "runtime of asdf"},
		{f.miseRoot(), "installs/*/*", "runtime of mise"},
		{f.env.Vars["UV_PYTHON_INSTALL_DIR"], "*", "python of uv"},
	} {
		if own.root == "" {
			continue
		}
		if ok, _ := filepath.Match(own.pattern, strings.TrimPrefix(dir, own.root+"/")); ok && within(dir, own.root) {
			return own.why
		}
	}
	return ""
}

// runtimePrefix reports whether a directory has the layout of an unpacked node or
// python.
func runtimePrefix(dir string) bool {
	for _, pattern := range []string{"lib/node_modules", "include/node", "lib/python3*/os.py", "pyvenv.cfg"} {
		if m, err := filepath.Glob(filepath.Join(dir, pattern)); err == nil && len(m) > 0 {
			return true
		}
	}
	return false
}

// grantRoot grants a version's directory and, for a python environment, the python from
// which it was made.
func (f *finder) grantRoot(root, why string) error {
	if f.visible(root) {
		return nil
	}
	led := f.led
	f.led = nil // it does not matter which runtime a link leads to
	defer func() { f.led = led }()
	f.need(root, "%s", why)
	base, ok, err := venvHome(root)
	if err != nil || !ok {
		return err
	}
	real, links, err := host.Resolve(base)
	if err != nil {
		return f.fail(NotFound, fmt.Sprintf("make it again: python3 -m venv --clear %s", root),
			"the python environment %q was made from a python that is gone: %v", root, err)
	}
	f.via("%s was made from the python in %s", root, real)
	if sub, why := f.versionRoot(filepath.Join(real, "python")); sub != "" && sub != root {
		if err := f.grantRoot(sub, why); err != nil {
			return err
		}
	}
	f.needLinks(links)
	return nil
}

// needLinks grants the symlinks in a path that is used inside.
func (f *finder) needLinks(links []plan.Link) {
	for _, l := range links {
		f.need(l.Path, "symlink on the way to %s", l.Text)
	}
}

// venvHome reads from pyvenv.cfg where the python of an environment is. ok is false for
// a directory that is no environment.
func venvHome(root string) (home string, ok bool, err error) {
	b, err := os.ReadFile(filepath.Join(root, "pyvenv.cfg"))
	if os.IsNotExist(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	for line := range strings.Lines(string(b)) {
		key, value, found := strings.Cut(line, "=")
		if value = strings.TrimSpace(value); found && strings.TrimSpace(key) == "home" && filepath.IsAbs(value) {
			return value, true, nil
		}
	}
	return "", false, nil
}

// grantBinary grants one executable and the directories that its dynamic section names
// relative to it.
func (f *finder) grantBinary(real string) {
	f.need(real, "the program")
	file, err := elf.Open(real)
	if err != nil {
		return // no ELF file, or one that may be executed and not read
	}
	defer file.Close()
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		entries, err := file.DynString(tag)
		if err != nil {
			continue
		}
		for _, entry := range strings.Split(strings.Join(entries, ":"), ":") {
			dir := strings.NewReplacer("$ORIGIN", filepath.Dir(real), "${ORIGIN}", filepath.Dir(real)).Replace(entry)
			if dir != entry && host.Exists(dir) {
				f.need(filepath.Clean(dir), "libraries of %s (%s)", filepath.Base(real), entry)
			}
		}
	}
}

var packageStore = regexp.MustCompile(`/(node_modules|\.pnpm)/`)

// grantPackage grants the package of a script, the first of these that exists:
//
//   - the outermost node_modules around it, or pnpm's store, whose packages link to
//     each other;
//   - the nearest directory with a package's description, and the node_modules above it
//     to which a workspace hoists;
//   - its directory, from which it may load other files;
//   - the file alone, where that directory holds more than a program.
func (f *finder) grantPackage(real string) {
	if at := packageStore.FindStringIndex(real); at != nil {
		f.need(real[:at[1]-1], "packages of %s", filepath.Base(real))
		return
	}
	for dir := filepath.Dir(real); !f.tooWide(dir); dir = filepath.Dir(dir) {
		for _, desc := range []string{"package.json", "deno.json", "deno.jsonc", "pyproject.toml", "setup.py"} {
			if !host.Exists(filepath.Join(dir, desc)) {
				continue
			}
			f.need(dir, "package of %s (%s)", filepath.Base(real), desc)
			for up := filepath.Dir(dir); desc == "package.json" && !f.tooWide(up); up = filepath.Dir(up) {
				if hoisted := filepath.Join(up, "node_modules"); host.Exists(hoisted) {
					f.need(hoisted, "packages of the workspace around %s", filepath.Base(dir))
				}
			}
			return
		}
	}
	if dir := filepath.Dir(real); !f.tooWide(dir) && !f.mixed(dir) {
		f.need(dir, plan.Beside+"%s", filepath.Base(real))
		return
	}
	f.need(real, "the program")
}

// mixed reports whether people keep things of every kind in a directory, or programs
// keep secrets there: the hidden directories right below a home, those of
// xdg-user-dirs, and shared directories for temporary files.
func (f *finder) mixed(dir string) bool {
	if dir == f.at("/var/tmp") || dir == f.at("/dev/shm") || dir == f.at("/usr/local/bin") {
		return true
	}
	for _, home := range []string{f.home, f.env.Home} {
		if home == "" || filepath.Dir(dir) != home {
			continue
		}
		base := filepath.Base(dir)
		return base[0] == '.' || slices.Contains([]string{"Desktop", "Documents", "Downloads", "Music", "Pictures", "Public", "Templates", "Videos"}, base)
	}
	return false
}
