package server

import (
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/catalog"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// Named is the server that a word names, for commands that show or change its stored
// files. None of them need exist.
type Named struct {
	Name    string // by which its log, its runs and its pins go
	Profile string // the word that loads its profile; "": it has none
	ByFile  bool   // it was named by a path, so that one of the same name is not meant
	Lock    string // its lock file; profile and pins lie beside it under the same name
}

// Named finds the server that a word names: a profile by its name; a profile, lock or
// pin file by its path; or a package by reference, which stands for the profile that it
// runs by.
func (c *Caller) Named(at user.Dirs, word string) (Named, error) {
	switch {
	case isRef(word):
		t, err := Words{Profile: word}.Target()
		if err != nil {
			return Named{}, err
		}
		return c.named(at, c.Name(at, t.Ref)), nil
	case isPath(word):
		return c.namedByPath(at, word)
	}
	return c.named(at, word), nil
}

// endings are those of the files that lie beside each other.
var endings = []string{".toml", ".lock", ".pins"}

// isPath reports whether a word is a file's path, and no name.
func isPath(word string) bool {
	return strings.Contains(word, "/") || slices.Contains(endings, filepath.Ext(word))
}

func (c *Caller) named(at user.Dirs, name string) Named {
	file, _, err := catalog.Loader(at)(name, "")
	if err != nil {
		return Named{Name: name, Lock: filepath.Join(at.Config, "profiles", name+".lock")}
	}
	return Named{Name: name, Profile: name, Lock: catalog.LockBeside(at, file, name)}
}

func (c *Caller) namedByPath(at user.Dirs, path string) (Named, error) {
	beside := path
	if ext := filepath.Ext(path); slices.Contains(endings, ext) {
		beside = strings.TrimSuffix(path, ext)
	}
	n := Named{Name: filepath.Base(beside), ByFile: true, Lock: beside + ".lock"}
	if !wholefile.Exists(beside + ".toml") {
		return n, nil
	}
	n.Profile = beside + ".toml"
	if !strings.Contains(n.Profile, "/") {
		n.Profile = "./" + n.Profile
	}
	profile, err := catalog.Profile(at, n.Profile)
	if err != nil {
		// The file identifies a profile with mistakes, too.
		profile = &policy.Profile{Name: n.Name, Sources: []policy.Source{{File: n.Profile}}}
	}
	n.Name, err = catalog.Identity(at, profile, true)
	return n, err
}

// LockFiles are the files of the locks that words name, or all of the user's.
func (c *Caller) LockFiles(at user.Dirs, words []string) ([]string, error) {
	if len(words) == 0 {
		return catalog.Locks(at), nil
	}
	var out []string
	for _, w := range words {
		n, err := c.Named(at, w)
		if err != nil {
			return nil, err
		}
		out = append(out, n.Lock)
	}
	return out, nil
}
