package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/host"
)

// foreign says why a file is not the person's own configuration but may be what
// somebody else wrote: "it is in the repository /x". It is "" for a profile that mcpen
// carries, for the configuration of the user and of the machine, and for a file of
// the user's that lies in no project and that no server was given to write.
func foreign(at place, file string) string {
	if ships(file) {
		return ""
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(at.cwd, file)
	}
	ways := []string{realFile(at, file)}
	for _, l := range host.Look(file).Links {
		ways = append(ways, l.Path)
	}
	for _, way := range ways {
		if why := foreignAt(at, way); why != "" {
			return why
		}
	}
	return ""
}

// foreignAt is foreign for a path without symlinks on the way to its last element.
func foreignAt(at place, file string) string {
	for _, own := range []string{at.login.Config, machine} {
		if real := host.Look(own).Real; real != "" && strings.HasPrefix(file, real+"/") && !mutable(file) {
			return ""
		}
	}
	if top := host.Repository(file, at.login.Home, at.home); top != "" {
		return "it is in the repository " + top
	}
	for _, dir := range written(at) {
		if strings.HasPrefix(file, dir+"/") {
			return "it is in " + dir + ", which a server was given to write"
		}
	}
	if mutable(file) {
		return "another user could have written it"
	}
	return ""
}

// repositoryOf is the top of the project that a path lies in, or "".
func repositoryOf(at place, path string) string {
	if path == "" {
		return ""
	}
	return host.Repository(realFile(at, path), at.login.Home, at.home)
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

// realFile is a file's path without symlinks, as far as it exists.
func realFile(at place, file string) string {
	if !filepath.IsAbs(file) {
		file = filepath.Join(at.cwd, file)
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

// ownNames are the names of servers that are the person's: profiles, locks and pins of
// the user's and of the machine's configuration, and profiles that mcpen carries.
func ownNames(at place) []string {
	names := profileNames(at)
	for _, dir := range []string{at.config, at.login.Config, machine} {
		for _, pattern := range []string{"*.toml", "*.lock", "*.pins"} {
			files, _ := filepath.Glob(filepath.Join(dir, "profiles", pattern)) // the pattern is good
			for _, f := range files {
				names = append(names, strings.TrimSuffix(filepath.Base(f), filepath.Ext(f)))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
