package policy

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"mcpen/sandbox/internal/tomlindex"
)

// full parses the story that uses every key.
func full(t *testing.T) (*Profile, Input, string) {
	t.Helper()
	ar, err := txtar.ParseFile("testdata/profiles/full.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	in := Input{Home: "/home/ada", State: "/var/lib/x", Config: "/etc/x", Workspace: "/srv/ws"}
	for _, f := range ar.Files {
		switch f.Name {
		case "profile.toml":
			text = f.Data
		case "input.json":
			if err := json.Unmarshal(f.Data, &in); err != nil {
				t.Fatal(err)
			}
		}
	}
	p, err := Parse("profile.toml", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p, in, string(text)
}

// A field of Policy that no key sets is a protection that nobody can request.
func TestEveryFieldOfPolicyHasAKey(t *testing.T) {
	p, in, _ := full(t)
	got, err := Resolve(p, in)
	if err != nil {
		t.Fatal(err)
	}
	q, err := Parse("pkg.toml", []byte("version = 1\n[server]\npackage = \"npm:x\"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := Resolve(q, Input{})
	if err != nil {
		t.Fatal(err)
	}
	got.Server.Package = pkg.Server.Package // the one key that excludes another
	none, err := Parse("none.toml", []byte("version = 1\n[tools]\nallow = []\n[prompts]\nallow = []\n[resources]\nallow = []\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	bounds, err := ParseBaseline("b.toml", []byte("version = 1\n[filesystem]\nread = [\"?/\"]\nwrite = [\"?/srv\"]\nunprotect = [\"?/srv/.git\"]\n[sockets]\nconnect = [{ path = \"/srv/x.sock\", override = \"yes, this is the host\" }]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := Resolve(none, Input{Baselines: []*Profile{bounds}})
	if err != nil {
		t.Fatal(err)
	}
	got.Tools.Nothing, got.Prompts.Nothing, got.Resources.Nothing = empty.Tools.Nothing, empty.Prompts.Nothing, empty.Resources.Nothing
	got.Bounds = empty.Bounds
	same(t, "Policy", reflect.ValueOf(got), reflect.ValueOf(Closed("closed")))
}

// same reports every field in which the full profile equals the default. In a list it
// suffices that one element has the field.
func same(t *testing.T, name string, got, closed reflect.Value) {
	t.Helper()
	switch got.Kind() {
	case reflect.Struct:
		for i := range got.NumField() {
			same(t, name+"."+got.Type().Field(i).Name, got.Field(i), closed.Field(i))
		}
	case reflect.Slice:
		if got.Len() == 0 || reflect.DeepEqual(got.Interface(), closed.Interface()) {
			t.Errorf("%s: no key reaches it", name)
			return
		}
		if elem := got.Type().Elem(); elem.Kind() == reflect.Struct {
			for i := range elem.NumField() {
				written := false
				for j := range got.Len() {
					written = written || !got.Index(j).Field(i).IsZero()
				}
				if !written {
					t.Errorf("%s[].%s: no key reaches it", name, elem.Field(i).Name)
				}
			}
		}
	default:
		if got.Equal(closed) {
			t.Errorf("%s: no key reaches it", name)
		}
	}
}

// A key without effect would be a rule that does not exist.
func TestEveryKeyReachesThePolicy(t *testing.T) {
	p, in, text := full(t)
	want, err := Resolve(p, in)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range knownKeys(t) {
		if slices.Contains([]string{"version", "extends", "params", "server.package"}, key) {
			continue // other tests check it
		}
		without, ok := remove(text, key)
		if !ok {
			t.Errorf("%s: the full profile does not write it", key)
			continue
		}
		q, err := Parse("profile.toml", []byte(without), nil)
		if err != nil {
			t.Errorf("%s: without it: %v", key, err)
			continue
		}
		got, err := Resolve(q, in)
		var m Mistakes
		if errors.As(err, &m) {
			continue // another key needs it: it counts
		}
		clearPositions(reflect.ValueOf(&got).Elem())
		wanted := want
		clearPositions(reflect.ValueOf(&wanted).Elem())
		got.Sources, wanted.Sources = nil, nil
		if cmp.Equal(got, wanted) {
			t.Errorf("%s: the policy is the same without it", key)
		}
		if want, err = Resolve(p, in); err != nil { // clearPositions wrote through its slices
			t.Fatal(err)
		}
	}
}

// knownKeys asks the reader itself for the keys it knows.
func knownKeys(t *testing.T) []string {
	t.Helper()
	doc := &document{ledger: &ledger{}, lines: newLines("empty.toml", "")}
	var keys []string
	top := &table{doc: doc, node: &tomlindex.Node{}, wrote: true, trace: func(key string) { keys = append(keys, key) }}
	readVersion(doc, top)
	readName(doc, top)
	read(top, "description", asLine)
	words(top, "extends", asString)
	readParams(top.table("params"))
	readBody(top)
	isTable := func(k string) bool {
		return slices.ContainsFunc(keys, func(o string) bool { return strings.HasPrefix(o, k+".") })
	}
	slices.Sort(keys)
	keys = slices.Compact(slices.DeleteFunc(keys, isTable))
	if len(keys) < 40 {
		t.Fatalf("only %d keys: %v", len(keys), keys)
	}
	return keys
}

// remove takes one key, with a value of any number of lines, out of a profile's text.
func remove(text, key string) (string, bool) {
	table, name := "", key
	if i := strings.LastIndex(key, "."); i >= 0 {
		table, name = key[:i], key[i+1:]
	}
	var out []string
	current, found, open := "", false, false
	for line := range strings.Lines(text) {
		switch {
		case open:
			open = line != "]\n"
			continue
		case strings.HasPrefix(line, "["):
			current = strings.Trim(line, "[]\n")
			if current == key || strings.HasPrefix(current, key+".") {
				found = true
			}
		case current == table && strings.HasPrefix(line, name+" = "):
			found, open = true, strings.HasSuffix(line, "[\n")
			continue
		}
		if current == key || strings.HasPrefix(current, key+".") {
			continue
		}
		out = append(out, line)
	}
	return strings.Join(out, ""), found
}

func clearPositions(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if _, ok := v.Interface().(Pos); ok {
			v.SetZero()
			return
		}
		for i := range v.NumField() {
			clearPositions(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			clearPositions(v.Index(i))
		}
	}
}

// Other parts of mcpen and people read the JSON by the fields' names.
func TestEveryFieldHasAJSONName(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(ty reflect.Type) {
		switch ty.Kind() {
		case reflect.Slice:
			walk(ty.Elem())
		case reflect.Struct:
			for i := range ty.NumField() {
				f := ty.Field(i)
				if !f.Anonymous && f.Tag.Get("json") == "" {
					t.Errorf("%v.%s has no JSON name", ty, f.Name)
				}
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[Policy]())
}

func TestClosedIsWhatAnEmptyProfileMeans(t *testing.T) {
	p, err := Parse("empty.toml", []byte("version = 1\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Profile{p, {Name: "empty"}} {
		got, err := Resolve(p, Input{})
		if err != nil {
			t.Fatal(err)
		}
		got.Sources = nil
		if diff := cmp.Diff(Closed("empty"), got); diff != "" {
			t.Errorf("(-closed +empty)\n%s", diff)
		}
	}
	c := Closed("c")
	if len(c.Filesystem.Read)+len(c.Filesystem.Write)+len(c.Network.Allow)+len(c.Sockets)+len(c.Env.Pass) != 0 {
		t.Errorf("the closed policy allows something: %+v", c)
	}
	if !slices.Equal(c.Require.Layers, []Layer{LayerNamespaces, LayerLandlock, LayerSeccomp, LayerMediation}) {
		t.Errorf("the closed policy starts without %v", c.Require.Layers)
	}
}

func TestSources(t *testing.T) {
	files := map[string][]byte{
		"a.toml": []byte("version = 1\nextends = [\"b\", \"c\"]\n"),
		"b.toml": []byte("version = 1\nextends = [\"c\"]\n"),
		"c.toml": []byte("version = 1\n"),
	}
	p, err := Parse("a.toml", files["a.toml"], loadFrom(files))
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, src := range p.Sources {
		order = append(order, src.File)
	}
	if want := []string{"a.toml", "b.toml", "c.toml"}; !slices.Equal(order, want) {
		t.Fatalf("sources in the order %v, want %v", order, want)
	}
	// printf 'version = 1\n' | sha256sum
	if got := p.Sources[2].SHA256; got != "dbab12665d98aef021ba64953c61b0ed8a908cfb56a1c01e2fcb4b052b71a2a1" {
		t.Errorf("the hash of c.toml is %s", got)
	}
}

func TestParseWithoutALoaderExtendsNothing(t *testing.T) {
	_, err := Parse("a.toml", []byte("version = 1\nextends = [\"b\"]\n"), nil)
	if err == nil || !strings.Contains(err.Error(), "a.toml:2:12: extends[0]: cannot load") {
		t.Errorf("got %v", err)
	}
}

// A parent's mistake is reported in the parent's file, and only once.
func TestChainsEnd(t *testing.T) {
	deep := func(ref, from string) (string, []byte, error) {
		return ref, []byte("version = 1\nname = \"x\"\nextends = [\"" + ref + "x\"]\n"), nil
	}
	_, err := Parse("x", []byte("version = 1\nextends = [\"xx\"]\n"), deep)
	if err == nil || !strings.Contains(err.Error(), "one profile too many") {
		t.Errorf("a chain without an end: %v", err)
	}
}

func TestLoaderErrorsAreTold(t *testing.T) {
	load := func(ref, from string) (string, []byte, error) {
		return "", nil, &fs.PathError{Op: "open", Path: "/x", Err: os.ErrPermission}
	}
	_, err := Parse("a.toml", []byte("version = 1\nextends = [\"b\"]\n"), load)
	if err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("got %v", err)
	}
}

// An interview removes the guard and no part of the sandbox.
func TestUnguardedKeepsThePen(t *testing.T) {
	p := Closed("x")
	p.Tools = Tools{Pins: PinEnforce, Findings: FindingHold}
	p.Prompts.Nothing, p.Tools.Deny = Pos{Line: 1}, []Glob{{}}
	p.Filesystem.Deny = []Path{{Path: "/x"}}
	got := p.Unguarded()
	if got.Tools.Pins != PinOff || got.Tools.Findings == FindingHold || len(got.Tools.Deny) > 0 || got.Prompts.Nothing != (Pos{}) {
		t.Errorf("something is still between: %+v", got.Tools)
	}
	got.Tools, got.Prompts, got.Resources, got.Client = p.Tools, p.Prompts, p.Resources, p.Client
	if !reflect.DeepEqual(got, p) {
		t.Errorf("it is another pen: %+v, want %+v", got, p)
	}
}
