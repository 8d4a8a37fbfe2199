package program

import (
	"slices"
	"strings"
	"testing"
)

// Find returns the scripts and links that led to a program: a server must not be able
// to point its next run at another project by changing its own script or by replacing a
// symlink.
func TestFindTellsWhatLedToANeed(t *testing.T) {
	tr := newTree(t)
	tr.Exe("/usr/bin/node")
	tr.Exe("~/.nvm/versions/node/v20.1.0/bin/node")
	tr.File("~/other/package.json", "{}")
	tr.Script("~/other/lib/i.js", "#!/usr/bin/env node\n")
	tr.Exe("~/other/interp")
	tr.File("~/work/package.json", "{}")
	tr.Script("~/work/plain.js", "#!/usr/bin/env node\n")
	tr.Link("~/work/link.js", "../other/lib/i.js")
	tr.Link("~/work/way", "../other/lib")
	tr.Script("~/work/bang", "#!ROOT/home/u/other/interp\n")
	tr.Script("~/work/operand", "#!/usr/bin/env -S node --require=ROOT/home/u/work/evil.js ROOT/home/u/other/lib/i.js\n")
	tr.Script("~/work/runtime", "#!ROOT/home/u/.nvm/versions/node/v20.1.0/bin/node\n")
	for _, c := range []struct{ command, need, led string }{
		{"./plain.js", "~/work", ""},
		{"node ./plain.js", "~/work", ""},
		{"./link.js", "~/other", "~/work/link.js"},
		{"node ./link.js", "~/other", "~/work/link.js"},
		{"./way/i.js", "~/other", "~/work/way"},
		{"node way/i.js", "~/other", "~/work/way"},
		{"./bang", "~/other/interp", "~/work/bang"},
		{"./operand", "~/other", "~/work/operand"},
		{"./runtime", "~/.nvm/versions/node/v20.1.0", ""},
	} {
		prog, err := Find(strings.Fields(c.command), tr.env)
		if err != nil {
			t.Errorf("%s: %v", c.command, err)
			continue
		}
		found := false
		for _, n := range prog.Needs {
			if n.Path != tr.At(c.need) {
				continue
			}
			found = true
			if c.led == "" && len(n.Led) > 0 || c.led != "" && !slices.Contains(n.Led, tr.At(c.led)) {
				t.Errorf("%s: %s was chosen by %q, want %q", c.command, n.Path, n.Led, c.led)
			}
		}
		if !found {
			t.Errorf("%s: needs %v, and not %s", c.command, prog.Needs, c.need)
		}
	}
}
