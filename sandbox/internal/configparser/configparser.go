// Package configparser reads settings as the module of that name of Python does, in which
// pip.conf and entry_points.txt are written.
package configparser

import (
	"bufio"
	"bytes"
	"strings"
)

// Lines gives the settings of an ini file as Python's configparser reads them,
// each with its section before the key: "global.index-url". A line that is
// indented continues the value before it.
func Lines(data []byte) [][2]string {
	var out [][2]string
	section := ""
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		raw := lines.Text()
		line := strings.TrimSpace(raw)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[' && line[len(line)-1] == ']':
			section = strings.TrimSpace(line[1:len(line)-1]) + "."
		case section != "" && (raw[0] == ' ' || raw[0] == '\t') && len(out) > 0:
			out[len(out)-1][1] = strings.TrimSpace(out[len(out)-1][1] + "\n" + line)
		default:
			key, value := line, ""
			if i := strings.IndexAny(line, "=:"); i >= 0 {
				key, value = line[:i], line[i+1:]
			}
			out = append(out, [2]string{section + strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"'`)})
		}
	}
	return out
}
