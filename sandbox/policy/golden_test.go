package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"mcpen/sandbox/internal/golden"
)

// TestProfilesMean checks the meaning of every profile of testdata/profiles. One file
// is one story: profile.toml and the profiles it extends, an input, and then either the
// policy or the mistakes.
func TestProfilesMean(t *testing.T) {
	golden.Each(t, "testdata/profiles/*.txtar", 20, func(t *testing.T, _ string, ar *txtar.Archive) {
		part, got := story(t, ar)
		golden.Replace(ar, txtar.File{Name: part, Data: []byte(got)}, "policy.json", "mistakes")
	})
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
