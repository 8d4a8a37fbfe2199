package registry

import (
	"slices"
	"strings"

	"deps.dev/util/semver"

	"mcpen/sandbox/pack"
)

// Interpreter is the answer of node or Python about itself. The zero value is an
// unknown one: every version fits it.
type Interpreter struct {
	Version string   `json:"version"` // such as 20.11.1
	Tags    []string `json:"tags"`    // Python: the wheels that it takes, as python-abi-platform
	// Registry is the one that its package manager asks where nothing is configured;
	// "" where that is to be had from the package manager alone.
	Registry string `json:"registry"`
}

// fitsNode is true where this node is in the range, and where either is not known
// or does not read.
func (i Interpreter) fitsNode(wanted string) bool { return i.within(semver.NPM, wanted) }

// FitsPython is fitsNode for Requires-Python.
func (i Interpreter) FitsPython(wanted string) bool { return i.within(semver.PyPI, wanted) }

func (i Interpreter) within(system semver.System, wanted string) bool {
	if i.Version == "" || strings.TrimSpace(wanted) == "" {
		return true
	}
	have, err := system.Parse(i.Version)
	if err != nil {
		return true
	}
	c, err := system.ParseConstraint(wanted)
	return err != nil || c.MatchVersion(have)
}

// Loads is true where the interpreter can load a wheel. A wheel's tags may each be
// a set: "py2.py3-none-any" (PEP 425).
func (i Interpreter) Loads(w pack.Wheel) bool {
	if len(i.Tags) == 0 {
		return true
	}
	parts := strings.Split(w.Tags, "-")
	for _, python := range strings.Split(parts[0], ".") {
		for _, abi := range strings.Split(parts[1], ".") {
			for _, platform := range strings.Split(parts[2], ".") {
				if slices.Contains(i.Tags, python+"-"+abi+"-"+platform) {
					return true
				}
			}
		}
	}
	return false
}
