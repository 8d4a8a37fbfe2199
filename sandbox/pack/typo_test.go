package pack

import (
	"slices"
	"testing"
)

func TestLookalike(t *testing.T) {
	for _, tc := range []struct {
		ref  string
		like bool
	}{
		{"npm:@modelcontextprotocol/server-github", false},
		{"npm:@modelcontextprotoco1/server-github", true},
		{"npm:@modelcontextprotocol/server-gihtub", true},
		{"npm:@modelcontextprotocol/servergithub", true},
		{"npm:@anthropic/server-filesystem", true},
		{"npm:server-filesystem", true},
		{"npm:@mycorp/mcp", false},
		{"npm:something-else-entirely", false},
		{"pypi:mcp-server-tine", true},
		{"pypi:mcp-server-time", false},
		{"pypi:mcpservertime", true},
	} {
		ref, err := ParseRef(tc.ref)
		if err != nil {
			t.Fatal(err)
		}
		if got := Lookalike(ref); (got != "") != tc.like {
			t.Errorf("%s: %q", tc.ref, got)
		}
	}
}

// A name that does not parse could never be matched, and would be missed.
func TestKnownNamesParse(t *testing.T) {
	for _, e := range []Ecosystem{NPM, PyPI} {
		names := knownRefs(e)
		if len(names) < 20 || !slices.IsSorted(names) {
			t.Errorf("%d names of %s, sorted: %v", len(names), e, slices.IsSorted(names))
		}
		for _, n := range names {
			if ref, err := ParseRef(string(e) + ":" + n); err != nil || ref.Name != n {
				t.Errorf("%s:%s: %+v, %v", e, n, ref, err)
			}
		}
	}
}
