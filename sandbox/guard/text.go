package guard

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/internal/rpc"
)

func sortEdits(edits []edit) {
	slices.SortFunc(edits, func(a, b edit) int { return a.at - b.at })
}

// rewrite calls f with the text of every string of a line that View accepted, and
// whether it is a key, and replaces the string by f's text if f says so. With escaped
// set it does so only for strings with escapes. It leaves keep, a part of the line, as
// it is. It returns nil if nothing changed.
func rewrite(line, keep []byte, escaped bool, f func(key bool, text string) (string, bool)) []byte {
	var out []byte
	done := 0
	kept := -1
	if keep != nil {
		kept = rpc.Offset(line, keep)
	}
	for i := 0; i < len(line); i++ {
		if i == kept {
			i += len(keep)
		}
		if line[i] != '"' {
			continue
		}
		end, _ := rpc.String(line, i)
		raw := line[i:end]
		if escaped && bytes.IndexByte(raw, '\\') < 0 {
			i = end - 1
			continue
		}
		text, _ := rpc.Text(raw)
		after := bytes.TrimLeft(line[end:min(len(line), end+64)], " \t\r\n")
		if changed, ok := f(len(after) > 0 && after[0] == ':', text); ok {
			out = rpc.AppendString(append(out, line[done:i]...), changed)
			done = end
		}
		i = end - 1
	}
	if done == 0 {
		return nil
	}
	return append(out, line[done:]...)
}

// showHidden makes hidden characters visible, as [U+202E], or removes them with
// the escape sequences that they begin. Those with an honest use stay.
func showHidden(text string, strip bool) (string, bool) {
	first := -1
	for i, r := range text {
		if definition.Hidden(r) && !finding.PlainHidden(text, i, r) {
			first = i
			break
		}
	}
	if first < 0 {
		return text, false
	}
	out := []byte(text[:first])
	for i := first; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case !definition.Hidden(r) || finding.PlainHidden(text, i, r):
			out = append(out, text[i:i+n]...)
		case strip:
			n = max(n, escapeSequence(text[i:]))
		default:
			out = fmt.Appendf(out, "[U+%04X]", r)
		}
		i += n
	}
	return string(out), true
}

// escapeSequence is the length of the control sequence of ECMA-48 that a text
// begins with, or 0.
func escapeSequence(text string) int {
	i := 0
	switch {
	case strings.HasPrefix(text, "\x1b"):
		i = 1
	case strings.HasPrefix(text, "\u009b"):
		return control(text, len("\u009b"))
	default:
		return 0
	}
	if i >= len(text) {
		return i
	}
	switch c := text[i]; {
	case c == '[':
		return control(text, i+1)
	case strings.IndexByte("]P^_X", c) >= 0: // a string, up to BEL or ST
		const most = 4096
		for j := i + 1; j < len(text) && j < most; j++ {
			if text[j] == '\a' {
				return j + 1
			}
			if text[j] == '\x1b' && j+1 < len(text) && text[j+1] == '\\' {
				return j + 2
			}
		}
		return i + 1
	case c >= 0x20 && c < 0x30: // two or more
		for i < len(text) && text[i] >= 0x20 && text[i] < 0x30 {
			i++
		}
		return min(i+1, len(text))
	case c >= 0x30 && c < 0x7f:
		return i + 1
	}
	return i
}

// control is the end of a control sequence whose parameters begin at i.
func control(text string, i int) int {
	for i < len(text) && text[i] >= 0x20 && text[i] < 0x40 {
		i++
	}
	if i < len(text) && text[i] >= 0x40 && text[i] < 0x7f {
		i++
	}
	return i
}
