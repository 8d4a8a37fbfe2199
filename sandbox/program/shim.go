package program

import (
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mcpen/sandbox/host"
)

// unshim returns the file behind a version manager's shim, or the path itself if it is
// no shim. errElsewhere means that the manager leaves the command to the rest of PATH.
func (f *finder) unshim(path string) (string, error) {
	dir, command := filepath.Dir(path), filepath.Base(path)
	real, _, err := host.Resolve(path)
	if err != nil {
		return "", f.fail(NotFound, "", "%q: %v", path, err)
	}
	target := filepath.Base(real)
	switch {
	case target == "volta-shim" && command != target:
		return f.volta(path, command)
	case (target == "mise" || target == "rtx") && command != target:
		return f.mise(path, command)
	case filepath.Base(dir) == "shims":
		head := readHead(real, 4096)
		switch {
		case strings.Contains(head, "pyenv"):
			return f.pyenv(path, filepath.Dir(dir), command)
		case strings.Contains(head, "asdf"):
			return f.asdf(path, filepath.Dir(dir), command, head)
		}
	}
	if at := shellShim(real); at != "" {
		f.via("%s starts %s", path, at)
		return at, nil
	}
	return path, nil
}

// shimLine matches the last line of a shell script that pnpm or npm's cmd-shim wrote.
var shimLine = regexp.MustCompile(`(?m)^\s*exec .*"\$basedir/([^"$]+)"\s+"\$@"\s*$`)

// shellShim returns the script that such a shim starts, if the script names its own
// interpreter, or "".
func shellShim(real string) string {
	head := readHead(real, 8192)
	if !strings.HasPrefix(head, "#!/bin/sh") || !strings.Contains(head, "basedir=$(dirname") {
		return ""
	}
	found := shimLine.FindAllStringSubmatch(head, -1)
	if len(found) == 0 {
		return ""
	}
	at := filepath.Join(filepath.Dir(real), found[len(found)-1][1])
	if bang, err := shebang(at); err != nil || len(bang) == 0 {
		return ""
	}
	return at
}

// readHead returns the first n bytes of a file, or "".
func readHead(path string, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, n)
	got, err := io.ReadFull(f, b) // not all of it: node alone is 100 MB
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return ""
	}
	return string(b[:got])
}

func (f *finder) pyenvRoot() string {
	return cmp.Or(f.env.Vars["PYENV_ROOT"], f.below(".pyenv"))
}

func (f *finder) asdfRoot() string {
	return cmp.Or(f.env.Vars["ASDF_DATA_DIR"], f.below(".asdf"))
}

func (f *finder) dataDir(name string) string {
	if data := f.env.Vars["XDG_DATA_HOME"]; data != "" {
		return filepath.Join(data, name)
	}
	return f.below(filepath.Join(".local/share", name))
}

// upward returns the files of these names in the working directory and its ancestors,
// nearest first.
func (f *finder) upward(names ...string) []string {
	var found []string
	if f.env.Dir == "" {
		return nil
	}
	for dir := filepath.Clean(f.env.Dir); ; dir = filepath.Dir(dir) {
		for _, name := range names {
			if at := filepath.Join(dir, name); host.Exists(at) {
				found = append(found, at)
			}
		}
		if dir == "/" {
			return found
		}
	}
}

// pyenv resolves a shim as pyenv-version-name and pyenv-which do: by PYENV_VERSION,
// .python-version in PYENV_DIR and the working directory and their ancestors, the
// global version file, and last the system.
func (f *finder) pyenv(shim, root, command string) (string, error) {
	versions, from := f.pyenvVersions(root)
	for _, v := range versions {
		if v == "system" {
			return "", errElsewhere
		}
		dir := installed(filepath.Join(root, "versions"), strings.TrimPrefix(v, "python-"))
		if dir == "" {
			return "", f.fail(NotFound, "pyenv install "+v, "%s is a pyenv shim, and version %q (%s) is not installed", shim, v, from)
		}
		at := filepath.Join(dir, "bin", command)
		if kind, _ := executable(at); kind == 0 {
			f.via("pyenv shim %s → %s (%s)", shim, at, from)
			return at, nil
		}
	}
	return "", f.fail(NotFound, "pyenv whence "+command,
		"%s is a pyenv shim, and %s (%s) has no %q", shim, strings.Join(versions, ", "), from, command)
}

// pyenvVersions returns the versions in force and the place that sets them.
func (f *finder) pyenvVersions(root string) (versions []string, from string) {
	if v := f.env.Vars["PYENV_VERSION"]; v != "" {
		return strings.Split(v, ":"), "PYENV_VERSION"
	}
	files := f.upward(".python-version")
	if dir := f.env.Vars["PYENV_DIR"]; dir != "" {
		there := &finder{env: FindEnv{Dir: dir}}
		files = append(there.upward(".python-version"), files...)
	}
	for _, file := range append(files, filepath.Join(root, "version")) {
		if versions = words(file); len(versions) > 0 {
			return versions, file
		}
	}
	return []string{"system"}, "no version file"
}

// words returns the words of a version file, without comments.
func words(file string) []string {
	var out []string
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		out = append(out, strings.Fields(line)...)
	}
	return out
}

// asdf resolves a shim. The shim names its plugin in "# asdf-plugin: NAME VERSION". The
// version is in ASDF_NAME_VERSION or the nearest .tool-versions; that of the home comes
// last.
func (f *finder) asdf(shim, root, command, head string) (string, error) {
	var plugins []string
	for line := range strings.Lines(head) {
		if rest, ok := strings.CutPrefix(line, "# asdf-plugin: "); ok {
			if plugin, _, _ := strings.Cut(strings.TrimSpace(rest), " "); !slices.Contains(plugins, plugin) {
				plugins = append(plugins, plugin)
			}
		}
	}
	for _, plugin := range plugins {
		versions, from := f.toolVersions(plugin, cmp.Or(f.env.Vars["ASDF_DEFAULT_TOOL_VERSIONS_FILENAME"], ".tool-versions"))
		for _, v := range versions {
			if v == "system" {
				return "", errElsewhere
			}
			dir := filepath.Join(root, "installs", plugin, strings.Replace(v, "ref:", "ref-", 1))
			if path, ok := strings.CutPrefix(v, "path:"); ok {
				dir = path
			}
			if at := inBin(dir, command); at != "" {
				f.via("asdf shim %s → %s (%s)", shim, at, from)
				return at, nil
			}
		}
		if len(versions) > 0 {
			return "", f.fail(NotFound, "asdf install "+plugin+" "+versions[0],
				"%s is an asdf shim, and %s %s (%s) is not installed", shim, plugin, strings.Join(versions, " "), from)
		}
	}
	return "", f.fail(NotFound, "asdf set --home "+cmp.Or(strings.Join(plugins, "|"), "PLUGIN")+" VERSION",
		"%s is an asdf shim, and no version is set for %s", shim, cmp.Or(strings.Join(plugins, " or "), "it"))
}

// toolVersions returns the versions of a plugin in force and the place that sets them.
func (f *finder) toolVersions(plugin, file string) (versions []string, from string) {
	variable := "ASDF_" + strings.ToUpper(strings.ReplaceAll(plugin, "-", "_")) + "_VERSION"
	if v := f.env.Vars[variable]; v != "" {
		return strings.Fields(v), variable
	}
	for _, at := range append(f.upward(file), f.below(file)) {
		b, err := os.ReadFile(at)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			line, _, _ = strings.Cut(line, "#")
			if w := strings.Fields(line); len(w) > 1 && w[0] == plugin {
				return w[1:], at
			}
		}
	}
	return nil, ""
}

// inBin looks for a command in the directories where an installed version keeps its
// executables.
func inBin(dir, command string) string {
	for _, sub := range []string{"bin", ".npm/bin", "go/bin", "shims", ""} {
		at := filepath.Join(dir, sub, command)
		if kind, _ := executable(at); kind == 0 {
			return at
		}
	}
	return ""
}

// installed returns the directory of a version: the one of that name, or the newest of
// which it is a prefix ("20" of v20.11.1), or "".
func installed(dir, version string) string {
	if version == "" || strings.Contains(version, "/") && !strings.Contains(version, "envs/") || version == ".." {
		return ""
	}
	for _, exact := range []string{version, "v" + version} {
		if info := host.Look(filepath.Join(dir, exact)); info.Dir {
			return filepath.Join(dir, exact)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	var fits []string
	for _, e := range entries {
		bare := strings.TrimPrefix(e.Name(), "v")
		if strings.HasPrefix(bare, strings.TrimPrefix(version, "v")+".") {
			fits = append(fits, e.Name())
		}
	}
	if len(fits) == 0 {
		return ""
	}
	return filepath.Join(dir, slices.MaxFunc(fits, compareVersions))
}

// compareVersions orders directory names as versions: number by number, and a release
// after its candidates.
func compareVersions(a, b string) int {
	x, y := versionParts(a), versionParts(b)
	for i := range min(len(x), len(y)) {
		n, errN := strconv.Atoi(x[i])
		m, errM := strconv.Atoi(y[i])
		switch {
		case errN == nil && errM == nil && n != m:
			return cmp.Compare(n, m)
		case errN == nil && errM != nil:
			return 1
		case errN != nil && errM == nil:
			return -1
		case errN != nil && x[i] != y[i]:
			return cmp.Compare(x[i], y[i])
		}
	}
	switch n := min(len(x), len(y)); {
	case len(x) > n && !isDigit(rune(x[n][0])): // a is b followed by "rc"
		return -1
	case len(y) > n && !isDigit(rune(y[n][0])):
		return 1
	}
	return cmp.Compare(len(x), len(y))
}

// versionParts splits a name into runs of digits and of letters.
func versionParts(s string) []string {
	var parts []string
	for i := 0; i < len(s); {
		kind := partKind(rune(s[i]))
		j := i + 1
		for j < len(s) && partKind(rune(s[j])) == kind {
			j++
		}
		if kind != 0 {
			parts = append(parts, s[i:j])
		}
		i = j
	}
	return parts
}

func partKind(r rune) int {
	switch {
	case isDigit(r):
		return 1
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z':
		return 2
	}
	return 0
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }
