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

// Bounds of what one server is told of others.
const (
	maxOthers     = 256      // servers
	maxOtherTools = 1024     // of each
	maxOtherBytes = 32 << 10 // of their names
	maxIndex      = 256 << 10
)

// Others are the tools of the user's other servers that a person approved, for
// shadowing: those with pins below config, by an index that is kept below state.
// What nobody approved does not count: it could make others look like shadows.
func Others(config, state, self string) []finding.Other {
	var out []finding.Other
	names := map[string]bool{}
	for _, pattern := range []string{"*.lock", "*.pins"} {
		files, _ := filepath.Glob(filepath.Join(config, "profiles", pattern)) // the pattern is good
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

// toolsFolder is where those indexes are, below the state directory.
const toolsFolder = "tools"

// toolIndex is what toolsOf keeps of a pin file, as long as the file is the one
// it was made of.
type toolIndex struct {
	Size  int64     `json:"size"`
	Time  time.Time `json:"time"`
	Tools []string  `json:"tools"`
}

// toolsOf lists the tools that a pin file has approved, from an index where that is
// fresh: reading every server's definitions at every start would take longer than
// the start. A file that cannot be read has none; its own run says so.
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
		_ = wholefile.Replace(file, data, 0o644) // it is read from the definitions again otherwise
	}
	return index.Tools
}
