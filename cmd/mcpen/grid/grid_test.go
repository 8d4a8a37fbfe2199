package grid

import (
	"strings"
	"testing"
)

// A table is never wider than the terminal, whatever is in it, and a wide letter takes
// two columns.
func TestGridFitsTheTerminal(t *testing.T) {
	g := Grid{Rows: [][]string{{"A", "COMMAND", "B"}, {"one", "npx -y @modelcontextprotocol/server-filesystem ~/src", "no file"}, {"漢字漢字", "short", "x"}},
		Give: []Give{{1, 10}, {2, 3}, {0, 3}}, Middle: 1}
	for _, room := range []int{20, 30, 40, 60} {
		var b strings.Builder
		g.Write(&b, room)
		for line := range strings.Lines(b.String()) {
			if n := wide(strings.TrimRight(line, "\n")); n > room {
				t.Errorf("%d of %d columns: %q", n, room, line)
			}
		}
	}
	var b strings.Builder
	g.Write(&b, 40)
	if !strings.Contains(b.String(), "ilesystem ~/src") {
		t.Error(b.String())
	}
	b.Reset()
	g.Write(&b, 0)
	if !strings.Contains(b.String(), "npx -y @modelcontextprotocol/server-filesystem ~/src") {
		t.Error(b.String())
	}
}
