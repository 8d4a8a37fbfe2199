package server

import (
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/launch"
)

// pins returns the places of a server's pins: beside its profile, and its sightings in
// the state directory.
func (p *Prepared) pins() launch.PinFile {
	lock := p.lockFile()
	f := launch.PinFile{Name: p.Policy.Name, File: AbsolutePath(p.Dirs, strings.TrimSuffix(lock, ".lock")+".pins")}
	if p.Package.Name != "" {
		f.Lock = AbsolutePath(p.Dirs, lock)
	}
	f.Seen = launch.SeenFile(p.Dirs.State, f)
	return f
}

// lockFile is where the lock of the server's profile is, or would be.
func (p *Prepared) lockFile() string {
	file := ""
	if len(p.Policy.Sources) > 0 {
		file = p.Policy.Sources[0].File
	}
	return LockBeside(p.Dirs, file, p.Policy.Name)
}

// AbsolutePath is a path from where mcpen was started.
func AbsolutePath(at Dirs, file string) string {
	if filepath.IsAbs(file) || at.Cwd == "" {
		return file
	}
	return filepath.Join(at.Cwd, file)
}

// KnownPins are the pin files of this user's servers: those beside profiles, and
// those that a file of sightings names.
func KnownPins(at Dirs) []launch.PinFile {
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
func PinsOf(at Dirs, beside string) launch.PinFile {
	p := launch.PinFile{Name: filepath.Base(beside), File: beside + ".pins"}
	if Exists(beside + ".lock") {
		p.Lock = beside + ".lock"
	}
	p.Seen = launch.SeenFile(at.State, p)
	return p
}
