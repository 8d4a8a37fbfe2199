package pack

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"deps.dev/util/semver"
)

// Interpreter is what node or Python says of itself. The zero value is one of
// which nothing is known: every version fits it.
type Interpreter struct {
	Version string   `json:"version"` // such as 20.11.1
	Tags    []string `json:"tags"`    // Python: the wheels that it takes, as python-abi-platform
	// Registry is the one that its package manager asks where nothing is configured;
	// "" where that is to be had from the package manager alone.
	Registry string `json:"registry"`
}

// pythonFacts asks a Python about itself. Pip knows its tags and its index.
const pythonFacts = `import json, sys
tags, registry = [], ""
try:
    from pip._vendor.packaging.tags import sys_tags
    tags = [str(t) for t in sys_tags()]
    from pip._internal.models.index import PyPI
    registry = PyPI.simple_url
except ImportError:
    pass
print(json.dumps({"version": "%d.%d.%d" % sys.version_info[:3], "tags": tags, "registry": registry}))`

// nodeFacts asks a node about itself. Npm's own definitions, whose place follows,
// know its registry, without the half second in which npm starts.
const nodeFacts = `const facts = {version: process.versions.node}
try {
  facts.registry = require(process.argv[1]).defaults.registry
} catch {}
console.log(JSON.stringify(facts))`

// AskInterpreter has the interpreter of an ecosystem say its version and what it
// can load, in a job without network.
func (in *Installer) AskInterpreter(ctx context.Context, e Ecosystem) error {
	argv := []string{in.Tools.Node, "-e", nodeFacts, npmDefinitions(in.Tools.NPM)}
	if e == PyPI {
		argv = []string{in.Tools.Python, "-I", "-c", pythonFacts}
	}
	if !filepath.IsAbs(argv[0]) {
		return nil
	}
	stage, err := in.Store.Stage()
	if err != nil {
		return err
	}
	defer stage.Close()
	out, words := tail{limit: 1 << 20}, tail{}
	job := Job{Name: "version", Argv: argv, Dir: stage.Dir, Reads: in.Tools.Reads, Stdout: &out, Stderr: &words, Env: []string{"PATH=" + in.Tools.Path, "HOME=" + stage.Dir}}
	if err := in.Run(ctx, job); err != nil {
		return errTool("asking "+filepath.Base(argv[0])+" for its version", err, words.buf)
	}
	if err := json.Unmarshal(out.buf, &in.Tools.Interpreter); err != nil {
		return fmt.Errorf("cannot tell the version of %q: %w", argv[0], err)
	}
	return nil
}

// npmDefinitions is the module in which npm's defaults stand; "" where npm's program
// is not where npm has it.
func npmDefinitions(npm []string) string {
	for _, arg := range npm {
		if real, err := filepath.EvalSymlinks(arg); err == nil {
			arg = real
		}
		if root, ok := strings.CutSuffix(arg, "/bin/npm-cli.js"); ok {
			return root + "/node_modules/@npmcli/config/lib/definitions"
		}
	}
	return ""
}

// node is what a package says of the node that it needs, as engines.node; "" where
// it says nothing.
func (v npmVersion) node() string {
	var engines map[string]any
	if json.Unmarshal(v.Engines, &engines) != nil {
		return "" // old packages have a list here, which npm passes over as well
	}
	s, _ := engines["node"].(string)
	return strings.TrimSpace(s)
}

// fitsNode is true where this node is in the range, and where either is not known
// or does not read.
func (i Interpreter) fitsNode(wanted string) bool { return i.within(semver.NPM, wanted) }

// fitsPython is fitsNode for Requires-Python.
func (i Interpreter) fitsPython(wanted string) bool { return i.within(semver.PyPI, wanted) }

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

// loads is true where the interpreter can load a wheel. A wheel's tags may each be
// a set: "py2.py3-none-any" (PEP 425).
func (i Interpreter) loads(w wheel) bool {
	if len(i.Tags) == 0 {
		return true
	}
	parts := strings.Split(w.tags, "-")
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
