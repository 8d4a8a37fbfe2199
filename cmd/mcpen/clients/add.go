package clients

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"mcpen/sandbox/wholefile"
)

// Add writes a new server into a client's file, and makes the file if there is none. It
// changes nothing else in the file.
func Add(p Place, server string, command []string) (Change, error) {
	if _, err := os.Lstat(p.Path); errors.Is(err, fs.ErrNotExist) {
		return p.first(server, command)
	}
	return Apply(p, func() (Change, error) {
		out := Change{Path: p.Path}
		data, f, err := p.load()
		if err != nil {
			return out, err
		}
		next, err := f.add(server, command)
		if err != nil {
			return out, err
		}
		out.Before, out.After = data, next.bytes()
		return out, nil
	})
}

// first makes the file for its first server.
func (p Place) first(server string, command []string) (Change, error) {
	out := Change{Path: p.Path}
	if err := p.Refused(); err != nil {
		return out, err
	}
	empty := map[format]string{formatJSON: "{}\n"}[p.format]
	f, err := parseFile(p.format, p.shapes, []byte(empty))
	if err != nil {
		return out, err
	}
	if f, err = f.add(server, command); err != nil {
		return out, err
	}
	if err := os.MkdirAll(filepath.Dir(p.Path), 0o755); err != nil {
		return out, err
	}
	out.After = f.bytes()
	return out, wholefile.Create(p.Path, out.After, 0o600)
}

// add returns the file with one more server. It verifies that nothing else changes.
func (f file) add(server string, command []string) (file, error) {
	if _, err := f.entry(server, ""); err == nil {
		return file{}, fmt.Errorf("it has a server %q already", server)
	}
	put, err := f.putServer(server, command)
	if err != nil {
		return file{}, err
	}
	out, err := f.with([]edit{put})
	if err != nil {
		return file{}, err
	}
	e, err := out.entry(server, "")
	if err != nil || strings.Join(e.Command, "\x00") != strings.Join(command, "\x00") {
		return file{}, errMore
	}
	before, after := f.entries(), out.entries()
	if len(after) != len(before)+1 || !contains(out.root, f.root, f.shapes[0].at) {
		return file{}, errMore
	}
	return out, nil
}

// contains reports whether one tree holds everything in another one, and more only
// below the keys at.
func contains(more, less *node, at []string) bool {
	if len(at) == 0 || more.kind != kindObject || less.kind != kindObject {
		return within(more, less)
	}
	for _, m := range less.members {
		now := more.get(m.key)
		if now == nil || m.key == at[0] && !contains(now, m.value, at[1:]) || m.key != at[0] && !same(now, m.value) {
			return false
		}
	}
	return len(more.members) <= len(less.members)+1
}

// within reports whether the servers of one tree are those of another one, as they were.
func within(more, less *node) bool {
	for _, m := range less.members {
		if now := more.get(m.key); now == nil || !same(now, m.value) {
			return false
		}
	}
	for _, item := range less.items {
		found := false
		for _, now := range more.items {
			found = found || same(now, item)
		}
		if !found {
			return false
		}
	}
	return true
}

// putServer is the edit that adds a server.
func (f file) putServer(server string, command []string) (edit, error) {
	s := f.shapes[0]
	switch f.format {
	case formatTOML:
		end := len(f.data)
		text := s.toml(server, command)
		if end > 0 {
			text = "\n" + text
		}
		if end > 0 && f.data[end-1] != '\n' {
			text = "\n" + text
		}
		return edit{end, end, strings.ReplaceAll(text, "\n", newline(f.data))}, nil
	case formatYAML:
		return f.putYAML(s, server, command)
	}
	return f.putJSON(s, server, command)
}

// putJSON adds a member to the deepest object on the way that is there.
func (f file) putJSON(s shape, server string, command []string) (edit, error) {
	n, keys := f.root, s.at
	for len(keys) > 0 && n.get(keys[0]) != nil {
		n, keys = n.get(keys[0]), keys[1:]
	}
	if n.kind != kindObject {
		return edit{}, errors.New("its servers are no object")
	}
	text := s.json(command)
	for i := len(keys) - 1; i >= 0; i-- {
		text, server = "{"+quoteJSON(server)+": "+text+"}", keys[i]
	}
	text = quoteJSON(server) + ": " + text
	if n.start < 0 { // an empty file
		return edit{0, len(f.data), "{" + text + "}\n"}, nil
	}
	if len(n.members) == 0 {
		return edit{n.start + 1, n.start + 1, text}, nil
	}
	last := n.members[len(n.members)-1]
	return edit{last.value.end, last.value.end, "," + blanksBefore(f.data, last.start) + text}, nil
}

// json is a server as JSON.
func (s shape) json(command []string) string {
	var b strings.Builder
	for _, m := range s.members(command) {
		fmt.Fprintf(&b, ", %s: %s", quoteJSON(m[0]), m[1])
	}
	return "{" + strings.TrimPrefix(b.String(), ", ") + "}"
}

// members are the keys of a new server and their values, as JSON, which TOML and YAML
// read as well.
func (s shape) members(command []string) [][2]string {
	words := make([]string, len(command))
	for i, w := range command {
		words[i] = quoteJSON(w)
	}
	out := append([][2]string{}, s.with...)
	key, args, _ := s.keys()
	if s.whole {
		return append(out, [2]string{key, "[" + strings.Join(words, ", ") + "]"})
	}
	return append(out, [2]string{key, words[0]}, [2]string{args, "[" + strings.Join(words[1:], ", ") + "]"})
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// toml is a server as a table of TOML.
func (s shape) toml(server string, command []string) string {
	table := strings.Join(s.at, ".")
	var b strings.Builder
	if s.list {
		fmt.Fprintf(&b, "[[%s]]\nname = %s\n", table, quoteJSON(server))
	} else {
		if !bareKey.MatchString(server) {
			server = quoteJSON(server)
		}
		fmt.Fprintf(&b, "[%s.%s]\n", table, server)
	}
	for _, m := range s.members(command) {
		fmt.Fprintf(&b, "%s = %s\n", m[0], m[1])
	}
	return b.String()
}

// putYAML adds a server in front of the first one, or behind everything.
func (f file) putYAML(s shape, server string, command []string) (edit, error) {
	key := s.at[0]
	servers := f.root.get(key)
	if servers == nil {
		text := key + ":\n" + s.yaml("  ", server, command)
		if n := len(f.data); n > 0 && f.data[n-1] != '\n' {
			text = "\n" + text
		}
		return edit{len(f.data), len(f.data), strings.ReplaceAll(text, "\n", newline(f.data))}, nil
	}
	at := -1
	switch {
	case !servers.block || servers.fixed != "":
	case servers.kind == kindObject && len(servers.members) > 0:
		at = servers.members[0].start
	case servers.kind == kindList && len(servers.items) > 0:
		at = servers.start
	}
	if at < 0 {
		return edit{}, fmt.Errorf("its %s are not written with a line for each", key)
	}
	line := bytes.LastIndexByte(f.data[:at], '\n') + 1
	indent := string(f.data[line:at])
	if strings.Trim(indent, " ") != "" {
		return edit{}, fmt.Errorf("its %s are not written with a line for each", key)
	}
	return edit{line, line, strings.ReplaceAll(s.yaml(indent, server, command), "\n", newline(f.data))}, nil
}

// yaml is a server as lines of YAML.
func (s shape) yaml(indent, server string, command []string) string {
	var b strings.Builder
	if s.list {
		fmt.Fprintf(&b, "%s- name: %s\n", indent, quoteJSON(server))
	} else {
		fmt.Fprintf(&b, "%s%s:\n", indent, quoteJSON(server))
	}
	for _, m := range s.members(command) {
		fmt.Fprintf(&b, "%s  %s: %s\n", indent, m[0], m[1])
	}
	return b.String()
}
