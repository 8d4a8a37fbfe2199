package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/tailscale/hujson"
	"go.yaml.in/yaml/v3"
)

var testWords = []string{"run", "--profile", "notes", "--set", "dir=/home/ada/\"x\"", "--"}

const testMcpen = "/usr/local/bin/mcpen"

// A person who tries wrap and goes back has the very file that they had, comments,
// order and line ends.
func TestWrapAndUnwrapGiveTheSameBytes(t *testing.T) {
	wrapped := map[string]int{}
	for i, s := range samples(200) {
		f, err := parseFile(s.format, s.shapes, []byte(s.text))
		if err != nil {
			t.Fatalf("sample %d (%s): %v\n%s", i, s.name, err, s.text)
		}
		for _, e := range f.entries() {
			if e.State != Open {
				continue
			}
			out, err := f.wrap(e, testMcpen, testWords)
			if err != nil {
				t.Errorf("sample %d (%s), %q: %v\n%s", i, s.name, e.Server, err, s.text)
				continue
			}
			wrapped[s.name]++
			onlyTheEntry(t, s, out, e)
		}
		all, n := wrapAll(t, f)
		back := unwrapAll(t, all)
		if n > 0 && bytes.Equal(all.bytes(), []byte(s.text)) || !bytes.Equal(back.bytes(), []byte(s.text)) {
			t.Errorf("sample %d (%s) came back otherwise:\n%q\n%q", i, s.name, back.bytes(), s.text)
		}
	}
	for _, name := range []string{"json", "claude", "opencode", "zed", "codex", "goose", "continue", "libre"} {
		if wrapped[name] < 10 {
			t.Errorf("%s: only %d entries were wrapped", name, wrapped[name])
		}
	}
}

func wrapAll(t *testing.T, f file) (file, int) {
	t.Helper()
	n := 0
	for _, e := range f.entries() {
		if e.State != Open {
			continue
		}
		e, err := f.entry(e.Server, e.Scope)
		if err != nil {
			t.Fatal(err)
		}
		if f, err = f.wrap(e, testMcpen, testWords); err != nil {
			t.Fatalf("%q: %v", e.Server, err)
		}
		n++
	}
	return f, n
}

func unwrapAll(t *testing.T, f file) file {
	t.Helper()
	for _, e := range f.entries() {
		if e.State != Wrapped {
			continue
		}
		e, err := f.entry(e.Server, e.Scope)
		if err != nil {
			t.Fatal(err)
		}
		if f, err = f.unwrap(e); err != nil {
			t.Fatalf("%q: %v", e.Server, err)
		}
	}
	return f
}

// onlyTheEntry reads both files as a client would, with other code than the splicing
// code, and compares them.
func onlyTheEntry(t *testing.T, s sample, after file, e Entry) {
	t.Helper()
	before, now := decode(t, s.format, []byte(s.text)), decode(t, s.format, after.data)
	was := fmt.Sprint(before)
	change(before, s, e)
	if !reflect.DeepEqual(before, now) {
		t.Errorf("%s, %q: more than its command changed:\n%v\n%v\n%s", s.name, e.Server, was, now, after.data)
	}
}

// change makes in a decoded file the change that wrap must make in its bytes.
func change(root any, s sample, e Entry) {
	at := root
	for _, sh := range s.shapes {
		at = root
		for _, key := range sh.at {
			if key == "*" {
				key = e.Scope
			}
			if m, ok := at.(map[string]any); ok {
				at = m[key]
			}
		}
		if (len(sh.at) > 1 && sh.at[1] == "*") == (e.Scope != "") {
			break
		}
	}
	in, _ := at.(map[string]any)
	if list, ok := at.([]any); ok {
		for _, item := range list {
			if m := item.(map[string]any); m["name"] == e.Server {
				in = m
			}
		}
	} else {
		in, _ = in[e.Server].(map[string]any)
	}
	command := e.at.command.key
	if command == "path" {
		in = in["command"].(map[string]any)
	}
	var words []any
	for _, w := range append(append([]string{}, testWords...), e.Command...) {
		words = append(words, w)
	}
	if e.at.argsKey == "" {
		in[command] = append([]any{testMcpen}, words...)
		return
	}
	in[command], in[e.at.argsKey] = testMcpen, words
}

func decode(t *testing.T, f format, data []byte) any {
	t.Helper()
	data = bytes.TrimPrefix(data, bom)
	var out any
	var err error
	switch f {
	case formatJSON:
		var plain []byte
		if plain, err = hujson.Standardize(append(bytes.Clone(data), '\n')); err == nil {
			d := json.NewDecoder(bytes.NewReader(plain))
			d.UseNumber()
			err = d.Decode(&out)
		}
	case formatTOML:
		var m map[string]any
		_, err = toml.Decode(string(data), &m)
		out = m
	case formatYAML:
		err = yaml.Unmarshal(data, &out)
	}
	if err != nil {
		t.Fatalf("a client cannot read it: %v\n%s", err, data)
	}
	return out
}

// If a client rewrote the file in its own style, unwrap restores the entry too, though
// not to the byte.
func TestUnwrapOfWhatAClientWroteAnew(t *testing.T) {
	for _, c := range []struct {
		name       string
		format     format
		shapes     []shape
		text, want string
	}{
		{"indented", formatJSON, plainShapes, "{\n  \"mcpServers\": {\n    \"a\": {\n      \"command\": \"mcpen\",\n      \"args\": [\n        \"run\",\n        \"--\",\n        \"npx\",\n        \"-y\"\n      ]\n    }\n  }\n}",
			"{\n  \"mcpServers\": {\n    \"a\": {\n      \"command\": \"npx\",\n      \"args\": [\n        \"-y\"\n      ]\n    }\n  }\n}"},
		{"nothing left", formatJSON, plainShapes, "{\"mcpServers\": {\"a\": {\"command\": \"mcpen\", \"args\": [\n\"run\",\n\"--\",\n\"npx\",\n]}}}", "{\"mcpServers\": {\"a\": {\"command\": \"npx\", \"args\": [\n]}}}"},
		{"with a comment", formatJSON, plainShapes, `{"mcpServers": {"a": {"command": "mcpen", "args": [/* mine */ "run", "--", "npx", "-y"]}}}`, `{"mcpServers": {"a": {"command": "npx", "args": [/* mine */ "-y"]}}}`},
		{"lines of YAML", formatYAML, gooseShapes, "extensions:\n  a:\n    args:\n    - run\n    - --\n    - npx\n    - -y\n    cmd: mcpen\n", "extensions:\n  a:\n    args:\n    - -y\n    cmd: npx\n"},
		{"lines of YAML, none left", formatYAML, gooseShapes, "extensions:\n  a:\n    args:\n    - run\n    - --\n    - npx\n    cmd: mcpen\n", "extensions:\n  a:\n    args:\n      []\n    cmd: npx\n"},
	} {
		f, err := parseFile(c.format, c.shapes, []byte(c.text))
		if err != nil {
			t.Fatal(c.name, err)
		}
		if got := unwrapAll(t, f); string(got.data) != c.want {
			t.Errorf("%s:\n%s", c.name, got.data)
		}
	}
}

// A file that programs read differently, or that is broken, is not touched.
func TestFilesThatAreLeftAlone(t *testing.T) {
	for _, c := range []struct {
		format     format
		text, want string
	}{
		{formatJSON, `{"mcpServers": {"a": {"command": "x", "command": "y"}}}`, `"command" twice`},
		{formatJSON, `{"a": 1, "\u0061": 2}`, `"a" twice`},
		{formatJSON, `{"mcpServers": {`, "line 1, column 17"},
		{formatJSON, "{\"a\": \"\xff\"}", "UTF-8"},
		{formatJSON, strings.Repeat("[", 100000), "nests too deep"},
		{formatTOML, "a = 1\na = 2", "a"},
		{formatTOML, "a = ", ""},
		{formatYAML, "a: 1\na: 2\n", `"a" twice`},
		{formatYAML, "a: [", ""},
		{formatYAML, "a: 1\n---\nb: 2\n", "more than one document"},
	} {
		_, err := parseFile(c.format, plainShapes, []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %.40q: %v", c.format, c.text, err)
		}
	}
}

// An entry that unwrap could not restore to the byte must not be wrapped.
func TestEntriesThatAreLeftAlone(t *testing.T) {
	for _, c := range []struct{ text, why string }{
		{"extensions:\n  a:\n    cmd: &x npx\n    args: [a]\n", "anchor"},
		{"x: &x [a]\nextensions:\n  a:\n    cmd: npx\n    args: *x\n", "no list"},
		{"extensions:\n  a:\n    cmd: >-\n      npx\n    args: [a]\n", "not on one line"},
		{"extensions:\n  a:\n    cmd: !!str npx\n    args: [a]\n", "tag"},
		{"x: &x {cmd: a}\nextensions:\n  a:\n    <<: *x\n    cmd: npx\n", "merges"},
	} {
		f, err := parseFile(formatYAML, gooseShapes, []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		e := f.entries()[0]
		_, err = f.wrap(e, testMcpen, testWords)
		if e.State == Odd {
			err = fmt.Errorf("%s", e.Why)
		}
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%q: %v", c.text, err)
		}
	}
}

func FuzzWrap(f *testing.F) {
	formats := []format{formatJSON, formatTOML, formatYAML}
	shapes := [][]shape{plainShapes, claudeShapes, opencodeShapes, zedShapes, codexShapes, gooseShapes, continueShapes}
	for _, s := range samples(60) {
		for i, k := range formats {
			for j, sh := range shapes {
				if k == s.format && reflect.DeepEqual(sh, s.shapes) {
					f.Add(i, j, []byte(s.text))
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, i, j int, data []byte) {
		s := sample{"fuzz", formats[uint(i)%3], shapes[uint(j)%uint(len(shapes))], string(data)}
		file, err := parseFile(s.format, s.shapes, data)
		if err != nil {
			return
		}
		for _, e := range file.entries() {
			if e.State != Open {
				continue
			}
			out, err := file.wrap(e, testMcpen, testWords)
			if err != nil {
				continue // it says so, and writes nothing
			}
			now, err := out.entry(e.Server, e.Scope)
			if err != nil {
				t.Fatal(err)
			}
			back, err := out.unwrap(now)
			if err != nil || !bytes.Equal(back.bytes(), data) {
				t.Fatalf("it came back otherwise: %v\n%q\n%q", err, back.bytes(), data)
			}
		}
	})
}
