package listeners

import (
	"strings"
	"testing"
)

// A path too long for a socket is replaced by a name below its directory, exactly at
// the limit.
func TestLongSocketNames(t *testing.T) {
	for n, want := range map[int]bool{maxSunPath: false, maxSunPath + 1: true} {
		path := "/" + strings.Repeat("a", n-3) + "/b"
		if got := shorten(7, path); (got != path) != want || want && got != "/proc/self/fd/7/b" {
			t.Errorf("%d bytes: %s", n, got)
		}
	}
}
