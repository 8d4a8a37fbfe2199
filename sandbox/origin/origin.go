package origin

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/profiles"
	"mcpen/sandbox/host"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Foreign says why a file is not the person's own configuration but may come from
// another author: "it is in the repository /x". It is "" for a profile that mcpen
// carries, for the configuration of the user and of the machine, and for a file of the
// user's that lies in no project, was not unpacked with one, and was writable for no
// server.
func Foreign(at user.Dirs, file string) string {
	_, why := ForeignWay(at, file)
	return why
}

// ForeignWay is Foreign, with the path in question: that of the file itself or of a
// symlink that leads to it.
func ForeignWay(at user.Dirs, file string) (way, why string) {
	if profiles.Ships(file) {
		return "", ""
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(at.Cwd, file)
	}
	ways := []string{RealFile(at, file)}
	for _, l := range host.Look(file).Links {
		ways = append(ways, l.Path)
	}
	for _, way := range ways {
		if why := foreignAt(at, way); why != "" {
			return way, why
		}
	}
	return "", ""
}

// foreignAt is Foreign for a path without symlinks on the way to its last element.
func foreignAt(at user.Dirs, file string) string {
	for _, own := range []string{at.Login.Config, at.Machine} {
		if real := host.Look(own).Real; real != "" && strings.HasPrefix(file, real+"/") && !mutable(file) {
			return ""
		}
	}
	if top := host.Repository(file, at.Login.Home, at.Home); top != "" {
		return "it is in the repository " + top
	}
	if top := handedOut(file, at.Login.Home, at.Home); top != "" {
		return "it is in a project that may be somebody else's, " + top
	}
	if dir := downloads(at); dir != "" && strings.HasPrefix(file, dir+"/") {
		return "it was downloaded to " + dir
	}
	for _, g := range Grounds(at, "") {
		if strings.HasPrefix(file, g.Dir+"/") {
			return "it is in " + g.Dir + ", which a server was given to write"
		}
	}
	if mutable(file) {
		return "another user could have written it"
	}
	return ""
}

// handedOut is the innermost folder around a file that looks like a distributed
// project: an unpacked archive has no mark of version control. Homes are none, and
// neither is a folder above one, or above a folder of everybody's.
func handedOut(file string, homes ...string) string {
	for dir := filepath.Dir(file); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		everybodys := err == nil && info.Mode()&os.ModeSticky != 0 && info.Mode().Perm()&0o002 != 0
		if everybodys || slices.ContainsFunc(homes, func(h string) bool { return h != "" && host.Look(h).Real == dir }) {
			return ""
		}
		if slices.ContainsFunc(handedOutMarks, func(mark string) bool { return wholefile.Exists(filepath.Join(dir, mark)) }) {
			return dir
		}
	}
	return ""
}

// handedOutMarks are files in the top folder of a project made for distribution: its
// licence and readme, files for hosts of repositories, and those of package managers
// and clients.
var handedOutMarks = []string{
	"LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "COPYING", "README", "README.md", "README.rst", "README.txt",
	".gitignore", ".gitattributes", ".gitmodules", ".github", ".gitlab-ci.yml",
	"package.json", "pyproject.toml", "setup.py", "setup.cfg", "PKG-INFO", "go.mod", "Cargo.toml", "pom.xml", "build.gradle",
	"build.gradle.kts", "Gemfile", "composer.json", "mix.exs", "deno.json", "server.json", "manifest.json", "Dockerfile", "Makefile",
	".vscode", ".cursor", ".claude", ".devcontainer", "CLAUDE.md", "AGENTS.md",
}

// downloads is the folder into which this user's programs download, without symlinks.
func downloads(at user.Dirs) string {
	name := filepath.Join(at.Login.Home, "Downloads")
	text, _ := wholefile.Read(filepath.Join(at.Login.Home, ".config/user-dirs.dirs"), policy.MaxFile) // none: the default
	for line := range strings.Lines(string(text)) {
		value, ok := strings.CutPrefix(strings.TrimSpace(line), "XDG_DOWNLOAD_DIR=")
		if !ok {
			continue
		}
		value = strings.Trim(value, `"`)
		if rest, ok := strings.CutPrefix(value, "$HOME"); ok {
			value = at.Login.Home + rest
		}
		name = value
	}
	if f := host.Look(name); f.Exists && f.Real != host.Look(at.Login.Home).Real {
		return f.Real
	}
	return ""
}

// Repository is the top of the project that a path lies in, or "".
func Repository(at user.Dirs, path string) string {
	if path == "" {
		return ""
	}
	return host.Repository(RealFile(at, path), at.Login.Home, at.Home)
}

// mutable reports whether another user than this one and root could have written a
// file, or put it in its folder.
func mutable(file string) bool {
	theirs := func(st unix.Stat_t, all bool) bool {
		return st.Uid != 0 && int(st.Uid) != os.Geteuid() || all
	}
	var st unix.Stat_t
	if unix.Lstat(file, &st) == nil && st.Mode&unix.S_IFMT != unix.S_IFLNK && theirs(st, st.Mode&0o002 != 0) {
		return true
	}
	dir := filepath.Dir(file)
	return unix.Stat(dir, &st) == nil && theirs(st, st.Mode&0o002 != 0 && st.Mode&unix.S_ISVTX == 0)
}

// RealFile is a file's path without symlinks, as far as it exists.
func RealFile(at user.Dirs, file string) string {
	if !filepath.IsAbs(file) {
		file = filepath.Join(at.Cwd, file)
	}
	rest := ""
	for dir := filepath.Clean(file); ; dir = filepath.Dir(dir) {
		if f := host.Look(dir); f.Exists {
			return filepath.Join(f.Real, rest)
		} else if dir == "/" {
			return filepath.Clean(file)
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

// Project is the project of a file, or its folder if it is in none.
func Project(at user.Dirs, file string) string {
	if top := Repository(at, file); top != "" {
		return top
	}
	if top := handedOut(file, at.Login.Home, at.Home); top != "" {
		return top
	}
	return filepath.Dir(file)
}
