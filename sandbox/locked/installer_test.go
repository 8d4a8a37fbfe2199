package locked

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/user"
)

// An install reports to a log now and then, not step by step, and strangers' names in
// it end no line.
func TestProgressIsSparse(t *testing.T) {
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	a := &Packages{Person: user.Person{Err: out}}
	tell := a.progress(func() time.Time { return at })
	for range 12 {
		tell("fetch", "x\n\x1b[2J")
		tell("", "")
		at = at.Add(time.Second)
	}
	out.Close()
	said, err := io.ReadAll(r)
	if err != nil || string(said) != strings.Repeat("mcpen: fetch: x\\x0a\\x1b[2J\n", 2) {
		t.Errorf("it said %q, %v", said, err)
	}
}

// The last line of an install in a log gives the outcome, and not the state at an
// earlier report.
func TestProgressEndsWithTheTruth(t *testing.T) {
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	a := &Packages{Person: user.Person{Err: out}}
	tell := a.progress(func() time.Time { return at })
	for _, step := range []struct {
		after time.Duration
		words [2]string
	}{
		{0, [2]string{"fetch", "0 archives"}}, {silence, [2]string{"fetch", "1 archive"}}, {1, [2]string{"fetch", "9 archives"}}, {1, [2]string{"store", "x"}}, {1, [2]string{}},
		{0, [2]string{"fetch", "quick"}}, {1, [2]string{}}, // nobody waited for this one
	} {
		at = at.Add(step.after)
		tell(step.words[0], step.words[1])
	}
	out.Close()
	said, err := io.ReadAll(r)
	if want := "mcpen: fetch: 1 archive\nmcpen: fetch: 9 archives\n"; err != nil || string(said) != want {
		t.Errorf("it said %q, %v, want %q", said, err, want)
	}
}

// A server that wants another Python than the machine's gets it from where uv and
// pyenv keep theirs, and never a wrong one.
func TestPythonOfAProfile(t *testing.T) {
	out, err := exec.Command("python3", "-c", "import os, sys; print(os.path.realpath(sys.executable), '%d.%d' % sys.version_info[:2])").Output()
	if err != nil {
		t.Skip("no python3 on this machine")
	}
	real, version, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	home := t.TempDir()
	a := &Packages{Person: user.Person{Env: []string{"HOME=" + home, "PATH=" + t.TempDir()}, Passwd: "/nonexistent", Machine: "/nonexistent"}}
	at := user.Dirs{Home: home}
	link := func(version string) {
		file := filepath.Join(home, ".pyenv/versions", version+".1", "bin", "python"+version)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, file); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, _, err := a.python(at, "3.98"); err == nil || !strings.Contains(err.Error(), "asks for Python 3.98") {
		t.Errorf("one that is not there: %v", err)
	}
	for _, v := range []string{"", version} {
		path, tag, _, err := a.python(at, v)
		if err != nil || path == "" || tag != "cp"+strings.ReplaceAll(version, ".", "") {
			t.Errorf("%q: %q %q, %v", v, path, tag, err)
		}
	}
	link("3.99")
	if _, _, _, err := a.python(at, "3.99"); err == nil || !strings.Contains(err.Error(), "it is "+version) {
		t.Errorf("another under its name: %v", err)
	}
}
