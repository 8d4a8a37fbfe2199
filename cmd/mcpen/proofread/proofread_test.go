package proofread

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckWritesEveryMistakeOfEveryProfile(t *testing.T) {
	files := map[string]string{
		"good.toml": "version = 1\nextends = [\"base\"]\n",
		"base.toml": "version = 1\n",
		"bad.toml":  "version = 1\n[network]\nalow = []\nallow = [\"a.example\", \"b.example:0\"]\n",
	}
	read := func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}
	load := func(ref, from string) (string, []byte, error) {
		data, err := read(ref + ".toml")
		return ref + ".toml", data, err
	}
	var out strings.Builder
	err := Write([]string{"good.toml", "bad.toml", "missing.toml"}, load, read, noSingle, &out)
	want := `good.toml: ok
bad.toml:3:1: network.alow: unknown key
	hint: did you mean "allow"?
bad.toml:4:10: network.allow[0]: "a.example" has no port
	hint: a.example:443
bad.toml:4:23: network.allow[1]: "b.example:0" is not a port (want 1-65535)
missing.toml: cannot read it: file does not exist
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if err == nil || err.Error() != "4 mistakes in 2 profiles" {
		t.Errorf("the error says %v", err)
	}

	out.Reset()
	if err := Write([]string{"good.toml"}, load, read, noSingle, &out); err != nil || out.String() != "good.toml: ok\n" {
		t.Errorf("a good profile: %v, %q", err, out.String())
	}
	if err := Write(nil, load, read, noSingle, &out); err == nil {
		t.Error("checking nothing is no error")
	}
}

// A baseline sets bounds and gives no rights; check must not tell an administrator to
// narrow it.
func TestCheckReadsABaselineAsOne(t *testing.T) {
	read := func(string) ([]byte, error) { return []byte("version = 1\n[filesystem]\nread = [\"/\"]\n"), nil }
	var out strings.Builder
	if err := Write([]string{"/etc/mcpen/baseline.toml"}, nil, read, noSingle, &out); err != nil {
		t.Errorf("a baseline: %v\n%s", err, out.String())
	}
	if err := Write([]string{"/etc/mcpen/profiles/other.toml"}, nil, read, noSingle, &out); err == nil {
		t.Error("a profile that gives away the whole machine is a good one")
	}
}

func noSingle(string) bool { return false }

// A person who declares one file learns which writes of programs beside it fail, before
// one does.
func TestCheckSaysWhatARuleForOneFileHolds(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"notes.json", "home.db"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(string) ([]byte, error) {
		return []byte("version = 1\n[filesystem]\nwrite = [\"${workspace}/notes.json\", \"${workspace}\", \"~/home.db\", \"~/none\", \"${state}/x\"]\n"), nil
	}
	var out strings.Builder
	if err := Write([]string{"p.toml"}, nil, read, Single(dir, dir), &out); err != nil {
		t.Fatal(err)
	}
	const says = " is one file: nothing is made beside it or renamed over it, as an atomic save and a database's journal do\n"
	want := "p.toml:3:10: ${workspace}/notes.json" + says + "\thint: write = [\"${workspace}\"]\n" +
		"p.toml:3:53: ~/home.db" + says + "p.toml: ok\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestCheckDoesNotPassWhatItCouldNotSay(t *testing.T) {
	read := func(string) ([]byte, error) { return []byte("version = 1\n"), nil }
	if err := Write([]string{"x.toml"}, nil, read, noSingle, fullDisk{}); err == nil {
		t.Error("a full disk looks like a good profile")
	}
}

// A script that reads the JSON gets every mistake with its line and column, and the notes
// that a person sees.
func TestCheckJSON(t *testing.T) {
	files := map[string]string{
		"good.toml": "version = 1\n[filesystem]\nwrite = [\"${workspace}/n.json\"]\n[require]\nwithout = [\"landlock\"]\n",
		"bad.toml":  "version = 1\n[network]\nallow = [\"b.example:0\"]\n",
	}
	read := func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}
	var out strings.Builder
	err := WriteJSON([]string{"good.toml", "bad.toml", "missing.toml"}, nil, read, func(string) bool { return true }, &out)
	if err == nil || err.Error() != "2 mistakes in 2 profiles" {
		t.Errorf("%v", err)
	}
	want := `[
  {
    "profile": "good.toml",
    "ok": true,
    "mistakes": [],
    "notes": [
      {
        "file": "good.toml",
        "line": 5,
        "col": 12,
        "key": "require.without",
        "text": "WITHOUT landlock: the server runs without this layer"
      },
      {
        "file": "good.toml",
        "line": 3,
        "col": 10,
        "key": "filesystem.write",
        "text": "${workspace}/n.json is one file: nothing is made beside it or renamed over it, as an atomic save and a database's journal do",
        "hint": "write = [\"${workspace}\"]"
      }
    ]
  },
`
	if !strings.HasPrefix(out.String(), want) {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	var all []checked
	if err := json.Unmarshal([]byte(out.String()), &all); err != nil || len(all) != 3 {
		t.Fatalf("%v: %s", err, out.String())
	}
	if bad := all[1]; bad.OK || len(bad.Mistakes) != 1 || bad.Mistakes[0].File != "bad.toml" || bad.Mistakes[0].Line != 3 || bad.Mistakes[0].Key != "network.allow[0]" || bad.Mistakes[0].Text == "" {
		t.Errorf("%+v", bad)
	}
	if missing := all[2]; missing.OK || len(missing.Mistakes) != 1 || missing.Notes == nil {
		t.Errorf("%+v", missing)
	}
	if err := WriteJSON([]string{"x.toml"}, nil, read, noSingle, fullDisk{}); err == nil {
		t.Error("what was not written passes")
	}
}
