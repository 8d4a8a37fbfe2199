package pack

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// entryKind is one letter of a manifest line.
type entryKind byte

const (
	kindDir     entryKind = 'd'
	kindFile    entryKind = 'f'
	kindExec    entryKind = 'x' // a file that can be executed
	kindLink    entryKind = 'l'
	kindDerived entryKind = 'c' // a compiled file that is no part of the tree's hash
)

// entry is one line of a manifest.
type entry struct {
	kind entryKind
	path string // relative, slashes
	size int64
	data string // hash of a file in hex, text of a symlink
}

// manifest lists everything in a tree, sorted by path.
type manifest []entry

// badTree is an error about one path of a tree.
func badTree(rel, format string, args ...any) error {
	return fmt.Errorf("cannot accept %q from the package: %s", rel, fmt.Sprintf(format, args...))
}

// scanTree reads a directory that nobody writes to any more and refuses what no
// package has business with: devices, sockets, hard links, setuid, symlinks out
// of the tree, names that do not print, more than the limits allow. The hashes
// are filled in only with content.
func scanTree(root string, lim Limits, content bool) (manifest, error) {
	lim = lim.filled()
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
			return fmt.Errorf("cannot accept the package: more than %d files", lim.Files)
		}
		e, err := scanEntry(p, rel, d, lim)
		if err != nil {
			return err
		}
		if total += e.size; total > lim.Bytes {
			return fmt.Errorf("cannot accept the package: more than %d bytes", lim.Bytes)
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

func scanEntry(p, rel string, d fs.DirEntry, lim Limits) (entry, error) {
	if err := checkPath(rel, lim.Path); err != nil {
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
		if err := checkPath(e.data, lim.Path); err != nil && !strings.HasPrefix(e.data, "/") {
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

// checkPath holds a relative path to what prints and fits.
func checkPath(rel string, limit int) error {
	if rel == "" || len(rel) > limit {
		return badTree(rel, "the path is empty or longer than %d bytes", limit)
	}
	if !utf8.ValidString(rel) {
		return badTree(rel, "the name is not UTF-8")
	}
	for _, r := range rel {
		if unicode.IsControl(r) || r == '\\' || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r) {
			return badTree(rel, "the name has a character (%U) that no file name needs", r)
		}
	}
	return nil
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

// write gives the manifest's text: one line an entry, kind, size, data, path.
func (m manifest) write(w io.Writer) error {
	b := bufio.NewWriter(w)
	for _, e := range m {
		b.WriteByte(byte(e.kind))
		b.WriteByte(' ')
		b.WriteString(strconv.FormatInt(e.size, 10))
		b.WriteByte(' ')
		b.WriteString(strconv.Quote(e.data))
		b.WriteByte(' ')
		b.WriteString(e.path)
		b.WriteByte('\n')
	}
	return b.Flush()
}

// readManifest reads what write wrote.
func readManifest(data []byte) (manifest, error) {
	var m manifest
	for len(data) > 0 {
		line, rest, ok := bytes.Cut(data, []byte("\n"))
		data = rest
		e, err := readEntry(string(line))
		if err != nil || !ok {
			return nil, fmt.Errorf("cannot read manifest line %d", len(m)+1)
		}
		m = append(m, e)
	}
	return m, nil
}

func readEntry(line string) (entry, error) {
	bad := fmt.Errorf("bad line")
	if len(line) < 2 || line[1] != ' ' || !strings.ContainsRune("dfxlc", rune(line[0])) {
		return entry{}, bad
	}
	size, rest, ok := strings.Cut(line[2:], " ")
	n, err := strconv.ParseInt(size, 10, 64)
	if !ok || err != nil {
		return entry{}, bad
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return entry{}, bad
	}
	data, err := strconv.Unquote(quoted)
	if err != nil || len(rest) < len(quoted)+2 {
		return entry{}, bad
	}
	return entry{entryKind(line[0]), rest[len(quoted)+1:], n, data}, nil
}

// Hash is the tree's identity: "sha256:" and the hash of the manifest's text
// without what is derived.
func (m manifest) Hash() string { return textHash(m.locked().text()) }

// text is what write writes.
func (m manifest) text() []byte {
	var b bytes.Buffer
	if err := m.write(&b); err != nil {
		panic("internal error: a buffer that cannot be written to: " + err.Error())
	}
	return b.Bytes()
}

func textHash(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// locked is the part of a manifest that a lock holds, rest the other part.
func (m manifest) locked() manifest { return m.part(false) }
func (m manifest) rest() manifest   { return m.part(true) }

func (m manifest) part(derived bool) manifest {
	var out manifest
	for _, e := range m {
		if derived == (e.kind == kindDerived || e.kind == kindDir && path.Base(e.path) == "__pycache__") {
			out = append(out, e)
		}
	}
	return out
}

// bytes is what the files of a tree add up to.
func (m manifest) bytes() int64 {
	var n int64
	for _, e := range m {
		n += e.size
	}
	return n
}

// difference names the first path in which two manifests differ.
func (m manifest) difference(have manifest) error {
	i, j := 0, 0
	for i < len(m) || j < len(have) {
		switch {
		case j == len(have) || i < len(m) && m[i].path < have[j].path:
			return fmt.Errorf("%q is missing", m[i].path)
		case i == len(m) || have[j].path < m[i].path:
			return fmt.Errorf("%q was added", have[j].path)
		case m[i] != have[j]:
			return fmt.Errorf("%q was changed", m[i].path)
		}
		i, j = i+1, j+1
	}
	return nil
}
