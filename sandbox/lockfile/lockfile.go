// Package lockfile splits a lock file into its two parts: the locks of a package, and
// after them the pins, those statements of its server that a person approved. Each part
// has its own owner, which reads and writes it and leaves the other part as it is.
package lockfile

import (
	"regexp"
	"sync"
)

// Max bounds a lock file in bytes: the largest of real servers, pins included, has some
// megabytes.
const Max = 64 << 20

// pinsHeader matches the line that begins the pins: the first header of a table or an
// array of tables named pins, or below pins.
var pinsHeader = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^[ \t]*\[\[?[ \t]*pins[ \t]*[.\]]`)
})

// Split returns both parts of a lock file as slices of data. Everything from the first
// header of the pins on belongs to the pins.
func Split(data []byte) (head, pins []byte) {
	at := pinsHeader().FindIndex(data)
	if at == nil {
		return data, nil
	}
	return data[:at[0]], data[at[0]:]
}

// Join returns the file made of both parts, with one empty line between them.
func Join(head, pins []byte) []byte {
	end := len(head)
	for end > 0 && head[end-1] == '\n' {
		end--
	}
	out := append(append([]byte{}, head[:end]...), '\n')
	if len(pins) > 0 {
		out = append(append(out, '\n'), pins...)
	}
	return out
}
