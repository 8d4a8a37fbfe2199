package launch

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"mcpen/sandbox/definition"
)

// Sightings read back as written, and are written only if they differ: a file that is
// written at every list wears out a disk.
func TestSightingsAreWrittenAsTheyAreRead(t *testing.T) {
	dir := t.TempDir()
	p := PinFile{Name: "notes", File: filepath.Join(dir, "notes.pins"), Lock: "/x/\"quoted\".lock", Seen: filepath.Join(dir, "seen", "seen.json")}
	define := func(name, text string) definition.Definition {
		raw, err := json.Marshal(map[string]any{"name": name, "description": text, "inputSchema": map[string]any{"type": "object"}})
		if err != nil {
			t.Fatal(err)
		}
		d, err := definition.Define(definition.KindTool, raw)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	many := definition.Pins{Over: []string{"tool 12"}}
	for _, name := range []string{"a", "b<>&", "\u2028"} {
		many = many.See(define(name, "text of "+name+"\n</script>"))
	}
	for name, pins := range map[string]definition.Pins{"none": {}, "one": definition.Pins{}.See(define("a", "b")), "many": many} {
		if err := p.writeSeen(pins); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s, err := ReadSightings(p.Seen)
		if err != nil || s.PinFile != p || len(s.Pins.Definitions) != len(pins.Definitions) ||
			len(pins.Definitions) > 0 && !reflect.DeepEqual(s.Pins.Definitions, pins.Definitions) || !reflect.DeepEqual(s.Pins.Over, pins.Over) {
			t.Errorf("%s: %v\n%+v\n%+v", name, err, s, pins)
		}
		before, err := os.Stat(p.Seen)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.writeSeen(pins); err != nil {
			t.Fatal(err)
		}
		if after, err := os.Stat(p.Seen); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: the same was written again: %v", name, err)
		}
		// Longer, shorter or different content is not equal.
		var b bytes.Buffer
		if _, err := (Sightings{PinFile: p, Pins: pins}).encode(&b); err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{"longer": b.String() + " ", "shorter": b.String()[:b.Len()-1], "other": "x" + b.String()[1:]} {
			if err := os.WriteFile(p.Seen, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := p.writeSeen(pins); err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(p.Seen); err != nil || !bytes.Equal(data, b.Bytes()) {
				t.Errorf("%s: what was %s stayed: %v", name, what, err)
			}
		}
	}
}
