package host

import (
	"os"
	"path/filepath"
	"testing"
)

// Root of a container starts servers as an ordinary user does, and only the machine's
// own root starts as many processes as it wants: a person is told of the limit that
// does not hold.
func TestWhatRootMay(t *testing.T) {
	const all, docker = "000001ffffffffff", "00000000a80425fb"
	for name, c := range map[string]struct {
		caps, ids     string
		admin, mapped bool
	}{
		"the machine's":         {all, "         0          0 4294967295\n", true, false},
		"a container's":         {docker, "         0          0 4294967295\n", false, false},
		"of a user's container": {docker, "         0       1000          1\n         1     100000      65536\n", false, true},
		"privileged there":      {all, "0 1000 1\n", true, true},
		"behind another range":  {all, "5 5 10\n0 100000 1\n", true, true},
		"no chroot":             {"000001fffffbffff", "0 0 1\n", false, false},
		"no administration":     {"000001ffffdfffff", "0 0 1\n", false, false},
		"capabilities unknown":  {"x", "", false, false},
		"ids unknown":           {all, "0 x 1\n", true, false},
		"another id alone":      {all, "1000 1000 1\n", true, false},
	} {
		root := t.TempDir()
		proc := filepath.Join(root, "proc/thread-self")
		if err := os.MkdirAll(proc, 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{"status": "Name:\tx\nCapEff:\t" + c.caps + "\n", "uid_map": c.ids} {
			if err := os.WriteFile(filepath.Join(proc, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ask := Ask{Root: root}
		if admin(ask) != c.admin || mapped(ask) != c.mapped {
			t.Errorf("%s: admin %v, mapped %v", name, admin(ask), mapped(ask))
		}
	}
	nothing := Ask{Root: t.TempDir()}
	if admin(nothing) || mapped(nothing) {
		t.Error("without /proc root may all")
	}
}
