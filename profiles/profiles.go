// Package profiles holds the profiles that ship with mcpen.
package profiles

import (
	"embed"
	"strings"
)

//go:embed *.toml
var files embed.FS

// Read returns the text of the profile with this name, without ".toml".
func Read(name string) ([]byte, bool) {
	if strings.ContainsAny(name, `/\`) {
		return nil, false
	}
	data, err := files.ReadFile(name + ".toml")
	return data, err == nil
}

// Names returns the names of all profiles, sorted.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic("internal error: no embedded profiles: " + err.Error())
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".toml")
	}
	return names
}
