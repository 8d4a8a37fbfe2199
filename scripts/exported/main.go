// Exported prints the exported names of this module that no other package needs. A
// package's own tests do not count: what only they need is exported in a file
// export_test.go.
//
// A name is needed if another package names it. It is also needed if the type of a needed
// name mentions it, if it is a constant of a needed type or declared together with a
// needed one, or if it is a method by which its type meets an interface.
//
// usage: go run ./scripts/exported TAGS
package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// listed is a package as go list prints it, or a variant of one for its tests.
type listed struct {
	ImportPath, ForTest, Dir, Export string
	GoFiles, CgoFiles                []string
	ImportMap                        map[string]string
	DepOnly                          bool
}

// tree is what the packages of the module declare and need.
type tree struct {
	exports    map[string]string // files of export data, by import path
	files      *token.FileSet
	declared   []types.Object
	needed     map[string]bool // by key
	blocks     [][]string      // the keys of constants that are declared together
	interfaces []*types.Interface
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("exported: ")
	out, err := exec.Command("go", "list", "-export", "-deps", "-test", "-tags", os.Args[1], "-json", "./...").Output()
	if err != nil {
		log.Fatalf("go list: %v", err)
	}
	t := &tree{exports: map[string]string{}, files: token.NewFileSet(), needed: map[string]bool{}}
	var own []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			log.Fatal(err)
		}
		t.exports[p.ImportPath] = p.Export
		if !p.DepOnly && !strings.HasSuffix(p.ImportPath, ".test") {
			own = append(own, p)
		}
	}
	for _, p := range own {
		t.check(p)
	}
	for _, line := range t.unneeded() {
		fmt.Println(line)
	}
}

// check adds one package to the tree.
func (t *tree) check(p listed) {
	var files []*ast.File
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		f, err := parser.ParseFile(t.files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			log.Fatal(err)
		}
		files = append(files, f)
	}
	open := func(path string) (io.ReadCloser, error) {
		if to, ok := p.ImportMap[path]; ok {
			path = to
		}
		return os.Open(t.exports[path])
	}
	info := types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(t.files, "gc", open), FakeImportC: true}
	pkg, err := conf.Check(p.ImportPath, t.files, files, &info)
	if err != nil {
		log.Fatal(err)
	}
	base := strings.TrimSuffix(strings.Fields(p.ImportPath)[0], "_test")
	for _, o := range info.Uses {
		if o.Pkg() != nil && o.Exported() && strings.Fields(o.Pkg().Path())[0] != base {
			t.need(o)
		}
	}
	t.addInterfaces(pkg)
	if p.ForTest == "" {
		t.declare(pkg.Scope())
		t.addBlocks(pkg, files)
	}
}

// addBlocks adds the blocks of constants in a package's files.
func (t *tree) addBlocks(pkg *types.Package, files []*ast.File) {
	for _, f := range files {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			var block []string
			for _, s := range g.Specs {
				for _, name := range s.(*ast.ValueSpec).Names {
					block = append(block, pkg.Path()+"."+name.Name)
				}
			}
			t.blocks = append(t.blocks, block)
		}
	}
}

// addInterfaces adds the interfaces that a package declares or can name.
func (t *tree) addInterfaces(pkg *types.Package) {
	for _, from := range append(pkg.Imports(), pkg, types.Universe.Lookup("error").Pkg()) {
		scope := types.Universe
		if from != nil {
			scope = from.Scope()
		}
		for _, name := range scope.Names() {
			if i, ok := scope.Lookup(name).Type().Underlying().(*types.Interface); ok && i.NumMethods() > 0 {
				t.interfaces = append(t.interfaces, i)
			}
		}
	}
}

// declare adds the exported names of a package, and the methods of its exported types.
func (t *tree) declare(scope *types.Scope) {
	for _, name := range scope.Names() {
		o := scope.Lookup(name)
		if !o.Exported() {
			continue
		}
		t.declared = append(t.declared, o)
		n, _ := o.Type().(*types.Named)
		if _, ok := o.(*types.TypeName); !ok || n == nil {
			continue
		}
		for m := range n.Methods() {
			if m.Exported() {
				t.declared = append(t.declared, m)
			}
		}
	}
}

// need marks a name of this module as needed, and all that its type mentions.
func (t *tree) need(o types.Object) {
	if o.Pkg() == nil || !strings.HasPrefix(o.Pkg().Path(), "mcpen/") || t.needed[key(o)] {
		return
	}
	t.needed[key(o)] = true
	t.mention(o.Type(), map[types.Type]bool{})
}

// mention needs the types that somebody has to name who has a value of a type.
func (t *tree) mention(typ types.Type, seen map[types.Type]bool) {
	if seen[typ] {
		return
	}
	seen[typ] = true
	switch typ := typ.(type) {
	case *types.Named:
		t.need(typ.Obj())
		t.mention(typ.Underlying(), seen)
		for p := range typ.TypeParams().TypeParams() {
			t.mention(p.Constraint(), seen)
		}
	case *types.Alias:
		t.need(typ.Obj())
	case *types.Struct:
		for f := range typ.Fields() {
			if f.Exported() {
				t.mention(f.Type(), seen)
			}
		}
	case *types.Signature:
		for _, vars := range []*types.Tuple{typ.Params(), typ.Results()} {
			for v := range vars.Variables() {
				t.mention(v.Type(), seen)
			}
		}
	case *types.Interface:
		for m := range typ.Methods() {
			t.mention(m.Type(), seen)
		}
	case *types.Map:
		t.mention(typ.Key(), seen)
		t.mention(typ.Elem(), seen)
	case interface{ Elem() types.Type }: // pointers, slices, arrays, channels
		t.mention(typ.Elem(), seen)
	}
}

// unneeded returns one line for each name that nobody needs, sorted.
func (t *tree) unneeded() (lines []string) {
	for _, o := range t.declared {
		n, typed := o.Type().(*types.Named)
		switch o := o.(type) {
		case *types.Const:
			in := func(block []string) bool { return slices.Contains(block, key(o)) && slices.ContainsFunc(block, t.has) }
			if typed && t.needed[key(n.Obj())] || slices.ContainsFunc(t.blocks, in) {
				continue
			}
		case *types.Func:
			if t.meets(o) {
				continue
			}
		}
		if !t.needed[key(o)] {
			lines = append(lines, fmt.Sprintf("%s: %s", t.files.Position(o.Pos()), key(o)))
		}
	}
	slices.Sort(lines)
	return lines
}

func (t *tree) has(key string) bool { return t.needed[key] }

// meets reports whether f is a method of an interface all of whose methods its type has,
// by name: packages are loaded one by one, and their types are not identical. Package
// errors asks for interfaces without a name.
func (t *tree) meets(f *types.Func) bool {
	recv := f.Signature().Recv()
	if recv == nil {
		return false
	}
	if slices.Contains([]string{"Unwrap", "Is", "As"}, f.Name()) {
		return true
	}
	have := func(typ types.Type, name string) bool {
		m, _, _ := types.LookupFieldOrMethod(typ, true, f.Pkg(), name)
		return m != nil
	}
	return slices.ContainsFunc(t.interfaces, func(i *types.Interface) bool {
		for m := range i.Methods() {
			if !have(recv.Type(), m.Name()) {
				return false
			}
		}
		return have(i, f.Name())
	})
}

// key names an object in the same way in every package that uses it.
func key(o types.Object) string {
	name := o.Name()
	if f, ok := o.(*types.Func); ok && f.Signature().Recv() != nil {
		recv := f.Signature().Recv().Type()
		if p, ok := recv.(*types.Pointer); ok {
			recv = p.Elem()
		}
		if n, ok := recv.(*types.Named); ok {
			name = n.Obj().Name() + "." + name
		}
	}
	return strings.Fields(o.Pkg().Path())[0] + "." + name
}
