// Package draft writes the text of a profile that a command begins: one that gives a
// server no file and no host yet. It writes no file.
package draft

import (
	"fmt"

	"github.com/BurntSushi/toml"
)

// Starting is the profile of a package alone.
func Starting(name, ref string) []byte {
	return fmt.Appendf(nil, "version = 1\nname = %q\n\n[server]\npackage = %q\n", name, ref)
}

// Extending is the profile that has everything from another one.
func Extending(name, other string) []byte {
	return fmt.Appendf(nil, "version = 1\nname = %q\nextends = [%q]\n", name, other)
}

// Package is the package that a profile's own text names.
func Package(text []byte) (string, error) {
	var p struct {
		Server struct {
			Package string `toml:"package"`
		} `toml:"server"`
	}
	_, err := toml.Decode(string(text), &p)
	return p.Server.Package, err
}
