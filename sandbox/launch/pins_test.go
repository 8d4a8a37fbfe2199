package launch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpen/sandbox/definition"
)

func tool(t *testing.T, text string) definition.Definition {
	t.Helper()
	d, err := definition.Define(definition.KindTool, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func pinFile(t *testing.T) PinFile {
	t.Helper()
	dir := t.TempDir()
	p := PinFile{Name: "notes", File: filepath.Join(dir, "profiles", "notes.pins"), Lock: filepath.Join(dir, "profiles", "notes.lock")}
	p.Seen = SeenFile(filepath.Join(dir, "state"), p)
	if err := os.MkdirAll(filepath.Dir(p.File), 0o700); err != nil {
		t.Fatal(err)
	}
	return p
}

func read(t *testing.T, p PinFile) definition.Pins {
	t.Helper()
	pins, err := p.Read()
	if err != nil {
		t.Fatal(err)
	}
	return pins
}

// states lists the definitions of pins, by name and state.
func states(p definition.Pins) string {
	var out []string
	for _, d := range p.Definitions {
		out = append(out, d.Name+" "+string(d.State)+" "+string(d.Description))
	}
	return strings.Join(out, "; ")
}

// The definitions that a run sees are stored apart from a person's decisions: only a
// person changes the file that a team trusts by its content.
func TestSeenIsKeptApart(t *testing.T) {
	p := pinFile(t)
	run := definition.Pins{Over: []string{"tool x"}}.See(tool(t, `{"name":"a"}`)).Wait(tool(t, `{"name":"b"}`))
	if _, differs, err := p.remember(run); err != nil || differs {
		t.Fatal(differs, err)
	}
	if _, err := os.Stat(p.File); err == nil {
		t.Errorf("%s was written by a run", p.File)
	}
	if got := read(t, p); states(got) != "a seen ; b waiting " || len(got.Over) != 1 {
		t.Errorf("kept: %s, %v", states(got), got.Over)
	}
	err := p.Change(func(now definition.Pins) definition.Pins { return now.Approve(tool(t, `{"name":"b"}`)) })
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(p.File)
	if err != nil || strings.Contains(string(text), `"a"`) || !strings.Contains(string(text), `state = "approved"`) {
		t.Errorf("decided: %s, %v", text, err)
	}
	if got := states(read(t, p)); got != "a seen ; b approved " {
		t.Errorf("together: %s", got)
	}
	before := text
	if _, _, err := p.remember(read(t, p).Wait(tool(t, `{"name":"c"}`))); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(p.File); string(text) != string(before) {
		t.Errorf("a run changed what a person decided: %s", text)
	}
}

// A changed definition is stored, even though the number of definitions is the same.
func TestChangedIsRemembered(t *testing.T) {
	p := pinFile(t)
	for _, text := range []string{`{"name":"a","description":"one"}`, `{"name":"a","description":"two"}`, `{"name":"a","description":"three"}`} {
		if _, _, err := p.remember(definition.Pins{}.See(tool(t, text))); err != nil {
			t.Fatal(err)
		}
	}
	if got := states(read(t, p)); got != "a seen one; a waiting three" {
		t.Errorf("kept: %s", got)
	}
}

// Of two runs at once, the second one learns that it was not first.
func TestTwoRunsRemember(t *testing.T) {
	p := pinFile(t)
	if _, _, err := p.remember(definition.Pins{}.See(tool(t, `{"name":"a"}`))); err != nil {
		t.Fatal(err)
	}
	all, differs, err := p.remember(definition.Pins{}.See(tool(t, `{"name":"a","title":"x"}`)))
	if err != nil || !differs || states(all) != "a seen ; a waiting " {
		t.Errorf("the second run is told %v, %s, %v", differs, states(all), err)
	}
}

// The file never exceeds the size that can be read again, and definitions in use go
// first.
func TestSeenIsBounded(t *testing.T) {
	p := pinFile(t)
	pins := definition.Pins{}
	long := strings.Repeat("x", 1<<20)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		d := tool(t, `{"name":"`+name+`","description":"`+long+`"}`)
		if name < "c" {
			pins = pins.Wait(d)
		} else {
			pins = pins.See(d)
		}
	}
	if _, _, err := p.remember(pins); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(p.Seen)
	if err != nil || st.Size() > maxSeenText+64<<10 {
		t.Fatalf("%d bytes, %v", st.Size(), err)
	}
	for _, d := range read(t, p).Definitions {
		if d.State != definition.Seen {
			t.Errorf("%s is kept, which is not in use", d.Name)
		}
	}
}

// Tampered pins approve nothing, and can be forgotten.
func TestTamperedPinsStopTheStart(t *testing.T) {
	for _, which := range []func(PinFile) string{func(p PinFile) string { return p.File }, func(p PinFile) string { return p.Seen }} {
		p := pinFile(t)
		err := p.Change(func(now definition.Pins) definition.Pins {
			return now.Approve(tool(t, `{"name":"a","description":"honest"}`)).See(tool(t, `{"name":"b","description":"honest"}`))
		})
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(which(p))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(which(p), []byte(strings.ReplaceAll(string(data), "honest", "hostile")), 0o600); err != nil {
			t.Fatal(err)
		}
		if pins, err := p.Read(); err == nil {
			t.Errorf("%s was taken as %s", which(p), states(pins))
		}
		if err := p.Forget(); err != nil {
			t.Fatal(err)
		}
		if got := states(read(t, p)); got != "" {
			t.Errorf("after forgetting: %s", got)
		}
	}
}

// Pins that an older mcpen stored in a lock count until a person decides anew, and the
// lock does not change.
func TestPinsOfALock(t *testing.T) {
	p := pinFile(t)
	old := "lock = 1\n\n[[pins.definition]]\nkind = \"tool\"\nname = \"a\"\nstate = \"approved\"\nsha256 = \"" + tool(t, `{"name":"a"}`).SHA256 + "\"\nrest = '{\"name\":\"a\"}'\n"
	if err := os.WriteFile(p.Lock, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := states(read(t, p)); got != "a approved " {
		t.Fatalf("of the lock: %s", got)
	}
	if err := p.Change(func(now definition.Pins) definition.Pins { return now.Reject(tool(t, `{"name":"b"}`)) }); err != nil {
		t.Fatal(err)
	}
	if got := states(read(t, p)); got != "a approved ; b rejected " {
		t.Errorf("after a decision: %s", got)
	}
	if text, _ := os.ReadFile(p.Lock); string(text) != old {
		t.Errorf("the lock was changed: %s", text)
	}
	if err := p.Forget(); err != nil {
		t.Fatal(err)
	}
	if got := states(read(t, p)); got != "" {
		t.Errorf("after forgetting: %s", got)
	}
}

// Another server's names count once a person approved them, up to the bound for one
// server.
func TestOthersAreApprovedAndBounded(t *testing.T) {
	p := pinFile(t)
	config := filepath.Dir(filepath.Dir(p.File))
	err := p.Change(func(now definition.Pins) definition.Pins {
		return now.Approve(tool(t, `{"name":"good"}`)).See(tool(t, `{"name":"seen"}`)).Wait(tool(t, `{"name":"waits"}`)).Reject(tool(t, `{"name":"bad"}`))
	})
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	for range 2 { // from the file, then from the index
		others := Others(config, state, "self")
		if len(others) != 1 || others[0].Server != "notes" || strings.Join(others[0].Tools, " ") != "good" {
			t.Errorf("others: %+v", others)
		}
	}
	if others := Others(config, state, "notes"); len(others) != 0 {
		t.Errorf("a server is another one to itself: %+v", others)
	}
	err = p.Change(func(now definition.Pins) definition.Pins {
		for i := range 100 {
			now = now.Approve(tool(t, `{"name":"`+strings.Repeat(string(rune('a'+i%26)), 900)+strings.Repeat("z", i)+`"}`))
		}
		return now
	})
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, name := range Others(config, state, "self")[0].Tools {
		size += len(name)
	}
	if size == 0 || size > maxOtherBytes {
		t.Errorf("%d bytes of names", size)
	}
}
