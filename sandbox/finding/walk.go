package finding

import (
	"bytes"
	"fmt"
	"strings"

	"mcpen/sandbox/internal/rpc"
)

// step is a key of an object, or an index of an array.
type step struct {
	object bool
	key    []byte
	index  int
}

// path is the path of the value being scanned.
func (s *Scanner) path() string {
	var b strings.Builder
	for _, step := range s.steps {
		switch {
		case !step.object:
			fmt.Fprintf(&b, "[%d]", step.index)
		case b.Len() > 0:
			b.WriteByte('.')
			fallthrough
		default:
			b.Write(step.key)
		}
	}
	return b.String()
}

// value scans every string of a value, keys included. It reads each byte once, at any
// depth.
func (s *Scanner) value(found []Finding, raw []byte) []Finding {
	key := false // the next string is a key
	for i := 0; i < len(raw) && s.left >= 0; i++ {
		switch raw[i] {
		case '{', '[':
			key = raw[i] == '{'
			s.steps = append(s.steps, step{object: key})
		case '}', ']':
			key = false
			s.steps = s.steps[:max(0, len(s.steps)-1)]
		case ',':
			if len(s.steps) > 0 {
				top := &s.steps[len(s.steps)-1]
				key = top.object
				top.index++
			}
		case '"':
			end, _ := rpc.String(raw, i)
			if text := raw[i:end]; key {
				found = s.key(found, text)
			} else {
				found = s.words(found, text)
			}
			key = false
			i = end - 1
		}
	}
	return found
}

// key scans a key and steps to its value.
func (s *Scanner) key(found []Finding, raw []byte) []Finding {
	k := raw[1:max(1, len(raw)-1)]
	if bytes.IndexByte(k, '\\') >= 0 {
		text, _ := rpc.Text(raw)
		k = []byte(text)
	}
	s.steps[len(s.steps)-1].key = k
	if plainKey(k) {
		return found
	}
	return s.text(found, " (key)", string(k))
}

// words scans a string.
func (s *Scanner) words(found []Finding, raw []byte) []Finding {
	if len(raw) > 1 && s.clean[string(raw[1:len(raw)-1])] && bytes.IndexByte(raw, '\\') < 0 {
		return found
	}
	text, _ := rpc.Text(raw)
	return s.text(found, "", text)
}
