// Package lockfile splits a lock file into its two parts: what was locked of a
// package, and behind it what a person approved of what its server says. Each
// part has an owner of its own, which reads and writes it and leaves the other
// as it is.
package lockfile

import (
	"regexp"
	"sync"
)

// pinsHeader is the line with which the pins begin: the first header of a table
// or of an array of tables that is called pins, or is below it.
var pinsHeader = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^[ \t]*\[\[?[ \t]*pins[ \t]*[.\]]`)
})

// Split returns both parts of a lock file, in its own memory. What stands behind
// the first header of the pins is the pins', whatever it is.
func Split(data []byte) (head, pins []byte) {
	at := pinsHeader().FindIndex(data)
	if at == nil {
		return data, nil
	}
	return data[:at[0]], data[at[0]:]
}

// Join is the file with both parts, one empty line between them.
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
