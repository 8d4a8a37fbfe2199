package install

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"mcpen/sandbox/pack"
)

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

// nodeFacts asks a node about itself. Npm's own definitions, whose possible places
// follow, know its registry, without the half second in which npm starts.
const nodeFacts = `const facts = {version: process.versions.node}
for (const place of process.argv.slice(1)) try {
  facts.registry = require(place).defaults.registry
  break
} catch {}
console.log(JSON.stringify(facts))`

// AskInterpreter has the interpreter of an ecosystem report its version and the formats
// that it can load, in a job without network.
func (in *Installer) AskInterpreter(ctx context.Context, e pack.Ecosystem) error {
	argv := append([]string{in.Tools.Node, "-e", nodeFacts}, npmDefinitions(in.Tools.NPM)...)
	if e == pack.PyPI {
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

// npmDefinitions returns the modules of which one has npm's defaults: that of npm 10 and
// later, and that of npm 9, which Debian has. It returns none where npm's program does
// not lie where npm has it.
func npmDefinitions(npm []string) []string {
	for _, arg := range npm {
		if real, err := filepath.EvalSymlinks(arg); err == nil {
			arg = real
		}
		if root, ok := strings.CutSuffix(arg, "/bin/npm-cli.js"); ok {
			return []string{root + "/node_modules/@npmcli/config/lib/definitions", root + "/lib/utils/config"}
		}
	}
	return nil
}
