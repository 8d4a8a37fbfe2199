package audit_test

import (
	"os/exec"
	"testing"

	"mcpen/sandbox/audit"
)

// A person pastes the line into a shell: no word of it may act as more than a word.
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
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash for words that cannot be seen")
	}
	for _, word := range []string{"a\nb", "a\tb", "\x1b[1m", "\u202e", "\xff", "'\n\\", "\x01f"} {
		line := audit.Command("printf", "%s|", word, "end")
		if audit.Visible(line) != line {
			t.Errorf("%q shows what cannot be seen", line)
		}
		if out, err := exec.Command(bash, "-c", line).CombinedOutput(); err != nil || string(out) != word+"|end|" {
			t.Errorf("bash takes %s as %q (%v), want %q", line, out, err, word+"|end|")
		}
	}
}
