package egress

import (
	"strings"
	"testing"
)

func TestShownIsSafeToPrint(t *testing.T) {
	if got := shown("a\x1b[31m\"b\\c d\xff"); got != `a\x1b[31m\x22b\x5cc\x20d\xff` {
		t.Errorf("got %s", got)
	}
	if got := shown(strings.Repeat("a", 1000)); len(got) > maxShown+4 {
		t.Errorf("%d characters", len(got))
	}
}
