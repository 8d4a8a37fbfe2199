package launch

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/wholefile"
)

// gapsFolder, below the state directory, has one file a server: the gaps that stderr
// named at its last start, one a line.
const gapsFolder = "gaps"

// maxGaps bounds such a file, in bytes. A longer one counts as none.
const maxGaps = 64 << 10

// gapsFile is the path of a server's file; "" if there is no state directory.
func (o Order) gapsFile() string {
	if o.State == "" {
		return ""
	}
	return filepath.Join(o.State, gapsFolder, strings.TrimSuffix(audit.FileName(o.Plan.Name), ".jsonl"))
}

// startLine is the line of a start. It names every layer that is missing as a whole.
// The gaps of the other layers are named in full if one of them is new since the last
// start, or if all were asked for, and counted otherwise; the log names them always.
// startLine stores them for the next start. Whatever cannot be read or stored is named
// again.
func (o Order) startLine(p plan.Plan) string {
	whole, parts := split(p)
	line := heldLine(p) + named(whole)
	text, file := []byte(named(parts)+"\n"), o.gapsFile()
	switch {
	case len(parts) == 0 && file != "":
		_ = os.Remove(file)
	case file != "":
		if was, err := wholefile.Read(file, maxGaps); err == nil && bytes.Equal(was, text) {
			if o.Verbose {
				return line + named(parts)
			}
			return line + fmt.Sprintf("; not held, as before: %d (--verbose names them)", len(parts))
		}
		_ = wholefile.Replace(file, text, 0o600)
	}
	return line + named(parts)
}

// split separates the gaps of layers that are missing as a whole from those of layers
// that hold in part.
func split(p plan.Plan) (whole, parts []plan.Gap) {
	for _, g := range p.Gaps {
		if g.Layer == policy.LayerLimits || slices.Contains(p.Layers, g.Layer) {
			parts = append(parts, g)
		} else {
			whole = append(whole, g)
		}
	}
	return whole, parts
}

// named is the part of a start's line that names gaps.
func named(gaps []plan.Gap) string {
	var b strings.Builder
	for _, g := range gaps {
		fmt.Fprintf(&b, "; not held: %s (%s)", g.Want, g.Why)
	}
	return b.String()
}
