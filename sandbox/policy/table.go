package policy

import (
	"fmt"
	"slices"
	"strings"

	"mcpen/sandbox/internal/tomlindex"
)

// document is one TOML file while it is read.
type document struct {
	*ledger
	lines lines
}

// value is one decoded value with its position and its full key.
type value struct {
	doc  *document
	v    any
	key  string
	node *tomlindex.Node
}

func (v value) at() Pos { return v.doc.lines.pos(v.node.Val) }

func (v value) bad(err error) { v.doc.fault(v.at(), v.key, err) }

// word is a string as written in a profile, before substitution.
type word struct {
	text string
	key  string
	at   Pos
}

// opt is an optional setting of a profile.
type opt[T any] struct {
	v   T
	key string
	at  Pos
	set bool
}

// over overrides an inherited setting with the child's, if the child has one.
func (o *opt[T]) over(child opt[T]) {
	if child.set {
		*o = child
	}
}

// list is an optional list of a profile. In a baseline, an empty list differs from
// none.
type list[T any] struct {
	items []T
	at    Pos
	set   bool
}

// extend appends a child's list to the inherited one.
func (l *list[T]) extend(child list[T]) {
	if child.set {
		l.items = append(l.items[:len(l.items):len(l.items)], child.items...)
		l.at, l.set = child.at, true
	}
}

// table reads one TOML table. Each getter marks its key as known; done reports the
// others.
type table struct {
	doc   *document
	vals  map[string]any
	key   string
	node  *tomlindex.Node
	known []string
	wrote bool // the profile has this table

	trace func(key string) // called with every known key; nil outside of tests
}

func (t *table) at() Pos { return t.doc.lines.pos(t.node.Key) }

func (t *table) get(key string) (value, bool) {
	t.known = append(t.known, key)
	if t.trace != nil {
		t.trace(join(t.key, key))
	}
	v, ok := t.vals[key]
	if !ok {
		return value{}, false
	}
	return value{t.doc, v, join(t.key, key), t.node.At(key)}, true
}

// table opens a table below this one; an absent one reads as empty.
func (t *table) table(key string) *table {
	v, ok := t.get(key)
	if !ok {
		return &table{doc: t.doc, key: join(t.key, key), node: t.node, trace: t.trace}
	}
	return v.table()
}

func (v value) table() *table {
	sub := &table{doc: v.doc, key: v.key, node: v.node, wrote: true}
	if sub.vals, sub.wrote = v.v.(map[string]any); !sub.wrote {
		v.bad(faultf("", "%s is not a table", describe(v.v)))
	}
	return sub
}

// names are the keys of a table whose keys are names, in the order of the file.
func (t *table) names() []string {
	names := make([]string, 0, len(t.vals))
	for k := range t.vals {
		names = append(names, k)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := t.node.At(a).Key - t.node.At(b).Key; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}

// done reports every key that no getter read.
func (t *table) done() {
	for _, k := range t.names() {
		if !slices.Contains(t.known, k) {
			at := t.doc.lines.pos(t.node.At(k).Key)
			t.doc.add(at, join(t.key, k), t.doc.guess(k, t.known), "unknown key")
		}
	}
}

// read reads one setting.
func read[T any](t *table, key string, parse func(any) (T, error)) opt[T] {
	v, ok := t.get(key)
	if !ok {
		return opt[T]{}
	}
	x, err := parse(v.v)
	if err != nil {
		v.bad(err)
		return opt[T]{}
	}
	return opt[T]{x, v.key, v.at(), true}
}

// maxList bounds the length of a list, as written and as expanded.
const maxList = 4096

// each reads a list, one element at a time.
func each[T any](t *table, key string, parse func(value) (T, bool)) list[T] {
	v, ok := t.get(key)
	if !ok {
		return list[T]{}
	}
	out := list[T]{at: v.at(), set: true}
	var raw []any
	switch x := v.v.(type) {
	case []any:
		raw = x
	case []map[string]any:
		for _, m := range x {
			raw = append(raw, m)
		}
	default:
		v.bad(faultf("", "%s is not a list", describe(v.v)))
		return out
	}
	if len(raw) > maxList {
		v.bad(faultf("", "a list of %d elements is too long (want %d at most)", len(raw), maxList))
		return out
	}
	for i, item := range raw {
		e := value{v.doc, item, fmt.Sprintf("%s[%d]", v.key, i), v.node.Item(i)}
		if x, ok := parse(e); ok {
			out.items = append(out.items, x)
		}
	}
	return out
}

// words reads a list of strings and refuses duplicates.
func words(t *table, key string, parse func(any) (string, error)) list[word] {
	seen := make(map[string]bool)
	return each(t, key, func(v value) (word, bool) {
		s, err := parse(v.v)
		if err == nil && seen[s] {
			err = faultf("", "%s is there twice", quote(s))
		}
		if err != nil {
			v.bad(err)
			return word{}, false
		}
		seen[s] = true
		return word{s, v.key, v.at()}, true
	})
}

// argv reads a list of strings that may repeat.
func argv(t *table, key string) list[word] {
	return each(t, key, func(v value) (word, bool) {
		s, err := asString(v.v)
		if err != nil {
			v.bad(err)
		}
		return word{s, v.key, v.at()}, err == nil
	})
}

// join appends a key to its table's key, in TOML syntax.
func join(table, key string) string {
	if key == "" || strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" || len(key) > 80 {
		key = quote(key)
	}
	if table == "" {
		return key
	}
	return table + "." + key
}
