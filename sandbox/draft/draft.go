// Package draft writes the text of a profile that a command begins: one that gives a
// server no file and no host yet. It writes no file.
package draft

import (
	"fmt"

	"github.com/BurntSushi/toml"

	"mcpen/sandbox/audit"
)

// Starting is the profile of a package alone.
func Starting(name, ref string) []byte {
	return fmt.Appendf(nil, "version = 1\nname = %s\n\n[server]\npackage = %s\n", audit.TOMLString(name), audit.TOMLString(ref))
}

// Extending is the profile that has everything from another one.
func Extending(name, other string) []byte {
	return fmt.Appendf(nil, "version = 1\nname = %s\nextends = [%s]\n", audit.TOMLString(name), audit.TOMLString(other))
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
