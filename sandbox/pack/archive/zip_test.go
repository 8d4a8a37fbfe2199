package archive

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpen/sandbox/pack"
	"mcpen/sandbox/pack/packtest"
)

// If two readers read a zip differently, one of them checks other files than the other
// one installs.
func TestAmbiguousZips(t *testing.T) {
	good := packtest.Zip(map[string]string{"evil.py": "x = 1\n", "evil-1.0.dist-info/METADATA": "Name: evil\nVersion: 1.0\n", "evil-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\n"})
	shift := func(data []byte, by uint32) []byte { // of the directory, in the end record
		end := bytes.Clone(data)
		at := end[len(end)-6:]
		binary.LittleEndian.PutUint32(at, binary.LittleEndian.Uint32(at)+by)
		return end
	}
	start := int(binary.LittleEndian.Uint32(good[len(good)-6:]))
	insert := func(at int, more string) []byte {
		return append(append(bytes.Clone(good[:at]), more...), good[at:]...)
	}
	locator := "PK\x06\x07" + strings.Repeat("\x00", 16)
	renamed := bytes.Clone(good)
	copy(renamed[30:], "e")
	renamed[bytes.Index(renamed, []byte("evil"))+1] = 'w'
	for name, tc := range map[string]struct {
		zip  []byte
		want string
	}{
		"a zip64 locator":        {insert(len(good)-22, locator), "belong to no entry"},
		"a prefix":               {append([]byte("#!/bin/sh\n"), good...), "belong to no entry"},
		"a prefix that is told":  {shift(append([]byte("0123456789"), good...), 10), "another name"},
		"bytes before the table": {shift(insert(start, "hidden"), 6), "belong to no entry"},
		"bytes behind":           {append(bytes.Clone(good), "tail"...), "follows"},
		"two zips":               {append(bytes.Clone(good), good...), "belong to no entry"},
		"another local name":     {renamed, "another name"},
		"a second dist-info":     {packtest.Zip(map[string]string{"evil-1.0.dist-info/METADATA": "x", "other-2.0.dist-info/METADATA": "x"}), "another package"},
		"an egg-info":            {packtest.Zip(map[string]string{"evil-1.0.dist-info/METADATA": "x", "other.egg-info/PKG-INFO": "x"}), "another package"},
		"another's dist-info":    {packtest.Zip(map[string]string{"other-2.0.dist-info/METADATA": "x"}), "another package"},
		"none":                   {packtest.Zip(map[string]string{"evil.py": "x"}), "no dist-info"},
	} {
		file := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(file, tc.zip, 0o600); err != nil {
			t.Fatal(err)
		}
		opened, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		err = Check(opened, "evil-1.0-py3-none-any.whl", pack.DefaultLimits())
		opened.Close()
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	file := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if err := Check(opened, "evil-1.0-py3-none-any.whl", pack.DefaultLimits()); err != nil {
		t.Errorf("an ordinary one: %v", err)
	}
}

func FuzzZipLayout(f *testing.F) {
	f.Add(packtest.Zip(map[string]string{"a.py": "x"}))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, data []byte) {
		checkZipLayout(bytes.NewReader(data), int64(len(data)))
	})
}
