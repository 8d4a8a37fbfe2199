package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/BurntSushi/toml"

	"mcpen/sandbox/internal/tomlindex"
)

// Bounds on Parse's input.
const (
	MaxFile  = 1 << 20 // bytes of one profile
	maxFiles = 64      // profiles that one profile extends, directly or not
)

// Loader loads an extended profile. ref is a profile's name ("node") or a path relative
// to the extending file, from. The returned file names the profile in mistakes and
// identifies it: the same profile must always get the same name, whatever ref led to
// it.
type Loader func(ref, from string) (file string, data []byte, err error)

// Parse reads a profile and the profiles it extends. The error is Mistakes: everything
// that is wrong for any parameters and any machine. Resolve finds the rest.
//
// load may be nil for a profile that extends nothing.
//
// Parse folds the extended profiles in, parents first, in the order in which they are
// named. A file that is reached twice counts once:
//
//   - lists append, the parent's elements first; equal elements count once;
//   - single values override;
//   - deny only ever grows, so that a child cannot take back a refusal;
//   - a parameter, a tool's rule, and an environment variable override by name;
//   - server.command and server.package override each other and reset server.args: a
//     parent's arguments belong to the parent's program;
//   - require.layers and require.without append; a layer in one list of the child's
//     leaves the inherited other list;
//   - name and description are not inherited.
func Parse(file string, data []byte, load Loader) (*Profile, error) {
	return parse(file, data, load, false)
}

// ParseBaseline reads a baseline: a profile that bounds others and grants nothing. So
// it may name paths that are too wide to grant, such as "~/", and has no server, no
// parameters and no variables of its own.
func ParseBaseline(file string, data []byte, load Loader) (*Profile, error) {
	return parse(file, data, load, true)
}

func parse(file string, data []byte, load Loader, baseline bool) (*Profile, error) {
	r := &reading{load: load, seen: make(map[string]bool)}
	r.visit(file, data)
	p := &Profile{}
	for _, part := range r.parts { // parents first
		p.body.fold(part.body)
		p.Params = foldParams(p.Params, part.params)
		p.Sources = append(p.Sources, part.source)
	}
	slices.Reverse(p.Sources)
	if own := len(r.parts) - 1; own >= 0 {
		p.Name, p.Description = r.parts[own].name, r.parts[own].description
	}
	if !r.broken {
		sample(p, &r.ledger, baseline)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return p, nil
}

// reading is the state of one Parse.
type reading struct {
	ledger
	load   Loader
	seen   map[string]bool
	chain  []string // the files being read, the first one first
	parts  []profileFile
	broken bool // a file is missing or is not TOML: checks of the whole are impossible
}

// profileFile is one file, read and not yet folded.
type profileFile struct {
	source            Source
	name, description string
	params            []Param
	body              body
}

// visit reads a file and the profiles it extends, and appends them parents first.
func (r *reading) visit(file string, data []byte) {
	r.seen[file] = true
	r.chain = append(r.chain, file)
	defer func() { r.chain = r.chain[:len(r.chain)-1] }()

	doc, top, err := decode(&r.ledger, file, data)
	if err != nil {
		r.broken = true
		return
	}
	sum := sha256.Sum256(data)
	part := profileFile{source: Source{File: file, SHA256: hex.EncodeToString(sum[:])}}
	readVersion(doc, top)
	part.name = readName(doc, top)
	part.description = read(top, "description", asLine).v
	parents := words(top, "extends", asString)
	part.params = readParams(top.table("params"))
	part.body = readBody(top)
	top.done()
	for _, w := range parents.items {
		r.extend(file, w)
	}
	r.parts = append(r.parts, part)
}

// extend loads one profile that the file from extends.
func (r *reading) extend(from string, w word) {
	if r.load == nil {
		r.broken = true
		r.add(w.at, w.key, "", "cannot load %s: a profile that came alone extends nothing", quote(w.text))
		return
	}
	file, data, err := r.load(w.text, from)
	switch {
	case err != nil:
		r.broken = true
		r.add(w.at, w.key, "", "cannot load %s: %v", quote(w.text), err)
	case slices.Contains(r.chain, file):
		r.broken = true
		i := slices.Index(r.chain, file)
		r.add(w.at, w.key, "", "extends itself: %s", strings.Join(append(slices.Clone(r.chain[i:]), file), " -> "))
	case r.seen[file]:
	case len(r.seen) == maxFiles:
		r.broken = true
		r.add(w.at, w.key, "", "is one profile too many (want %d at most)", maxFiles)
	default:
		r.visit(file, data)
	}
}

// readName reads the profile's name; the default is the file's name.
func readName(doc *document, top *table) string {
	name := read(top, "name", asProfileName)
	if _, wrote := top.vals["name"]; wrote {
		return name.v
	}
	s, err := asProfileName(strings.TrimSuffix(path.Base(doc.lines.file), ".toml"))
	if err != nil {
		doc.add(doc.lines.pos(0), "name", `name = "my-server"`, "is missing, and the file's name %s cannot stand for it", quote(path.Base(doc.lines.file)))
	}
	return s
}

func readVersion(doc *document, top *table) {
	version := read(top, "version", func(v any) (int, error) {
		if n, ok := v.(int64); !ok || n != 1 {
			return 0, faultf("version = 1", "%s is not a version that this program knows (want 1)", describe(v))
		}
		return 1, nil
	})
	if _, wrote := top.vals["version"]; !wrote && !version.set {
		doc.add(doc.lines.pos(0), "version", "version = 1", "is missing")
	}
}

var errBroken = errors.New("not a profile")

// decode reads TOML. If it cannot, it adds the mistake to l and returns errBroken.
func decode(l *ledger, file string, data []byte) (*document, *table, error) {
	start := Pos{File: file, Line: 1, Col: 1}
	if len(data) > MaxFile {
		l.add(start, "", "", "is larger than %d bytes", MaxFile)
		return nil, nil, errBroken
	}
	src := strings.TrimPrefix(string(data), "\uFEFF")
	doc := &document{ledger: l, lines: newLines(file, src)}
	root, stopped, deep := tomlindex.Index(src)
	switch {
	case deep:
		l.add(doc.lines.pos(stopped), "", "", "nests deeper than %d", tomlindex.MaxDepth)
		return nil, nil, errBroken
	case stopped >= 0 && strings.Count(src, "[")+strings.Count(src, "{") > 1000:
		// The text must not reach the decoder: after the stop, it may nest too deep.
		l.add(doc.lines.pos(stopped), "", "", "this is not TOML")
		return nil, nil, errBroken
	}
	vals, err := unmarshal(src)
	if err == nil && stopped >= 0 {
		err = toml.ParseError{Message: "this is not TOML", Position: toml.Position{Start: stopped}}
	}
	if err != nil {
		text, offset := syntax(err)
		l.add(doc.lines.pos(min(max(offset, 0), len(src))), "", "", "%s", text)
		return nil, nil, errBroken
	}
	return doc, &table{doc: doc, vals: vals, node: root, wrote: true}, nil
}

// unmarshal turns a panic of the decoder into an error: the decoder panics if it finds
// itself in a state that it believed impossible.
func unmarshal(src string) (vals map[string]any, err error) {
	defer func() {
		if r := recover(); r != nil {
			vals, err = nil, fmt.Errorf("the TOML decoder gave up: %.200v", r)
		}
	}()
	return vals, toml.Unmarshal([]byte(src), &vals)
}

// syntax returns the decoder's message and the offset. The decoder quotes numbers, and
// a number may be a secret that somebody forgot to put in quotes.
func syntax(err error) (text string, offset int) {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return strings.TrimPrefix(err.Error(), "toml: "), 0
	}
	if strings.Contains(pe.LastKey, string(envSecret)) || strings.HasSuffix(pe.LastKey, "default") {
		return "this is not TOML (is the value in quotes?)", pe.Position.Start
	}
	text, _, _ = strings.Cut(pe.Message, "\n")
	if key, again := strings.CutSuffix(text, " has already been defined."); again {
		text = strings.Replace(key, "Key '", "the key '", 1) + " is there twice"
	}
	return text, pe.Position.Start
}

// lines converts offsets to positions.
type lines struct {
	file   string
	starts []int
}

func newLines(file, src string) lines {
	starts := []int{0}
	for i := range len(src) {
		if src[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return lines{file, starts}
}

// pos is the position of an offset. Lines and columns count from 1, columns in bytes.
func (l lines) pos(offset int) Pos {
	i := sort.SearchInts(l.starts, offset+1) - 1
	return Pos{File: l.file, Line: i + 1, Col: offset - l.starts[i] + 1}
}
