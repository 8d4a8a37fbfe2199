package pack

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func FuzzParseLock(f *testing.F) {
	sri := "sha512-" + strings.Repeat("A", 86) + "=="
	l := Lock{Form: LockVersion, Package: "npm:left", Version: "1.0.0", Integrity: sri, Locked: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Dependencies: []Dependency{
		{Path: "node_modules/left", Version: "1.0.0", Integrity: sri}, {Path: "node_modules/left/node_modules/x", Name: "@a/b", Version: "2.0.0", Integrity: sri}}}
	l.Trees = map[string]string{"linux-amd64": "sha256:" + strings.Repeat("a", 64)}
	l.Pins = "[pins]\na = 1\n"
	text, err := l.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("lock = 1\n[pins]\n[[dependency]]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseLock(data)
		if err != nil {
			return
		}
		text, err := l.Encode()
		if err != nil {
			t.Fatalf("read but cannot be written: %v", err)
		}
		again, err := ParseLock(text)
		if err != nil {
			t.Fatalf("written but cannot be read: %v\n%s", err, text)
		}
		if second, err := again.Encode(); err != nil || !bytes.Equal(text, second) {
			t.Fatalf("two writings differ: %v\n%s\n%s", err, text, second)
		}
	})
}

// A lock's address leads nowhere but to an archive of that package.
func TestLockNamesOnlyArchives(t *testing.T) {
	for from, fine := range map[string]bool{
		"": true, "left/-/left-1.0.0.tgz": true, "archives/left/1.0.0.tgz": true, "/download/@s/left/1.0.0/abcdef": true, "deep/left-1.0.0.tar.gz": true,
		"../admin/left-1.0.0.tgz": false, "%2e%2e/left-1.0.0.tgz": false, "left/-/left-1.0.0.tgz?delete=1": false, "//evil.invalid/left-1.0.0.tgz": false,
		"http://evil.invalid/left-1.0.0.tgz": false, "-/npm/v1/tokens": false, "right/-/right-1.0.0.tgz": false, "left": false, "a/./left-1.0.0.tgz": false,
		"left/../../left-1.0.0.tgz": false, `a\left-1.0.0.tgz`: false, "left-1.0.0.tgz#x": false, "left\n-1.0.0.tgz": false,
	} {
		if err := CheckFrom(from, "@s/left", "1.0.0"); (err == nil) != fine {
			t.Errorf("%q: %v", from, err)
		}
	}
}
