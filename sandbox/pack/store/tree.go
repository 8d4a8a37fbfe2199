package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/pack"
)

// badTree is an error about one path of a tree.
func badTree(rel, format string, args ...any) error {
	return pack.Refuse("cannot accept %q from the package: %s", rel, fmt.Sprintf(format, args...))
}

// scanTree reads a directory that nobody writes to any more and refuses things that no
// package needs: devices, sockets, hard links, setuid, symlinks out of the tree, names
// that do not print, more than the limits allow. It fills in the hashes only with
// content.
func scanTree(root string, lim pack.Limits, content bool) (manifest, error) {
	lim = lim.Filled()
	var m manifest
	var total int64
	buf := make([]byte, 128<<10)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil || rel == "." {
			return err
		}
		if len(m) >= lim.Files {
			return pack.Refuse("cannot accept the package: more than %d files", lim.Files)
		}
		e, err := scanEntry(p, rel, d, lim)
		if err != nil {
			return err
		}
		if total += e.size; total > lim.Bytes {
			return pack.Refuse("cannot accept the package: more than %d bytes", lim.Bytes)
		}
		if content && (e.kind == kindFile || e.kind == kindExec) {
			if e.data, err = hashFile(p, e.size, buf); err != nil {
				return err
			}
		}
		if derived(rel) && e.kind == kindFile {
			e.kind = kindDerived
		}
		m = append(m, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	sort.Slice(m, func(i, j int) bool { return m[i].path < m[j].path })
	return m, m.checkLinks()
}

// derived is true for Python's compiled files. They are made from the sources
// after these were checked, and differ between builds of the same interpreter.
func derived(rel string) bool {
	return strings.HasSuffix(rel, ".pyc") && path.Base(path.Dir(rel)) == "__pycache__"
}

func scanEntry(p, rel string, d fs.DirEntry, lim pack.Limits) (entry, error) {
	if err := pack.CheckPath(rel, lim.Path); err != nil {
		return entry{}, err
	}
	info, err := d.Info()
	if err != nil {
		return entry{}, err
	}
	mode := info.Mode()
	if mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 {
		return entry{}, badTree(rel, "it is setuid, setgid or sticky")
	}
	e := entry{path: filepath.ToSlash(rel)}
	switch {
	case mode.IsDir():
		e.kind = kindDir
	case mode&fs.ModeSymlink != 0:
		e.kind = kindLink
		if e.data, err = os.Readlink(p); err != nil {
			return entry{}, err
		}
		if err := pack.CheckPath(e.data, lim.Path); err != nil && !strings.HasPrefix(e.data, "/") {
			return entry{}, badTree(rel, "its target is no clean path")
		}
	case mode.IsRegular():
		e.kind, e.size = kindFile, info.Size()
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
			return entry{}, badTree(rel, "it is a hard link")
		}
		if mode&0o111 != 0 {
			e.kind = kindExec
		}
	default:
		return entry{}, badTree(rel, "it is neither file, directory nor symlink (%s)", mode.Type())
	}
	return e, nil
}

// hashFile is the SHA-256 of a file that must have the size it had.
func hashFile(p string, size int64, buf []byte) (string, error) {
	f, err := os.OpenFile(p, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, io.LimitReader(f, size+1), buf)
	if err != nil {
		return "", err
	}
	if n != size {
		return "", fmt.Errorf("cannot read %q: it changed while it was read", p)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// checkLinks follows every symlink within the manifest, through other symlinks
// too, and refuses one that leaves the tree. A link to nothing is harmless: the
// tree is mounted read-only.
func (m manifest) checkLinks() error {
	links := map[string]string{}
	for _, e := range m {
		if e.kind == kindLink {
			links[e.path] = e.data
		}
	}
	for _, e := range m {
		if e.kind == kindLink {
			if err := followLink(links, e.path); err != nil {
				return badTree(e.path, "the symlink to %q %v", e.data, err)
			}
		}
	}
	return nil
}

// followLink walks a link as the kernel does (path_resolution(7)).
func followLink(links map[string]string, start string) error {
	at := path.Dir(start)
	todo := []string{path.Base(start)}
	for hops := 0; len(todo) > 0; {
		step := todo[0]
		todo = todo[1:]
		switch step {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return fmt.Errorf("leaves the tree")
			}
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, step)
		text, isLink := links[next]
		if !isLink {
			at = next
			continue
		}
		if hops++; hops > 40 {
			return fmt.Errorf("leads in a circle")
		}
		if strings.HasPrefix(text, "/") {
			return fmt.Errorf("is absolute")
		}
		todo = append(strings.Split(text, "/"), todo...)
	}
	return nil
}
