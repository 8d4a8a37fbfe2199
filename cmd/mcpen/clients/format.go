package clients

import (
	"bytes"
	"errors"
	"fmt"
)

// format is the language of a file.
type format string

const (
	formatJSON format = "json" // with comments
	formatTOML format = "toml"
	formatYAML format = "yaml"
)

var bom = []byte("\xef\xbb\xbf")

// parse reads a file without its byte order mark.
func (f format) parse(data []byte) (*node, error) {
	if err := shallow(data); err != nil {
		return nil, err
	}
	parser := map[format]func([]byte) (*node, error){formatJSON: parseJSON, formatTOML: parseTOML, formatYAML: parseYAML}[f]
	if parser == nil {
		return nil, fmt.Errorf("internal error: no format %q", f)
	}
	root, err := parser(data)
	if err != nil {
		return nil, err
	}
	return root, unique(root)
}

// file holds the parsed content of a client's file.
type file struct {
	format format
	shapes []shape
	mark   []byte // the byte order mark
	data   []byte // without it
	root   *node
}

func parseFile(f format, shapes []shape, data []byte) (file, error) {
	out := file{format: f, shapes: shapes, data: data}
	if rest, ok := bytes.CutPrefix(data, bom); ok {
		out.mark, out.data = bom, rest
	}
	var err error
	out.root, err = f.parse(out.data)
	return out, err
}

func (f file) entries() []Entry {
	var out []Entry
	seen := map[[2]string]bool{}
	for _, s := range f.shapes {
		for _, e := range s.entries(f.root) {
			id := [2]string{e.Server, e.Scope}
			if seen[id] {
				e.State, e.Why = Odd, "another one has its name"
			}
			seen[id] = true
			out = append(out, e)
		}
	}
	return out
}

// entry returns the entry with a name and a scope.
func (f file) entry(server, scope string) (Entry, error) {
	for _, e := range f.entries() {
		if e.Server == server && e.Scope == scope {
			return e, nil
		}
	}
	return Entry{}, fmt.Errorf("the server %q is not there any more", server)
}

var errMore = errors.New("more than its command and arguments would change")

// wrap returns the file with mcpen in front of an entry's command. It verifies that only
// this command and its arguments change, and that unwrap restores every byte.
func (f file) wrap(e Entry, mcpen string, words []string) (file, error) {
	edits, err := f.format.wrapEdits(f.data, e, mcpen, words)
	if err != nil {
		return file{}, err
	}
	out, err := f.with(edits)
	if err != nil {
		return file{}, err
	}
	now, err := out.entry(e.Server, e.Scope)
	if err != nil {
		return file{}, err
	}
	command := append(append([]string{mcpen}, words...), e.Command...)
	if err := f.onlyChanged(out, e, now, command); err != nil {
		return file{}, err
	}
	back, err := out.unwrapped(now)
	if err != nil {
		return file{}, fmt.Errorf("it could not be undone: %w", err)
	}
	if !bytes.Equal(back.data, f.data) {
		return file{}, errors.New("it could not be undone to the byte")
	}
	return out, nil
}

// unwrap returns the file with an entry's original command.
func (f file) unwrap(e Entry) (file, error) {
	out, err := f.unwrapped(e)
	if err != nil {
		return file{}, err
	}
	now, err := out.entry(e.Server, e.Scope)
	if err != nil {
		return file{}, err
	}
	return out, f.onlyChanged(out, e, now, e.Inner())
}

func (f file) unwrapped(e Entry) (file, error) {
	if e.State != Wrapped {
		return file{}, errors.New("it is not wrapped")
	}
	edits, err := f.format.unwrapEdits(f.data, e)
	if err != nil {
		return file{}, err
	}
	return f.with(edits)
}

func (f file) with(edits []edit) (file, error) {
	out := f
	out.data = apply(f.data, edits)
	var err error
	if out.root, err = f.format.parse(out.data); err != nil {
		return file{}, fmt.Errorf("the file would not parse any more: %w", err)
	}
	return out, nil
}

// onlyChanged returns an error unless two files differ in one entry's command alone, and
// in the right entry.
func (f file) onlyChanged(after file, was, is Entry, command []string) error {
	if len(is.Command) != len(command) {
		return errMore
	}
	for i := range command {
		if is.Command[i] != command[i] {
			return errMore
		}
	}
	before, err := f.blank(was)
	if err != nil {
		return err
	}
	now, err := after.blank(is)
	if err != nil {
		return err
	}
	if !same(before, now) {
		return errMore
	}
	return nil
}

// blank returns the tree without an entry's command and arguments. It parses the file
// again, because the caller may hold the first tree.
func (f file) blank(e Entry) (*node, error) {
	root, err := f.format.parse(f.data)
	if err != nil {
		return nil, err
	}
	f.root = root
	e, err = f.entry(e.Server, e.Scope)
	if err != nil {
		return nil, err
	}
	in := e.at.in
	var rest []member
	for _, m := range in.members {
		if m.key != e.at.command.key && m.key != e.at.argsKey {
			rest = append(rest, m)
		}
	}
	in.members = rest
	return root, nil
}

// bytes returns the file's bytes, with its byte order mark.
func (f file) bytes() []byte { return append(bytes.Clone(f.mark), f.data...) }
