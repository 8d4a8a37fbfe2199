package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/profiles"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// BaselineName is the file name of a baseline.
const BaselineName = "baseline.toml"

// baselineFile is the machine's baseline.
func baselineFile(at user.Dirs) string { return filepath.Join(at.Machine, BaselineName) }

// Profile reads and parses a profile, by name or path.
func Profile(at user.Dirs, word string) (*policy.Profile, error) {
	load := Loader(at)
	file, data, err := load(word, "")
	if err != nil {
		return nil, NoProfile(at, word, err)
	}
	return policy.Parse(file, data, load)
}

// Baselines returns the machine's, if there is one, and the one on the command line.
// Both hold: a command line, which may be a repository's, only narrows.
func Baselines(at user.Dirs, named string) ([]*policy.Profile, error) {
	var out []*policy.Profile
	for _, file := range []string{baselineFile(at), named} {
		if file == "" || file == baselineFile(at) && len(out) > 0 {
			continue
		}
		file = FileName(file)
		data, err := wholefile.Read(file, policy.MaxFile)
		if errors.Is(err, fs.ErrNotExist) && file != named {
			continue
		}
		if err != nil {
			return nil, &launch.Error{Code: launch.ExitRefused, Err: fmt.Errorf("cannot read the baseline: %w", err)}
		}
		p, err := policy.ParseBaseline(file, data, Loader(at))
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// Loader finds profiles: by path, or by name in the user's own, the machine's
// and those that ship. A user's profile may extend a shipped one of its own
// name.
func Loader(at user.Dirs) policy.Loader {
	return func(ref, from string) (string, []byte, error) {
		if strings.Contains(ref, "/") || strings.HasSuffix(ref, ".toml") {
			if !filepath.IsAbs(ref) && from != "" {
				ref = filepath.Join(filepath.Dir(from), ref)
			}
			ref = FileName(ref)
			data, err := wholefile.Read(ref, policy.MaxFile)
			return ref, data, err
		}
		for _, dir := range []string{at.Config, at.Machine} {
			file := filepath.Join(dir, "profiles", ref+".toml")
			if dir == "" || file == from {
				continue
			}
			data, err := wholefile.Read(file, policy.MaxFile)
			if !errors.Is(err, fs.ErrNotExist) {
				return file, data, err
			}
		}
		if data, ok := profiles.Read(ref); ok {
			return profiles.File(ref), data, nil
		}
		return "", nil, fmt.Errorf("there is no profile of that name")
	}
}

// Names are the names that Loader knows, sorted.
func Names(at user.Dirs) []string {
	names := profiles.Names()
	for _, dir := range []string{at.Config, at.Machine} {
		files, _ := filepath.Glob(filepath.Join(dir, "profiles", "*.toml")) // the pattern is good
		for _, f := range files {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".toml"))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// NoProfile is the error of a profile that cannot be read.
func NoProfile(at user.Dirs, name string, err error) error {
	hint := policy.DidYouMean(name, Names(at))
	if hint == "" {
		hint = "mcpen profile list"
	}
	return launch.Usage(hint, "cannot read the profile %q: %v", name, err)
}

// FileName is the path of a file of this machine, unlike that of any profile that
// mcpen carries.
func FileName(path string) string {
	if profiles.Ships(path) {
		return "./" + path
	}
	return path
}

// OwnNames are the names of servers that are the person's: profiles, locks and pins of
// the user's and of the machine's configuration, and profiles that mcpen carries.
func OwnNames(at user.Dirs) []string {
	names := Names(at)
	for _, dir := range []string{at.Config, at.Login.Config, at.Machine} {
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

// ReadProfile reads a file that is to be a profile.
func ReadProfile(name string) ([]byte, error) { return wholefile.Read(name, policy.MaxFile) }
