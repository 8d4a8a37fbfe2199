package catalog

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/profiles"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// LockBeside is where the lock of a profile is: beside the file, or, for one
// that ships with mcpen, was never written, or is the machine's and has no lock
// there, among the user's own.
func LockBeside(at user.Dirs, profileFile, name string) string {
	if profileFile != "" && profileFile != Unwritten && !profiles.Ships(profileFile) {
		if _, err := os.Stat(profileFile); err == nil {
			beside := strings.TrimSuffix(profileFile, ".toml") + ".lock"
			if _, err := os.Stat(beside); err == nil || filepath.Dir(profileFile) != at.MachineProfiles() {
				return beside
			}
		}
	}
	return filepath.Join(at.Config, "profiles", name+".lock")
}

// KnownPins are the pin files of this user's servers: those beside profiles, and
// those that a file of sightings names.
func KnownPins(at user.Dirs) []launch.PinFile {
	var out []launch.PinFile
	add := func(p launch.PinFile) {
		if !slices.ContainsFunc(out, func(have launch.PinFile) bool { return have.File == p.File }) {
			out = append(out, p)
		}
	}
	for _, pattern := range []string{"*.lock", "*.pins"} {
		files, _ := filepath.Glob(filepath.Join(at.Config, "profiles", pattern)) // the pattern is good
		for _, file := range files {
			add(PinsOf(at, strings.TrimSuffix(file, filepath.Ext(file))))
		}
	}
	files, _ := filepath.Glob(filepath.Join(at.State, "seen", "*", "seen.json")) // the pattern is good
	for _, file := range files {
		if s, err := launch.ReadSightings(file); err == nil && launch.SeenFile(at.State, s.PinFile) == file {
			s.PinFile.Seen = file
			add(s.PinFile)
		}
	}
	return out
}

// PinsOf are the pins of a profile, given its file without the ending.
func PinsOf(at user.Dirs, beside string) launch.PinFile {
	p := launch.PinFile{Name: filepath.Base(beside), File: beside + ".pins"}
	if wholefile.Exists(beside + ".lock") {
		p.Lock = beside + ".lock"
	}
	p.Seen = launch.SeenFile(at.State, p)
	return p
}

// Locks are the files of all of the user's locks.
func Locks(at user.Dirs) []string {
	files, _ := filepath.Glob(filepath.Join(at.Config, "profiles", "*.lock")) // the pattern is good
	return files
}
