package locked

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A database that changed without its stamp changing would keep a malicious package
// running.
func TestStampTellsDatabasesApart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "osv")
	if got := Stamp(dir, time.Now()); got != "" {
		t.Errorf("none is %q", got)
	}
	if err := os.MkdirAll(filepath.Join(dir, "npm"), 0o700); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	tell := func(what string, at time.Time) {
		t.Helper()
		s := Stamp(dir, at)
		if was, ok := seen[s]; ok {
			t.Errorf("%s looks as %s did", what, was)
		}
		seen[s] = what
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	noon := time.Unix(1_700_000_000, 0)
	tell("an empty one", noon)
	write("npm/a.json", "{}")
	tell("a record", noon)
	write("npm/a.json", "{ }")
	tell("a longer one", noon)
	if err := os.Chtimes(filepath.Join(dir, "npm/a.json"), noon, noon); err != nil {
		t.Fatal(err)
	}
	tell("one written at another time", noon)
	if a, b := Stamp(dir, noon), Stamp(dir, noon.Add(90*24*time.Hour)); a != b {
		t.Error("a small one has to be judged every day")
	}
	for i := range stampEntries {
		write(fmt.Sprintf("npm/%d.json", i), "{}")
	}
	tell("a large one", noon)
	tell("the same on the next day", noon.Add(24*time.Hour))
}
