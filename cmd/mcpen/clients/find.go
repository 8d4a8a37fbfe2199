package clients

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Scope says who uses a file.
type Scope string

// The scopes.
const (
	User    Scope = "user"
	Project Scope = "project" // everybody who works on a repository
	Machine Scope = "machine" // everybody on this machine
)

// Roots are where clients look for their files.
type Roots struct {
	Home    string
	Config  string // XDG_CONFIG_HOME, or ~/.config
	Project string // a repository; "" for none
	Env     func(string) string
}

// Place is a file that a client may have.
type Place struct {
	Client *Client
	Path   string
	Scope  Scope
	Pack   string // "Flatpak" or "Snap": the client runs in one

	format format
	shapes []shape
}

// Places are the files of the clients that are there. Names are those of clients;
// without any it looks for all of them.
func Places(r Roots, names []string) []Place {
	var out []Place
	for i := range knownClients {
		c := &knownClients[i]
		if len(names) > 0 && !slices.Contains(names, c.Name) {
			continue
		}
		for _, s := range c.places {
			for _, path := range s.paths(c, r) {
				p := Place{Client: c, Path: path.name, Scope: path.scope, Pack: path.pack, format: s.format, shapes: s.shapes}
				if there(p.Path) && !slices.ContainsFunc(out, func(o Place) bool { return o.Path == p.Path }) {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// there reports whether a path names something, if only a link to nothing.
func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Home is where a client keeps a user's servers: the first of its files that is there,
// or else the first that there could be.
func Home(r Roots, name string) (Place, error) {
	c, err := Named(name)
	if err != nil {
		return Place{}, err
	}
	r.Project = ""
	var first *Place
	for _, s := range c.places {
		for _, path := range s.paths(c, r) {
			p := Place{Client: c, Path: path.name, Scope: path.scope, Pack: path.pack, format: s.format, shapes: s.shapes}
			if p.Scope != User || p.Pack != "" {
				continue
			}
			if there(p.Path) {
				return p, nil
			}
			if first == nil && !strings.Contains(s.path, "*") {
				first = &p
			}
		}
	}
	if first == nil {
		return Place{}, fmt.Errorf("%s has no file of the user's", c.Title)
	}
	return *first, nil
}

// Named is the client of a name.
func Named(name string) (*Client, error) {
	for i := range knownClients {
		if knownClients[i].Name == name {
			return &knownClients[i], nil
		}
	}
	return nil, fmt.Errorf("there is no client %q", name)
}

// Names are the names of the clients.
func Names() []string {
	out := make([]string, len(knownClients))
	for i, c := range knownClients {
		out[i] = c.Name
	}
	return out
}

// found is a path and its meaning.
type found struct {
	name  string
	scope Scope
	pack  string
}

// paths returns the files that a spot names on this machine.
func (s spot) paths(c *Client, r Roots) []found {
	kind, rest, _ := strings.Cut(s.path, "/")
	switch {
	case kind == "":
		return globbed(s.path, Machine, "")
	case kind == "project":
		if r.Project == "" {
			return nil
		}
		return globbed(filepath.Join(r.Project, rest), Project, "")
	case r.Home == "":
		return nil
	case kind == "config":
		out := globbed(filepath.Join(r.Config, rest), User, "")
		for _, id := range c.flatpaks {
			out = append(out, globbed(filepath.Join(r.Home, ".var/app", id, "config", rest), User, "Flatpak")...)
		}
		for _, id := range c.snaps {
			out = append(out, globbed(filepath.Join(r.Home, "snap", id, "current/.config", rest), User, "Snap")...)
		}
		return out
	}
	if dir := s.moved(r); dir != "" {
		return globbed(filepath.Join(dir, filepath.Base(s.path)), User, "")
	}
	out := globbed(filepath.Join(r.Home, rest), User, "")
	for _, id := range c.flatpaks {
		out = append(out, globbed(filepath.Join(r.Home, ".var/app", id, rest), User, "Flatpak")...)
	}
	return out
}

// moved is the folder that a variable names instead.
func (s spot) moved(r Roots) string {
	if s.env == "" || r.Env == nil || !filepath.IsAbs(r.Env(s.env)) {
		return ""
	}
	return r.Env(s.env)
}

// globbed are the files of a pattern, or the one file of a path without one.
func globbed(pattern string, scope Scope, pack string) []found {
	if !strings.Contains(pattern, "*") {
		return []found{{pattern, scope, pack}}
	}
	names, _ := filepath.Glob(pattern) // the pattern is good
	out := make([]found, len(names))
	for i, n := range names {
		out[i] = found{n, scope, pack}
	}
	return out
}

// At returns the place at a path. It recognizes a client's file by the end of its path,
// and any other file by its content.
func At(path string) (Place, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Place{}, err
	}
	var best Place
	length := 0
	for i := range knownClients {
		for _, s := range knownClients[i].places {
			kind, end, _ := strings.Cut(s.path, "/")
			if ok, _ := filepath.Match("*/"+end, tail(abs, end)); ok && len(end) > length {
				scope := User
				if kind == "project" {
					scope = Project
				}
				best, length = Place{Client: &knownClients[i], Path: abs, Scope: scope, format: s.format, shapes: s.shapes}, len(end)
			}
		}
	}
	if length > 0 {
		return best, nil
	}
	return guess(abs)
}

// tail returns the last elements of a path, as many as like has. One more element
// replaces everything before them.
func tail(abs, like string) string {
	parts := strings.Split(abs, "/")
	n := strings.Count(like, "/") + 1
	if len(parts) <= n {
		return ""
	}
	return "x/" + strings.Join(parts[len(parts)-n:], "/")
}

// unknown is who writes a file that no known client has.
var unknown = Client{Name: "file", Title: "a file"}

// guess returns a place for a file of no known client, from its extension and contents.
func guess(abs string) (Place, error) {
	p := Place{Client: &unknown, Path: abs, Scope: Project}
	switch filepath.Ext(abs) {
	case ".toml":
		p.format = formatTOML
	case ".yaml", ".yml":
		p.format = formatYAML
	case ".json", ".jsonc":
		p.format = formatJSON
	default:
		return p, fmt.Errorf("cannot tell what %q is: it is no file of a client, and neither .json, .toml nor .yaml", abs)
	}
	data, err := read(abs)
	if err != nil {
		return p, err
	}
	for _, shapes := range [][]shape{claudeShapes, codeShapes, zedShapes, codexShapes, continueShapes, opencodeShapes, crushShapes, gooseShapes, settingsShapes} {
		f, err := parseFile(p.format, shapes, data)
		if err != nil {
			return p, err
		}
		if slices.ContainsFunc(f.entries(), func(e Entry) bool { return len(e.Command) > 0 }) {
			p.shapes = shapes
			return p, nil
		}
	}
	p.shapes = plainShapes
	return p, nil
}

// read reads a regular file of a bounded size, which it does not wait for.
func read(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, short(err)
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	if st.Size() > maxFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	data, err := os.ReadFile(path)
	return data, short(err)
}

// short is an error without the path, which stands before it.
func short(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return fmt.Errorf("cannot %s it: %w", e.Op, e.Err)
	}
	return err
}
