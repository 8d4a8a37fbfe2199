package install

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mcpen/sandbox/pack"
)

func TestInterpreter(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       Runtime
		flags      string
		bad        bool
	}{
		{"a", "#!/usr/bin/env node\n", RuntimeNode, "", false},
		{"a", "#!/usr/bin/env -S node --no-warnings --x\r\n", RuntimeNode, "--no-warnings --x", false},
		{"a", "\ufeff#!/usr/bin/node\n", RuntimeNode, "", false},
		{"a.mjs", "import 'x'", RuntimeNode, "", false},
		{"a", "\x7fELF\x02", RuntimeNone, "", false},
		{"a", "#!/usr/bin/env bun\n", "", "", true},
		{"a", "#!/bin/sh\n", "", "", true},
		{"a", "text", "", "", true},
		{"a", "", "", "", true},
	} {
		p := filepath.Join(t.TempDir(), tc.name)
		os.WriteFile(p, []byte(tc.text), 0o600)
		got, flags, err := interpreter(p)
		if got != tc.want || strings.Join(flags, " ") != tc.flags || (err != nil) != tc.bad {
			t.Errorf("%q: %q %q, %v", tc.text, got, flags, err)
		}
	}
}

func TestEntryChoice(t *testing.T) {
	npm := pack.Ref{Ecosystem: pack.NPM, Name: "@a/thing"}
	for _, tc := range []struct {
		bins map[string]string
		ref  pack.Ref
		want string // "" for an error
	}{
		{map[string]string{"x": "x.js"}, npm, "x"},
		{map[string]string{"x": "x.js", "y": "x.js"}, npm, "x"},
		{map[string]string{"x": "x.js", "thing": "t.js"}, npm, "thing"},
		{map[string]string{"x": "x.js", "y": "y.js"}, npm, ""},
		{nil, npm, ""},
		{map[string]string{"x": "x.js", "y": "y.js"}, pack.Ref{Ecosystem: pack.NPM, Name: "a", Bin: "y"}, "y"},
		{map[string]string{"x": "x.js"}, pack.Ref{Ecosystem: pack.NPM, Name: "a", Bin: "y"}, ""},
		{map[string]string{"my_server": "bin/my_server", "other": "bin/other"}, pack.Ref{Ecosystem: pack.PyPI, Name: "my-server"}, "my_server"},
	} {
		got, err := chooseBin(tc.bins, tc.ref)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%v of %+v: %q, %v", tc.bins, tc.ref, got, err)
		}
		if err != nil && len(tc.bins) > 1 && !strings.Contains(err.Error(), "x, y") {
			t.Errorf("the choices are not named: %v", err)
		}
	}
	p := packageJSON{Name: "@a/b", Bin: json.RawMessage(`{"../../x": "../../../etc/passwd", "ok": "./bin/ok.js", "n": 1, "a/run": "first.js", "b/run": "last.js"}`)}
	if got := p.bins(); len(got) != 3 || got["x"] != "etc/passwd" || got["ok"] != "bin/ok.js" || got["run"] != "last.js" {
		t.Errorf("bins %v", got)
	}
}
