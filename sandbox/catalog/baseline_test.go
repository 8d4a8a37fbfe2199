package catalog

import (
	"os"
	"testing"
	"time"

	"mcpen/sandbox/policy"
	"mcpen/sandbox/user"
)

// A machine's minimum age also holds for a package without any profile.
func TestBaselineHoldsWhereThereIsNoProfile(t *testing.T) {
	at := user.Dirs{Config: t.TempDir()}
	for text, want := range map[string]time.Duration{"": policy.DefaultMinAge, "[install]\nmin-age = \"14d\"\n": 14 * 24 * time.Hour} {
		at.Machine = t.TempDir()
		if err := os.WriteFile(baselineFile(at), []byte("version = 1\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		rules, err := InstallRules(at, "demo")
		if err != nil || rules.MinAge != want {
			t.Errorf("with %q: %v, %v", text, rules.MinAge, err)
		}
	}
}
