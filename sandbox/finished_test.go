package sandbox_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What "explain" shows is enforced only if nothing changes a plan after Compile. Outside
// of sandbox/plan nothing assigns to a field of a plan, takes the address of one, or
// builds a plan of its own: whoever needs another plan asks sandbox/plan for a
// function that returns it, as WithSecrets does.
func TestNothingChangesAFinishedPlan(t *testing.T) {
	exports, own := listed(t)
	seen := 0
	for _, p := range own {
		if p.ImportPath == planPath {
			continue
		}
		set := token.NewFileSet()
		var files []*ast.File
		for _, name := range append(p.GoFiles, p.CgoFiles...) {
			f, err := parser.ParseFile(set, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		found, err := changes(set, p.ImportPath, files, exports)
		if err != nil {
			t.Fatalf("%s: %v", p.ImportPath, err)
		}
		for _, c := range found {
			t.Errorf("%s: %s: a plan is finished when Compile returns it", set.Position(c.pos), c.what)
		}
		seen += len(files)
	}
	if seen < 300 {
		t.Errorf("only %d files were looked at", seen)
	}
}

// The check above must find each way to change a plan, and nothing else.
func TestPlanChecksSee(t *testing.T) {
	exports, _ := listed(t)
	const text = `package p

import "mcpen/sandbox/plan"

type box struct {
	Plan plan.Plan
	Host plan.Host
}

func f(b *box, q *plan.Plan) {
	b.Plan.Name = ""                 // found
	b.Plan.Process.Env[0].Value = "" // found
	q.Limits[0].Value++              // found
	q.Process.UID, b.Host.Home = 0, "" // found
	way := &b.Plan.Network.Proxies // found
	way.HTTP.Via = "" // it was found where its address was taken
	for b.Plan.Name = range map[string]int{} { // found
	}
	r := plan.Plan{Name: "x"} // found
	for i := range r.Root {
		r.Root[i].Why = "" // found
	}
	limit := &r.Limits[0] // found
	limit.Value = 0 // found
	b.Plan, b.Host.Home = r, ""
	b.Plan = plan.Plan{}
	b.Host.Desk = &plan.Desk{}
	b.Host.Desk.Home = ""
	n := b.Plan.Name
	n = ""
	_ = n
}
`
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "p.go", text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found, err := changes(set, "mcpen/p", []*ast.File{f}, exports)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []int
	for _, c := range found {
		got = append(got, set.Position(c.pos).Line)
	}
	for i, line := range strings.Split(text, "\n") {
		if strings.Contains(line, "// found") {
			want = append(want, i+1)
		}
	}
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("found in lines %v, want %v", got, want)
	}
}

const planPath = "mcpen/sandbox/plan"

// built is one package of the module, with the files that are compiled here.
type built struct {
	ImportPath, Dir, Export string
	GoFiles, CgoFiles       []string
}

// listed returns the files with exported types of all packages that commands and
// sandbox need, by import path, and the module's own packages.
func listed(t *testing.T) (exports map[string]string, own []built) {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,CgoFiles", "-tags=urfave_cli_no_docs,runc_nocriu", "mcpen/cmd/...", "mcpen/sandbox/...")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, problems.String())
	}
	exports = map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p built
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return exports, own
		} else if err != nil {
			t.Fatal(err)
		}
		if exports[p.ImportPath] = p.Export; strings.HasPrefix(p.ImportPath, "mcpen/") {
			own = append(own, p)
		}
	}
}

type change struct {
	pos  token.Pos
	what string
}

// changes lists the places of a package that change a plan or a part of one.
func changes(set *token.FileSet, pkg string, files []*ast.File, exports map[string]string) ([]change, error) {
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
	gc := importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no exported types of %q", path)
		}
		return os.Open(exports[path])
	})
	cfg := types.Config{FakeImportC: true, Importer: gc}
	if _, err := cfg.Check(pkg, set, files, info); err != nil {
		return nil, err
	}
	waist, err := gc.Import(planPath)
	if err != nil {
		return nil, err
	}
	v := planVisitor{info: info, parts: planParts(waist)}
	for _, f := range files {
		ast.Inspect(f, v.visit)
	}
	return v.found, nil
}

// planParts names the types of sandbox/plan that a plan has and no input of Compile.
// Inputs are made by whoever asks for a plan.
func planParts(waist *types.Package) map[string]bool {
	reach := func(roots ...string) map[string]bool {
		seen := map[string]bool{}
		var walk func(types.Type)
		walk = func(typ types.Type) {
			switch typ := types.Unalias(typ).(type) {
			case *types.Named:
				name := typ.Obj().Name()
				if typ.Obj().Pkg() != waist || seen[name] {
					return
				}
				seen[name] = true
				walk(typ.Underlying())
			case *types.Struct:
				for i := range typ.NumFields() {
					walk(typ.Field(i).Type())
				}
			case *types.Map:
				walk(typ.Elem())
			case interface{ Elem() types.Type }: // a slice, an array or a pointer
				walk(typ.Elem())
			}
		}
		for _, r := range roots {
			walk(waist.Scope().Lookup(r).Type())
		}
		return seen
	}
	parts := reach("Plan")
	for name := range reach("Host", "Program") {
		delete(parts, name)
	}
	return parts
}

type planVisitor struct {
	info  *types.Info
	parts map[string]bool
	found []change
}

func (v *planVisitor) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		for _, e := range n.Lhs {
			v.add(e, "assigns to ")
		}
	case *ast.IncDecStmt:
		v.add(n.X, "changes ")
	case *ast.RangeStmt:
		v.add(n.Key, "assigns to ")
		v.add(n.Value, "assigns to ")
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			v.add(n.X, "takes the address of ")
		}
	case *ast.CompositeLit:
		if len(n.Elts) > 0 && v.part(v.info.TypeOf(n)) == "Plan" {
			v.found = append(v.found, change{n.Pos(), "builds a plan"})
		}
	}
	return true
}

// add notes the part of a plan that an expression is in, if it is in one.
func (v *planVisitor) add(e ast.Expr, what string) {
	for {
		switch x := e.(type) {
		case *ast.SelectorExpr:
			if s := v.info.Selections[x]; s != nil && s.Kind() == types.FieldVal {
				if name := v.part(s.Recv()); name != "" {
					v.found = append(v.found, change{x.Pos(), what + name + "." + x.Sel.Name})
					return
				}
			}
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		default:
			return
		}
	}
}

// part names the type where only a plan has it; "" for any other.
func (v *planVisitor) part(typ types.Type) string {
	if p, ok := types.Unalias(typ).(*types.Pointer); ok {
		typ = p.Elem()
	}
	named, ok := types.Unalias(typ).(*types.Named)
	if !ok || named.Obj().Pkg() == nil || named.Obj().Pkg().Path() != planPath || !v.parts[named.Obj().Name()] {
		return ""
	}
	return named.Obj().Name()
}
