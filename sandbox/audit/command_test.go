package audit_test

import (
	"os/exec"
	"testing"

	"mcpen/sandbox/audit"
)

// A person pastes the line into a shell: no word of it may be more than a word.
func TestCommandIsWordsAlone(t *testing.T) {
	for _, word := range []string{
		"plain", "", "a b", "$(touch /nowhere/x)", "`id`", "a'b", `a"b`, "a;b", "a&&b", "a|b", "*", "~", "#a", "!a", `a\b`, "-n", "ü",
	} {
		line := audit.Command("printf", "%s|", word, "end")
		out, err := exec.Command("sh", "-c", line).CombinedOutput()
		if err != nil || string(out) != word+"|end|" {
			t.Errorf("a shell takes %s as %q (%v), want %q", line, out, err, word+"|end|")
		}
	}
	for _, word := range []string{"a\nb", "a\tb", "\x1b[1m", "\u202e", "\xff"} {
		if line := audit.Command("echo", word); line != "" {
			t.Errorf("%q is offered for pasting: %q", word, line)
		}
	}
}
