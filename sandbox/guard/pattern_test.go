package guard

import (
	"regexp"
	"strings"
	"testing"
)

// A pattern that is compiled at the first text that needs it would end the
// process there if it could not be.
func TestEveryPatternCompiles(t *testing.T) {
	all := []*pattern{comment, orders, harmless, hexRun, orderTag, chatToken, bracketTag, shout, styledAway, remoteImg}
	for _, p := range phrases {
		all = append(append(all, p.re), p.and...)
		if !strings.HasPrefix(p.re.text, "^") {
			t.Errorf("%s: is not anchored", p.re.text)
		}
	}
	for _, m := range marks {
		all = append(append(all, m.re), m.and...)
	}
	for _, p := range all {
		if _, err := regexp.Compile(p.text); err != nil {
			t.Error(err)
		}
	}
	if len(all) < 60 {
		t.Errorf("%d patterns: some are not looked at", len(all))
	}
}
