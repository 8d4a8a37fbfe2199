package finding_test

import (
	"os"
	"strings"
	"testing"

	"mcpen/sandbox/finding"
)

// Attacks in sentences that no rule was written for, and honest sentences about the
// same topics. This test exposes a rule that fits a single sentence of a corpus: the
// next attacker uses other words.
func TestScanGeneralises(t *testing.T) {
	poison, found := lines(t, "testdata/poison.txt"), 0
	for _, text := range poison {
		if held(finding.ScanText(text)) {
			found++
		} else {
			t.Logf("not found: %s", text)
		}
	}
	if part := 100 * found / len(poison); part < 85 {
		t.Errorf("%d %% of %d are found, want 85", part, len(poison))
	}
	for _, text := range lines(t, "testdata/honest.txt") {
		for _, f := range finding.ScanText(text) {
			if f.Severity == finding.Hold {
				t.Errorf("%q is held: %s %q (%s)", text, f.Kind, f.Words, f.Why)
			}
		}
	}
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func held(found []finding.Finding) bool {
	for _, f := range found {
		if f.Severity == finding.Hold {
			return true
		}
	}
	return false
}
