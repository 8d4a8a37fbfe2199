package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// MaxLinks is how many symlinks a path may have, as in the kernel (path_resolution(7)).
const MaxLinks = 40

// Look returns the facts about an absolute path, with every symlink on the way. A path
// that does not exist is no error: Exists is false and Err is empty. Look does not set
// Below.
func Look(path string) plan.PathFact {
	var fact plan.PathFact
	if !filepath.IsAbs(path) {
		fact.Err = "not an absolute path"
		return fact
	}
	real, links, err := Resolve(path)
	fact.Links = links
	if err != nil {
		fact.Err = reason(err)
		return fact
	}
	info, err := os.Lstat(real)
	if err != nil {
		fact.Err = reason(err)
		return fact
	}
	fact.Exists, fact.Real = true, real
	fact.Dir = info.IsDir()
	fact.Socket = info.Mode()&fs.ModeSocket != 0
	return fact
}

// reason is a file system error as the Err of a fact, "" if the file does not exist.
func reason(err error) string {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return ""
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return fmt.Sprintf("%s %q: %s", pe.Op, pe.Path, name(pe.Err))
	}
	return err.Error()
}

// Resolve follows an absolute path component by component. Each link's Path is the
// link's own place with every symlink before it resolved, so a caller that makes the
// links again, in order, makes the path work elsewhere. The error is of the first
// component that Resolve could not look at; Resolve returns the links before it, too.
func Resolve(path string) (real string, links []plan.Link, err error) {
	rest := strings.Split(filepath.Clean(path), "/")
	real = "/"
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			real = filepath.Dir(real)
			continue
		}
		next := filepath.Join(real, part)
		info, err := os.Lstat(next)
		if err != nil {
			return "", links, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			if !info.IsDir() && len(rest) > 0 {
				return "", links, &fs.PathError{Op: "lstat", Path: next, Err: unix.ENOTDIR}
			}
			real = next
			continue
		}
		if len(links) == MaxLinks {
			return "", links, &fs.PathError{Op: "lstat", Path: path, Err: unix.ELOOP}
		}
		text, err := os.Readlink(next)
		if err != nil {
			return "", links, err
		}
		links = append(links, plan.Link{Path: next, Text: text})
		if filepath.IsAbs(text) {
			real = "/"
		}
		rest = append(strings.Split(text, "/"), rest...)
	}
	return real, links, nil
}

// Exists reports whether a path exists, symlinks followed. It is false on any error.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
