package install

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/packtest"
)

// Of two programs with one last name the one that stands last counts, as for npm and
// each time: a tree that came out otherwise elsewhere could not be restored.
func TestBinsOfOneLastName(t *testing.T) {
	const text = `{"name":"twice","version":"1.0.0","bin":{"a/run":"a.js","h/run":"h.js","b/run":"b.js","C:\\run":"c.js","other":"o.js","..":"x.js","bad/":7}}`
	for range 20 {
		var p packageJSON
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		if got := p.bins(); len(got) != 2 || got["run"] != "c.js" || got["other"] != "o.js" {
			t.Fatalf("bins: %v", got)
		}
	}
}

// Extras that were asked for are in the lock and installed; a lock without them is
// another package's.
func TestExtrasAreLocked(t *testing.T) {
	f := packtest.New(t, false)
	old := now.Add(-30 * day)
	f.Upload("ex", "1.0", old, []string{"more; extra == 'cli'\nProvides-Extra: cli", "unused; extra == 'x'"}, map[string]string{"ex.py": "def main(): pass\n", "DIST-INFO/entry_points.txt": "[console_scripts]\nex = ex:main\n"})
	f.Upload("more", "2.1.0+cpu", old, nil, nil) // with a local part, as accelerators' indexes have
	in, _ := newInstaller(t, f)
	for text, want := range map[string]int{"pypi:ex": 1, "pypi:ex[cli]": 2} {
		l, tree, err := add(in, mustRef(t, text))
		if err != nil {
			t.Fatal(err)
		}
		tree.Close()
		if l.Package != text || len(l.Dependencies) != want {
			t.Errorf("%s: %s locks %+v", text, l.Package, l.Dependencies)
		}
		data, err := l.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := pack.ParseLock(data); err != nil || !sameLock(l, again) {
			t.Errorf("%s: %v in\n%s", text, err, data)
		}
	}
}

// The error of a failed package manager takes one line, not the pages that pip writes,
// and cannot steer the terminal.
func TestToolsWordsInOneLine(t *testing.T) {
	for words, want := range map[string]string{
		"Collecting x\n  error: subprocess-exited-with-error\n\nERROR: Could not find a version that satisfies the requirement need-it>=2\nERROR: No matching distribution found for need-it>=2\n": "subprocess-exited-with-error; Could not find a version that satisfies the requirement need-it>=2; No matching distribution found for need-it>=2",
		"npm error code E404\nnpm error 404 Not Found\nnpm error A complete log of this run can be found in: /x\n":                                                                                 "404 Not Found",
		"one\ntwo\x1b[31m\n": "two[31m",
		"":                   "",
	} {
		got := errTool("pip install", errors.New("it exited with code 1"), []byte(words)).Error()
		if strings.Contains(got, "\n") || strings.Contains(got, "\x1b") || !strings.HasSuffix(got, want) || len(got) > 700 {
			t.Errorf("%q, want %q at its end", got, want)
		}
	}
	if long := errTool("npm", errors.New("x"), []byte(strings.Repeat("ERROR: "+strings.Repeat("y", 999)+"\n", 99))).Error(); len(long) > 700 {
		t.Errorf("%d bytes", len(long))
	}
}
