// Package profiles holds the profiles that ship with mcpen.
package profiles

import (
	"embed"
	"strings"
	"sync"
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

// For returns the name of the profile for a package: "npm:NAME" or "pypi:NAME" as
// its registry has it, without version and extras. No other package has this profile,
// whatever it is called. Of profiles that start the same package it is the one that
// the others extend.
func For(pkg string) (name string, ok bool) {
	name, ok = byPackage()[pkg]
	return name, ok
}

var byPackage = sync.OnceValue(func() map[string]string {
	found := make(map[string]string)
	for _, name := range Names() {
		data, _ := Read(name) // it has been listed
		for line := range strings.Lines(string(data)) {
			// A profile that extends another one of the same package does not repeat
			// the line.
			if pkg, ok := strings.CutPrefix(line, `package = "`); ok {
				found[strings.TrimRight(pkg, "\"\n")] = name
			}
		}
	}
	return found
})
