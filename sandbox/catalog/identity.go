package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/profiles"
	"mcpen/sandbox/host"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/origin"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// Unwritten is the file name of an empty profile that nobody wrote.
const Unwritten = "(no profile)"

// Identity is a profile's identity: its state, its log, its place in ps, its pins and
// its trust go by that, and not by the name that it gives itself. The identity of a
// profile in the person's own configuration is its name. So is that of another profile
// that was the first to have the name and is no repository's; it keeps the name. Any
// other identity is the name and a mark of the file: "notes@1f8e2a07". With look,
// identity keeps nothing.
func Identity(at user.Dirs, p *policy.Profile, look bool) (string, error) {
	if len(p.Sources) == 0 || p.Sources[0].File == Unwritten || profiles.Ships(p.Sources[0].File) {
		return p.Name, nil
	}
	file := origin.RealFile(at, p.Sources[0].File)
	sum := sha256.Sum256([]byte(file))
	apart := p.Name + "@" + hex.EncodeToString(sum[:4])
	why := origin.Foreign(at, p.Sources[0].File)
	switch {
	case configured(at, file) && why == "":
		if strings.TrimSuffix(filepath.Base(file), ".toml") != p.Name && slices.Contains(OwnNames(at), p.Name) {
			return apart, nil
		}
		return p.Name, nil
	case why != "" || at.State == "" || slices.Contains(OwnNames(at), p.Name):
		return apart, nil
	}
	first, err := claim(at, p.Name, file, look)
	if err != nil || !first {
		return apart, err
	}
	return p.Name, nil
}

// configured reports whether a file is in the configuration of the user or of the
// machine.
func configured(at user.Dirs, file string) bool {
	return slices.ContainsFunc([]string{at.Config, at.Login.Config, at.Machine}, func(dir string) bool {
		real := host.Look(dir).Real
		return real != "" && strings.HasPrefix(file, real+"/")
	})
}

// claim reports whether a profile is the one that has a name, which the first to come
// keeps for as long as it is there.
func claim(at user.Dirs, name, file string, look bool) (bool, error) {
	kept := filepath.Join(at.State, "origins", name)
	for range 3 {
		owner, err := os.Readlink(kept)
		switch {
		case err == nil && owner == file:
			return true, nil
		case err == nil && host.Look(owner).Exists:
			return false, nil
		case look:
			return true, nil
		case err == nil:
			err = os.Remove(kept) // the profile that had it is gone
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("cannot tell whose the name %q is: %w", name, err)
		}
		if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
			return false, nil // nothing can be kept here
		}
		// A symlink is made in one step, and only where nothing is.
		if err := os.Symlink(file, kept); err != nil && !errors.Is(err, fs.ErrExist) {
			return false, nil
		}
	}
	return false, nil
}

// Meant is the one server of several that a person means: by who it is, or by its
// name alone where only one has it.
func Meant(servers []string, name string) (string, error) {
	if slices.Contains(servers, name) {
		return name, nil
	}
	var found []string
	for _, s := range servers {
		if base, _, ok := strings.Cut(s, "@"); ok && base == name && !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	slices.Sort(found)
	switch len(found) {
	case 0:
		return name, nil
	case 1:
		return found[0], nil
	}
	return "", launch.Usage(found[0], "%q is the name of %d servers: %s", name, len(found), strings.Join(found, ", "))
}
