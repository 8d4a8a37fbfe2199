package profiles

import (
	"path/filepath"
	"strings"
)

// File is the name in messages of a profile that mcpen carries.
func File(name string) string { return "profiles/" + name + ".toml" }

// Ships reports whether a file's name is that of a profile that mcpen carries. No
// file of this machine is called so (see catalog.FileName): one with the same text may change.
func Ships(file string) bool {
	name := strings.TrimSuffix(filepath.Base(file), ".toml")
	_, ok := Read(name)
	return ok && file == File(name)
}
