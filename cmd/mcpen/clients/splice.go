package clients

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// edit replaces the bytes from start to end.
type edit struct {
	start, end int
	text       string
}

// apply makes edits that do not overlap.
func apply(data []byte, edits []edit) []byte {
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	var b bytes.Buffer
	at := 0
	for _, e := range edits {
		b.Write(data[at:e.start])
		b.WriteString(e.text)
		at = e.end
	}
	b.Write(data[at:])
	return b.Bytes()
}

// wrapEdits returns the edits that put mcpen and its words in front of an entry's
// command.
//
// The command keeps its spelling and becomes the first word after "--". wrapEdits
// touches nothing else, so that unwrapEdits can restore all of it. If the entry had no
// list of arguments, wrapEdits puts one in front of the command, with nothing between
// its bracket and its first word; in an empty list it leaves a blank there.
func (f format) wrapEdits(data []byte, e Entry, mcpen string, words []string) ([]edit, error) {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quoteJSON(w)
	}
	c := e.at.command.value
	if e.at.argsKey == "" {
		put, err := prepend(data, c, append([]string{quoteJSON(mcpen)}, quoted...))
		return []edit{put}, err
	}
	raw, err := token(data, c, "the command")
	if err != nil {
		return nil, err
	}
	out := []edit{{c.start, c.end, quoteJSON(mcpen)}}
	quoted = append(quoted, raw)
	if e.at.args == nil {
		put, err := f.newList(data, e.at, quoted)
		return append(out, put), err
	}
	put, err := prepend(data, e.at.args.value, quoted)
	return append(out, put), err
}

// token is a scalar as it is written.
func token(data []byte, n *node, what string) (string, error) {
	if n.fixed != "" {
		return "", fmt.Errorf("%s cannot be changed: %s", what, n.fixed)
	}
	if n.start < 0 || n.end < n.start {
		return "", fmt.Errorf("%s cannot be changed: where it stands is not known", what)
	}
	return string(data[n.start:n.end]), nil
}

// newList writes a list of arguments in front of the command.
func (f format) newList(data []byte, at place, quoted []string) (edit, error) {
	m := at.command
	if at.in.fixed != "" {
		return edit{}, fmt.Errorf("there is no place for arguments: %s", at.in.fixed)
	}
	if m.lead < 0 || m.start < m.lead || m.end < m.start || m.value.start < m.end {
		return edit{}, errors.New("there is no place for arguments: where the command stands is not known")
	}
	key := at.argsKey
	if f == formatJSON || data[m.start] == '"' {
		key = quoteJSON(key)
	}
	key = string(data[m.lead:m.start]) + key
	between := string(data[m.end:m.value.start])
	if strings.Trim(between, " \t:=") != "" {
		between = map[format]string{formatJSON: ": ", formatTOML: " = ", formatYAML: ": "}[f]
	}
	next := ", "
	switch blanks := blanksBefore(data, m.lead); {
	case f == formatJSON:
		next = "," + blanks
	case f == formatTOML && at.in.block:
		next = newline(data) + strings.TrimLeft(blanks, "\r\n")
		if i := strings.LastIndexAny(blanks, "\r\n"); i >= 0 {
			next = newline(data) + blanks[i+1:]
		}
	case f == formatYAML && at.in.block:
		next = newline(data) + strings.Repeat(" ", column(data, m.lead))
	}
	return edit{m.lead, m.lead, key + between + "[" + strings.Join(quoted, ", ") + "]" + next}, nil
}

// blanksBefore is the white space in front of i.
func blanksBefore(data []byte, i int) string {
	start := i
	for start > 0 && strings.IndexByte(" \t\r\n", data[start-1]) >= 0 {
		start--
	}
	return string(data[start:i])
}

// column counts the characters of a line up to i.
func column(data []byte, i int) int {
	start := bytes.LastIndexAny(data[:i], "\r\n") + 1
	return len([]rune(string(data[start:i])))
}

// newline is the first line end of a file, or "\n".
func newline(data []byte) string {
	if i := bytes.IndexByte(data, '\n'); i > 0 && data[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// prepend puts words in front of a list.
func prepend(data []byte, list *node, quoted []string) (edit, error) {
	if list.fixed != "" {
		return edit{}, fmt.Errorf("the arguments cannot be changed: %s", list.fixed)
	}
	if list.block {
		return prependBlock(data, list, quoted)
	}
	if list.start < 0 || list.end < 0 || data[list.start] != '[' {
		return edit{}, errors.New("the arguments cannot be changed: where they stand is not known")
	}
	at := list.start + 1
	text := strings.Join(quoted, ", ")
	if len(list.items) == 0 {
		return edit{at, at, " " + text}, nil
	}
	gap := string(data[at:list.items[0].start])
	if i := strings.IndexByte(gap, '\n'); i >= 0 {
		end := "\n"
		if i > 0 && gap[i-1] == '\r' {
			end = "\r\n"
		}
		rest := gap[i+1:]
		return edit{at, at, end + rest[:len(rest)-len(strings.TrimLeft(rest, " \t"))] + text + ","}, nil
	}
	return edit{at, at, text + ", "}, nil
}

// prependBlock puts words in front of a list of YAML that has a line for each.
func prependBlock(data []byte, list *node, quoted []string) (edit, error) {
	if len(list.items) == 0 {
		return edit{}, errors.New("the arguments cannot be changed: where they stand is not known")
	}
	at, err := dash(data, list.items[0])
	if err != nil {
		return edit{}, err
	}
	line := bytes.LastIndexByte(data[:at], '\n') + 1
	indent := string(data[line:at])
	if strings.Trim(indent, " ") != "" {
		return edit{}, errors.New("the arguments cannot be changed: something else stands in front of the first one")
	}
	var b strings.Builder
	for _, q := range quoted {
		b.WriteString("- " + q + newline(data) + indent)
	}
	return edit{at, at, b.String()}, nil
}

// dash is where the "-" of an item stands.
func dash(data []byte, item *node) (int, error) {
	i := item.start - 1
	for i >= 0 && (data[i] == ' ' || data[i] == '\t') {
		i--
	}
	if i < 0 || data[i] != '-' || item.fixed != "" {
		return 0, errors.New("the arguments cannot be changed: the first one does not stand behind its dash")
	}
	return i, nil
}

// unwrapEdits returns the edits that undo wrapEdits, even after a client rewrote the
// file.
func (f format) unwrapEdits(data []byte, e Entry) ([]edit, error) {
	n := len(e.words)
	c := e.at.command.value
	if e.at.argsKey == "" {
		cut, err := drop(data, c, n+1)
		return []edit{cut}, err
	}
	list := e.at.args.value
	raw, err := token(data, list.items[n], "the command")
	if err != nil {
		return nil, err
	}
	if _, err := token(data, c, "the command"); err != nil {
		return nil, err
	}
	back := edit{c.start, c.end, raw}
	if len(list.items) == n+1 && e.at.fresh(data) {
		return []edit{back, {e.at.args.lead, e.at.command.lead, ""}}, nil
	}
	cut, err := drop(data, list, n+1)
	return []edit{back, cut}, err
}

// fresh reports whether wrapEdits made the list of arguments.
func (p place) fresh(data []byte) bool {
	list := p.args.value
	if list.block || list.end < 0 || list.end > p.command.lead || list.items[0].start != list.start+1 {
		return false
	}
	between := strings.TrimLeft(string(data[list.end:p.command.lead]), " \t\r\n")
	between = strings.TrimLeft(strings.TrimPrefix(between, ","), " \t\r\n")
	return between == ""
}

// drop takes the first n items from a list.
func drop(data []byte, list *node, n int) (edit, error) {
	if list.fixed != "" {
		return edit{}, fmt.Errorf("the arguments cannot be changed: %s", list.fixed)
	}
	if list.block {
		return dropBlock(data, list, n)
	}
	last := list.items[n-1]
	if list.start < 0 || list.end < 0 || last.end < 0 {
		return edit{}, errors.New("the arguments cannot be changed: where they stand is not known")
	}
	start := list.start + 1
	if strings.TrimSpace(string(data[start:list.items[0].start])) != "" {
		start = list.items[0].start // a comment stands before it
	}
	comma := bytes.IndexByte(data[last.end:list.end], ',')
	if len(list.items) == n {
		if comma >= 0 && strings.TrimSpace(string(data[last.end:last.end+comma])) == "" {
			return edit{start, last.end + comma + 1, ""}, nil
		}
		return edit{start, last.end, ""}, nil
	}
	if comma < 0 {
		return edit{}, errors.New("internal error: no comma between two arguments")
	}
	end := last.end + comma + 1
	if gap := data[end:list.items[n].start]; !bytes.ContainsRune(gap, '\n') && len(gap) > 0 && gap[0] == ' ' {
		end++
	}
	return edit{start, end, ""}, nil
}

func dropBlock(data []byte, list *node, n int) (edit, error) {
	start, err := dash(data, list.items[0])
	if err != nil {
		return edit{}, err
	}
	if len(list.items) > n {
		end, err := dash(data, list.items[n])
		return edit{start, end, ""}, err
	}
	last := list.items[n-1]
	if last.end < 0 {
		return edit{}, errors.New("the arguments cannot be changed: where they end is not known")
	}
	return edit{start, last.end, "  []"}, nil
}
