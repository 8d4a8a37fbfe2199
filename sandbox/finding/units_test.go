package finding

import (
	"strings"
	"testing"
)

// Letters spaced apart are joined to the word they form.
func TestSpacedWordsAreClosedUp(t *testing.T) {
	for text, want := range map[string]string{"": "", "a": "a", "a b": "ab", "i g n o r e": "ignore", "I G N": "IGN", "an a": "an a", "a bc": "a bc", "a  b": "a  b", "1 2": "1 2", "a b cd": "ab cd", "x a b": "xab", "ab c d": "ab cd", " a": " a", "a ": "a ", "é b": "é b", "[ ]": "[ ]", "a {": "a {", "@ a": "@ a", "` a": "` a", "z Z": "zZ"} {
		if got := closeUp(text); got != want {
			t.Errorf("%q is closed up to %q, want %q", text, got, want)
		}
	}
}

// A plain key needs less scanning, and a severity prints its name.
func TestPlainKeysAndSeverities(t *testing.T) {
	if Hold.String() != "hold" || Note.String() != "note" || Severity(0).String() != "note" {
		t.Error("the words of severities")
	}
	for key, want := range map[string]bool{"": true, "a": true, "a b": false, "a\x7f": false, "é": false, "~!": true, strings.Repeat("k", 64): true, strings.Repeat("k", 65): false} {
		if plainKey([]byte(key)) != want {
			t.Errorf("%q is plain: %v", key, !want)
		}
	}
}
