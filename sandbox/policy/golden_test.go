package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestProfilesMean checks the meaning of every profile of testdata/profiles. One file
// is one story: profile.toml and the profiles it extends, an input, and then either the
// policy or the mistakes.
func TestProfilesMean(t *testing.T) {
	files, err := filepath.Glob("testdata/profiles/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name, got := story(t, ar)
			want := drop(ar, "policy.json", "mistakes")
			if *update {
				ar.Files = append(ar.Files, txtar.File{Name: name, Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, name+"\n"+got); diff != "" {
				t.Errorf("the profile means something else (-want +got):\n%s", diff)
			}
		})
	}
}

// story resolves a story and returns the name and content of its last file.
func story(t *testing.T, ar *txtar.Archive) (name, content string) {
	t.Helper()
	files := make(map[string][]byte)
	for _, f := range ar.Files {
		files[f.Name] = f.Data
	}
	in := Input{
		Home: "/home/ada", State: "/home/ada/.local/state/mcpen", Config: "/home/ada/.config/mcpen",
		Workspace: "/home/ada/src/app", Cwd: "/home/ada/src", Start: "/home/ada/src/app",
	}
	if data, ok := files["input.json"]; ok {
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			t.Fatal(err)
		}
	}
	if data, ok := files["baseline.toml"]; ok {
		base, err := ParseBaseline("baseline.toml", data, loadFrom(files))
		if err != nil {
			return "mistakes", mistakes(err)
		}
		in.Baselines = []*Profile{base}
	}
	p, err := Parse("profile.toml", files["profile.toml"], loadFrom(files))
	if err != nil {
		return "mistakes", mistakes(err)
	}
	got, err := Resolve(p, in)
	if err != nil {
		return "mistakes", mistakes(err)
	}
	got.Sources = nil // hashes mean nothing to a reader; TestSources checks them
	data, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return "policy.json", string(data) + "\n"
}

// drop removes the expected files from the archive and returns them as one text.
func drop(ar *txtar.Archive, names ...string) string {
	var text string
	var kept []txtar.File
	for _, f := range ar.Files {
		expected := false
		for _, n := range names {
			if f.Name == n {
				text, expected = text+n+"\n"+string(f.Data), true
			}
		}
		if !expected {
			kept = append(kept, f)
		}
	}
	ar.Files = kept
	return text
}

// loadFrom loads profiles from a map: "node" and "./node.toml" are node.toml.
func loadFrom(files map[string][]byte) Loader {
	return func(ref, from string) (string, []byte, error) {
		name := path.Join(path.Dir(from), ref)
		if !strings.HasSuffix(name, ".toml") {
			name += ".toml"
		}
		data, ok := files[name]
		if !ok {
			return "", nil, fs.ErrNotExist
		}
		return name, data, nil
	}
}

func mistakes(err error) string {
	var m Mistakes
	if !errors.As(err, &m) {
		return "not Mistakes: " + err.Error()
	}
	var b strings.Builder
	for _, x := range m {
		fmt.Fprintln(&b, x)
		if x.Hint != "" {
			fmt.Fprintf(&b, "    hint: %s\n", x.Hint)
		}
	}
	return b.String()
}
