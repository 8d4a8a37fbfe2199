package lockfile

import "testing"

// Approving a tool leaves the package's part as it was, to the byte, and updating the
// package leaves the pins.
func TestSplitAndJoinKeepTheOtherPart(t *testing.T) {
	for _, c := range []struct{ name, head, pins string }{
		{"no pins", "lock = 1\n", ""},
		{"a table", "lock = 1\n\n[tree]\n\"linux/amd64\" = \"x\"\n", "[pins]\nversion = 1\n"},
		{"an array of tables", "lock = 1\n", "[[pins.definition]]\nname = \"a\"\n\n[[pins.definition]]\nname = \"b\"\n"},
		{"spaces in the header", "lock = 1\n", "  [ pins ]\nversion = 1\n"},
		{"a name that only begins so", "lock = 1\n\n[pinstripes]\na = 1\n", ""},
	} {
		whole := Join([]byte(c.head), []byte(c.pins))
		head, pins := Split(whole)
		if string(pins) != c.pins {
			t.Errorf("%s: pins are %q, want %q", c.name, pins, c.pins)
		}
		if again := Join(head, pins); string(again) != string(whole) {
			t.Errorf("%s: joined again it is %q, was %q", c.name, again, whole)
		}
		if want := c.head; len(c.pins) == 0 && string(whole) != want {
			t.Errorf("%s: %q became %q", c.name, want, whole)
		}
	}
}
