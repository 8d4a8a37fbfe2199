package server

import (
	"path/filepath"
	"strings"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/launch"
	"mcpen/sandbox/user"
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

// Listed returns the states of the definitions of a kind and name that the server's
// sessions kept.
func (p *Prepared) Listed(kind, name string) (states []string, err error) {
	pins, err := p.pins().Read()
	for _, d := range pins.Definitions {
		if string(d.Kind) == kind && d.Name == name {
			states = append(states, string(d.State))
		}
	}
	return states, err
}

// lockFile is where the lock of the server's profile is, or would be.
func (p *Prepared) lockFile() string {
	file := ""
	if len(p.Policy.Sources) > 0 {
		file = p.Policy.Sources[0].File
	}
	return catalog.LockBeside(p.Dirs, file, p.Policy.Name)
}

// AbsolutePath is a path from where mcpen was started.
func AbsolutePath(at user.Dirs, file string) string {
	if filepath.IsAbs(file) || at.Cwd == "" {
		return file
	}
	return filepath.Join(at.Cwd, file)
}
