package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var added = []string{testMcpen, "run", "--", "npx", "-y", "notes"}

// A new server is written into every kind of file, and nothing of the file is lost.
func TestAddKeepsWhatIsThere(t *testing.T) {
	n := 0
	for i, s := range samples(120) {
		f, err := parseFile(s.format, s.shapes, []byte(s.text))
		if err != nil {
			t.Fatal(err)
		}
		out, err := f.add("added", added)
		if err != nil {
			t.Errorf("sample %d (%s): %v\n%s", i, s.name, err, s.text)
			continue
		}
		n++
		decode(t, s.format, out.data)
		e, err := out.entry("added", "")
		if err != nil || e.State != Wrapped || strings.Join(e.Inner(), " ") != "npx -y notes" {
			t.Errorf("sample %d (%s): %+v, %v", i, s.name, e, err)
		}
		was, is, front, back := []byte(s.text), out.bytes(), 0, 0
		for front < len(was) && was[front] == is[front] {
			front++
		}
		for back < len(was) && was[len(was)-1-back] == is[len(is)-1-back] {
			back++
		}
		if front+back < len(was) {
			t.Errorf("sample %d (%s): more was done than to put something in:\n%s", i, s.name, is)
		}
		if _, err := out.add("added", added); err == nil {
			t.Error("it was added twice")
		}
	}
	if n < 100 {
		t.Errorf("only %d were added", n)
	}
}

func TestAddMakesTheFile(t *testing.T) {
	for _, name := range Names() {
		if name == "roo" || name == "librechat" {
			continue // is not written to; has no file of the user's
		}
		home := t.TempDir()
		p, err := Home(Roots{Home: home, Config: filepath.Join(home, ".config")}, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := Add(p, "my notes", added); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Add(p, "more", added); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		entries, err := p.Servers()
		if err != nil || len(entries) != 2 {
			t.Errorf("%s: %+v, %v", name, entries, err)
		}
		found := Places(Roots{Home: home, Config: filepath.Join(home, ".config")}, []string{name})
		if len(found) != 1 || found[0].Path != p.Path {
			data, _ := os.ReadFile(p.Path)
			t.Errorf("%s: it is not found again: %+v\n%s", name, found, data)
		}
	}
}
