package subject

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/pack"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/server"
	"mcpen/sandbox/trial"
	"mcpen/sandbox/user"
	"mcpen/sandbox/wholefile"
)

// maxScripts bounds the install scripts that are run.
const maxScripts = 32

// installScript is a line that npm would run in the folder of a package.
type installScript struct {
	of, version string
	dir         string // in the tree
	event, line string
}

// installScripts are those of a tree of npm's, in the order of their folders.
func installScripts(tree string) (out []installScript) {
	_ = filepath.WalkDir(tree, func(p string, d fs.DirEntry, err error) error {
		if err != nil || len(out) >= maxScripts {
			return fs.SkipAll
		}
		up := filepath.Base(filepath.Dir(filepath.Dir(p)))
		if d.Name() != "package.json" || up != "node_modules" && filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(p)))) != "node_modules" {
			return nil
		}
		out = append(out, scriptsOf(filepath.Dir(p))...)
		return nil
	})
	return out
}

// scriptsOf are the lines of one package, as npm-scripts(7) has them.
func scriptsOf(dir string) (out []installScript) {
	data, err := wholefile.Read(filepath.Join(dir, "package.json"), policy.MaxFile)
	var said struct {
		Name, Version string
		Scripts       map[string]any
	}
	if err != nil || json.Unmarshal(data, &said) != nil {
		return nil
	}
	for _, event := range []string{"preinstall", "install", "postinstall"} {
		if line, ok := said.Scripts[event].(string); ok && line != "" {
			out = append(out, installScript{said.Name, said.Version, dir, event, line})
		}
	}
	return out
}

// scripts are the plans of a package's install scripts. Each finds its folder as it was
// installed, and cannot change it.
func (f *Finder) scripts(ctx context.Context, at user.Dirs, o Options, s *Subject, st *stage) (out []trial.Script, err error) {
	if s.tree == nil || s.ref.Ecosystem != pack.NPM {
		return nil, nil
	}
	for _, one := range installScripts(s.tree.Dir) {
		mark := rand.Text()
		dir := path.Join(st.root, strings.TrimPrefix(one.dir, s.dir))
		p := &server.Prepared{Dirs: at, Policy: policy.Closed(s.name), Program: st.program(s)}
		p.Program.Path, p.Program.Args = "/bin/sh", []string{"sh", "-c", "cd " + audit.Command(dir) + " && (" + one.line + "\n); s=$?; printf '\\n%s\\n' " + mark + "; read -r _; exit $s"}
		if p.Host, err = host.Probe(ctx, f.Ask(*p)); err != nil {
			return nil, err
		}
		env := append([]plan.Env{{Name: "npm_lifecycle_event", Value: one.event}, {Name: "npm_package_name", Value: one.of}, {Name: "npm_package_version", Value: one.version},
			{Name: "INIT_CWD", Value: st.Desk.Workspace}}, o.Env...)
		p.Host.Desk = st.desk(ctx, s, env)
		if p.Plan, err = plan.Compile(p.Policy, p.Program, p.Host); err != nil {
			return nil, fmt.Errorf("cannot run the install script of %q: %w", one.of, err)
		}
		out = append(out, trial.Script{Of: one.of, Plan: p.Plan, Mark: mark})
	}
	return out, nil
}
