package launch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mcpen/sandbox/guard"
)

// shelved is a server whose pins are beside its profile, with one definition.
func shelved(t *testing.T) (PinFile, guard.Definition) {
	t.Helper()
	dir := t.TempDir()
	p := PinFile{Name: "notes", File: filepath.Join(dir, "project", "notes.pins"), State: filepath.Join(dir, "state")}
	d, err := guard.Define(guard.KindTool, []byte(`{"name":"add","description":"adds","inputSchema":{"type":"object"}}`))
	if err != nil {
		t.Fatal(err)
	}
	d.State = guard.Seen
	if err := p.Prepare(); err != nil {
		t.Fatal(err)
	}
	return p, d
}

func states(t *testing.T, p PinFile) []guard.State {
	t.Helper()
	pins, err := p.Read()
	if err != nil {
		t.Fatal(err)
	}
	var out []guard.State
	for _, d := range pins.Definitions {
		out = append(out, d.State)
	}
	return out
}

// What was seen is there in the next run and for a review, and the folder of the
// profile, which may be anybody's, is written to by the review alone.
func TestWhatWasSeenIsKeptOnTheShelf(t *testing.T) {
	p, d := shelved(t)
	if err := p.remember(guard.Pins{}, guard.Pins{Definitions: []guard.Definition{d}}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(p.File)); err == nil {
		t.Error("the launcher wrote beside the profile")
	}
	if got := states(t, p); !slices.Equal(got, []guard.State{guard.Seen}) {
		t.Errorf("seen before the review: %v", got)
	}
	if got := PinFiles(t.TempDir(), p.State); len(got) != 1 || got[0] != p {
		t.Errorf("a review finds %+v, want %+v", got, p)
	}
	if err := p.Change(func(now guard.Pins) guard.Pins { return now.ApproveAll() }); err != nil {
		t.Fatal(err)
	}
	if got := states(t, p); !slices.Equal(got, []guard.State{guard.Approved}) {
		t.Errorf("behind the review: %v", got)
	}
	if pins, err := p.Reviewed(); err != nil || len(pins.Definitions) != 1 || pins.Definitions[0].State != guard.Approved {
		t.Errorf("a running launcher reads %+v, %v", pins, err)
	}
	if _, err := os.Stat(p.seen()); err == nil {
		t.Error("what was decided about waits again")
	}
	if err := p.Forget(); err != nil {
		t.Fatal(err)
	}
	if pins, err := p.Reviewed(); err != nil || len(pins.Definitions) != 0 || len(states(t, p)) != 0 {
		t.Errorf("forgotten: %+v, %v", pins, err)
	}
}

// A launcher that somebody has taken over writes to the shelf what it likes. It
// approves nothing by that, and no file of another's is read or written for it.
func TestShelfApprovesNothing(t *testing.T) {
	p, d := shelved(t)
	d.State = guard.Approved
	text, err := encoded(guard.Pins{Definitions: []guard.Definition{d}})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{p.seen(), p.reviewed()} {
		if err := ReplaceFile(file, text); err != nil {
			t.Fatal(err)
		}
	}
	if got := states(t, p); !slices.Equal(got, []guard.State{guard.Seen}) {
		t.Errorf("approved by the shelf: %v", got)
	}
	other := PinFile{Name: "other", File: filepath.Join(t.TempDir(), "other.pins"), State: p.State}
	if err := os.WriteFile(filepath.Join(p.shelf(), "x.json"), []byte(`{"name":"other","file":"`+other.File+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.shelf()+".json", []byte(`{"name":"notes","file":"`+other.File+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := PinFiles(t.TempDir(), p.State); len(got) != 0 {
		t.Errorf("a shelf is another's: %+v", got)
	}
}

// Two servers of one name do not share a shelf.
func TestShelfIsOfOneFile(t *testing.T) {
	a, b := PinFile{Name: "notes", File: "/a/notes.pins", State: "/s"}, PinFile{Name: "notes", File: "/b/notes.pins", State: "/s"}
	if a.shelf() == b.shelf() {
		t.Error("they do")
	}
}
