// Package golden runs tests that are archives of testdata: each holds its input and what
// is expected of it (package txtar).
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Each runs a subtest for each archive that matches the pattern; fewer than least are a
// failure. run replaces the expected parts of the archive by what it found. Any
// difference fails the test, or is written to the file if the flag -update is set.
func Each(t *testing.T, pattern string, least int, run func(t *testing.T, name string, ar *txtar.Archive)) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) < least {
		t.Fatalf("only %d archives match %s (%v)", len(files), pattern, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := txtar.Format(ar)
			run(t, name, ar)
			got := txtar.Format(ar)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// Replace puts a part at the end of an archive, in place of the parts with the names.
func Replace(ar *txtar.Archive, part txtar.File, names ...string) {
	ar.Files = append(slices.DeleteFunc(ar.Files, func(f txtar.File) bool { return slices.Contains(names, f.Name) }), part)
}

// File compares a text with a file of testdata, or writes the file if the flag -update is
// set.
func File(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
