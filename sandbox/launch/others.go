package launch

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/wholefile"
)

// Bounds on the knowledge of one server's scan about others.
const (
	maxOthers     = 256      // servers
	maxOtherTools = 1024     // of each
	maxOtherBytes = 32 << 10 // of their names
	maxIndex      = 256 << 10
)

// Others returns the approved tools of the user's other servers, for the detection of
// shadowing: those with pins below config, through an index below state. Unapproved
// tools do not count: a server could make others look like shadows with them.
func Others(config, state, self string) []finding.Other {
	var out []finding.Other
	names := map[string]bool{}
	for _, pattern := range []string{"*.lock", "*.pins"} {
		files, _ := filepath.Glob(filepath.Join(config, "profiles", pattern)) // the pattern is valid
		for _, file := range files {
			names[strings.TrimSuffix(file, filepath.Ext(file))] = true
		}
	}
	for _, beside := range slices.Sorted(maps.Keys(names)) {
		name := filepath.Base(beside)
		if name == self || len(out) >= maxOthers {
			continue
		}
		o := finding.Other{Server: name, Tools: toolsOf(state, PinFile{Name: name, File: beside + ".pins", Lock: beside + ".lock"})}
		if len(o.Tools) > 0 {
			out = append(out, o)
		}
	}
	return out
}

// toolsFolder is the folder of those indexes below the state directory.
const toolsFolder = "tools"

// toolIndex caches the result of toolsOf for a pin file, as long as the file does not
// change.
type toolIndex struct {
	Size  int64     `json:"size"`
	Time  time.Time `json:"time"`
	Tools []string  `json:"tools"`
}

// toolsOf lists the approved tools of a pin file. It uses the index if that is fresh:
// reading every server's definitions at every start would take longer than the start.
// An unreadable file has none; its own run reports it.
func toolsOf(state string, p PinFile) []string {
	st, err := os.Stat(p.File)
	if err != nil {
		st, err = os.Stat(p.Lock)
	}
	if err != nil {
		return nil
	}
	file := filepath.Join(state, toolsFolder, p.Name+".approved.json")
	var index toolIndex
	if data, err := readFile(file, maxIndex); err == nil && json.Unmarshal(data, &index) == nil && index.Size == st.Size() && index.Time.Equal(st.ModTime()) {
		return index.Tools
	}
	pins, err := p.decided()
	if err != nil {
		return nil
	}
	index = toolIndex{Size: st.Size(), Time: st.ModTime()}
	room := maxOtherBytes
	for _, d := range pins.Definitions {
		if d.Kind != definition.KindTool || d.State != definition.Approved || len(index.Tools) >= maxOtherTools {
			continue
		}
		if room -= len(d.Name); room >= 0 {
			index.Tools = append(index.Tools, d.Name)
		}
	}
	if data, err := json.Marshal(index); err == nil && state != "" && os.MkdirAll(filepath.Dir(file), 0o700) == nil {
		_ = wholefile.Replace(file, data, 0o644) // on failure the next start reads the definitions again
	}
	return index.Tools
}
