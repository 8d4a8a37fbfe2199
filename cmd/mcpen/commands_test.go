package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Each command has a file of its name, and no other file has a command.
func TestEachCommandHasItsFile(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || !strings.HasSuffix(f.Name.Name, "Command") {
				continue
			}
			found++
			if want := strings.ToLower(strings.TrimSuffix(f.Name.Name, "Command")) + ".go"; file != want {
				t.Errorf("%s is in %s, want %s", f.Name.Name, file, want)
			}
		}
	}
	if want := len(new(app).cli(nil).Commands) - 1; found < want { // the library has one of its own
		t.Errorf("%d commands found of %d", found, want)
	}
}
