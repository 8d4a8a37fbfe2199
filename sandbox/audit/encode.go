package audit

import (
	"encoding/json"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds on one line of the log, in bytes, so that a server's output or requests cannot
// fill it in a few events.
const (
	maxText = 4 << 10
	maxID   = 256
	maxArgs = 64 << 10
)

// Encode returns the event as one line of JSON with its line end. It escapes the
// characters that Visible escapes, so that any tool can display the file. It cuts texts
// longer than 4 KiB and marks the cut.
func Encode(e Event) ([]byte, error) {
	e.Subject, e.Detail, e.Hint = cut(e.Subject), cut(e.Detail), cut(e.Advice())
	e.Rule, e.Address, e.Program = cut(e.Rule), cut(e.Address), cut(e.Program)
	if e.Request != nil {
		req := *e.Request
		req.Method, req.Name = cut(req.Method), cut(req.Name)
		if len(req.ID) == 0 {
			req.ID = json.RawMessage("null")
		}
		if len(req.ID) > maxID {
			req.ID = json.RawMessage(fmt.Sprintf(`"[an id of %d bytes]"`, len(req.ID)))
		}
		if len(req.Args) > maxArgs {
			req.Args = json.RawMessage(fmt.Sprintf(`"[%d bytes]"`, len(req.Args)))
		}
		e.Request = &req
	}
	line, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("cannot encode an event of kind %q: %w", e.Kind, err)
	}
	return append(escape(line), '\n'), nil
}

func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	n := maxText
	for n > maxText-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return fmt.Sprintf("%s [%d more bytes]", text[:n], len(text)-n)
}

// escape replaces invisible non-ASCII characters by \u escapes. JSON has such
// characters only inside strings.
func escape(line []byte) []byte {
	plain := true
	for _, c := range line {
		plain = plain && c < 0x7f
	}
	if plain {
		return line
	}
	out := make([]byte, 0, len(line)+64)
	for i := 0; i < len(line); {
		r, n := utf8.DecodeRune(line[i:])
		switch {
		case r != 0x7f && (r < utf8.RuneSelf || shown(r)):
			out = append(out, line[i:i+n]...)
		case r < 0x10000:
			out = appendHex(append(out, `\u`...), uint32(r), 4)
		default:
			high, low := utf16.EncodeRune(r)
			out = appendHex(append(out, `\u`...), uint32(high), 4)
			out = appendHex(append(out, `\u`...), uint32(low), 4)
		}
		i += n
	}
	return out
}
