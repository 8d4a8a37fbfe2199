package definition

import (
	"strings"
	"unicode"
)

// Op is the operation of an Edit.
type Op byte

// The operations.
const (
	Same    Op = '='
	Removed Op = '-'
	Added   Op = '+'
)

// Edit is a run of words with one operation.
type Edit struct {
	Op   Op
	Text string
}

// maxDiff bounds the table of a diff, in cells. If the differing middle of two texts is
// larger, Diff shows it as removed and added as a whole.
const maxDiff = 4 << 20

// Diff compares two texts word by word, white space and punctuation included. The texts
// of Same and Removed edits joined are old; those of Same and Added edits joined are
// new.
func Diff(old, new string) []Edit {
	a, b := words(old), words(new)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var edits edits
	edits.add(Same, a[:head]...)
	edits.middle(a[head:len(a)-tail], b[head:len(b)-tail])
	edits.add(Same, a[len(a)-tail:]...)
	return edits
}

type edits []Edit

func (e *edits) add(op Op, words ...string) {
	if len(words) == 0 {
		return
	}
	text := strings.Join(words, "")
	if n := len(*e); n > 0 && (*e)[n-1].Op == op {
		(*e)[n-1].Text += text
		return
	}
	*e = append(*e, Edit{op, text})
}

// middle aligns a and b by their longest common subsequence.
func (e *edits) middle(a, b []string) {
	if len(a)*len(b) > maxDiff || len(a) == 0 || len(b) == 0 {
		e.add(Removed, a...)
		e.add(Added, b...)
		return
	}
	width := len(b) + 1
	length := make([]int32, (len(a)+1)*width) // length of the longest one from (i, j) on
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i*width+j] = length[(i+1)*width+j+1] + 1
			} else {
				length[i*width+j] = max(length[(i+1)*width+j], length[i*width+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			e.add(Same, a[i])
			i, j = i+1, j+1
		case length[(i+1)*width+j] >= length[i*width+j+1]:
			e.add(Removed, a[i])
			i++
		default:
			e.add(Added, b[j])
			j++
		}
	}
	e.add(Removed, a[i:]...)
	e.add(Added, b[j:]...)
}

// words splits a text into words, runs of white space, and single other characters;
// joined they are the text.
func words(text string) []string {
	var out []string
	start := 0
	last := -1
	for i, r := range text {
		class := 0
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_':
			class = 1
		case unicode.IsSpace(r):
			class = 2
		}
		if i > 0 && (class != last || class == 0) {
			out = append(out, text[start:i])
			start = i
		}
		last = class
	}
	if start < len(text) {
		out = append(out, text[start:])
	}
	return out
}

// Lines is the text of a definition that a person compares: the description, then the
// rest.
func (d Definition) Lines() string {
	d = d.readable()
	if d.Rest == "" {
		return string(d.Description)
	}
	if d.Description == "" {
		return string(d.Rest)
	}
	return string(d.Description) + "\n" + string(d.Rest)
}
