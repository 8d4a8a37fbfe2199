package store

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"mcpen/sandbox/pack"
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

// readManifest reads the text that write wrote.
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

// Hash is the tree's identity: "sha256:" and the hash of the manifest's text without
// derived files.
func (m manifest) Hash() string { return pack.Hash(m.locked().text()) }

// text is the text that write writes.
func (m manifest) text() []byte {
	var b bytes.Buffer
	if err := m.write(&b); err != nil {
		panic("internal error: a buffer that cannot be written to: " + err.Error())
	}
	return b.Bytes()
}

// locked is the part of a manifest that a lock holds, rest the other part.
func (m manifest) locked() manifest { return m.part(false) }

func (m manifest) rest() manifest { return m.part(true) }

func (m manifest) part(derived bool) manifest {
	var out manifest
	for _, e := range m {
		if derived == (e.kind == kindDerived || e.kind == kindDir && path.Base(e.path) == "__pycache__") {
			out = append(out, e)
		}
	}
	return out
}

// bytes is the total size of a tree's files.
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
