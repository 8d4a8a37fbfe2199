package policy

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/tomlindex"
)

// ErrGranted reports that a profile already has the grant.
var ErrGranted = errors.New("the profile says so already")

// Insert writes a grant into the text of a profile and leaves every other byte as it
// is: comments, order, line ends. A list gets the values as its first elements, a table
// without the key gets a line, and a profile without the table gets both at its end.
//
// Insert parses its result again: the result says exactly what src says, plus the
// grant. If Insert finds no such text, as in a file with inline tables, the error says
// so, and the person has to write the line. The error is ErrGranted if the profile
// already has the values.
func Insert(src []byte, g audit.Grant) ([]byte, error) {
	if name := g.Secret(); name != "" {
		return insertSecret(src, name)
	}
	want, err := granted(src, g)
	if err != nil {
		return nil, err
	}
	e := entry{[]string{g.Table}, g.Key + " = " + g.List()}
	return inserted(string(src), want, e, intoList(string(src), g))
}

// insertSecret writes into the text of a profile that a variable comes from the one of
// the same name where mcpen is started, as a secret. Like [Insert] it leaves every other
// byte as it is and checks its result. The error is ErrGranted if the server has the
// variable already.
func insertSecret(src []byte, variable string) ([]byte, error) {
	want, err := withSecret(src, variable)
	if err != nil {
		return nil, err
	}
	e := entry{[]string{"env", "secret"}, audit.SecretPair(variable)}
	return inserted(string(src), want, e, intoBraces(string(src), e))
}

// entry is a pair for a table of a profile.
type entry struct {
	table []string // the keys that lead to it
	pair  string   // KEY = VALUE
}

// in returns the table in a text, or nil.
func (e entry) in(src string) *tomlindex.Node {
	node, stopped, _ := tomlindex.Index(src)
	if stopped >= 0 {
		return nil
	}
	for _, key := range e.table {
		if node = node.Keys[key]; node == nil {
			return nil
		}
	}
	return node
}

// inserted returns the first text that decodes to want: the special one, or the result of
// an edit that applies to any table. A text of "" does not apply.
func inserted(src string, want map[string]any, e entry, special string) ([]byte, error) {
	for _, text := range []string{special, intoTable(src, e), intoDotted(src, e), atEnd(src, e)} {
		if got, err := decoded([]byte(text)); err == nil && reflect.DeepEqual(got, want) {
			return []byte(text), nil
		}
	}
	return nil, fmt.Errorf("cannot write %s.%s into this profile", strings.Join(e.table, "."), e.pair)
}

// decoded parses a text as TOML.
func decoded(src []byte) (map[string]any, error) {
	out := map[string]any{}
	_, err := toml.Decode(string(src), &out)
	return out, err
}

// granted is the content of a profile with the grant added.
func granted(src []byte, g audit.Grant) (map[string]any, error) {
	all, err := decoded(src)
	if err != nil {
		return nil, fmt.Errorf("cannot read the profile: %w", err)
	}
	alone, err := decoded([]byte(g.TOML()))
	if err != nil {
		return nil, fmt.Errorf("internal error: a grant that is no TOML: %w", err)
	}
	values, _ := alone[g.Table].(map[string]any)[g.Key].([]any)
	table, ok := all[g.Table].(map[string]any)
	if !ok {
		if all[g.Table] != nil {
			return nil, fmt.Errorf("cannot write into %q: it is no table", g.Table)
		}
		table = map[string]any{}
		all[g.Table] = table
	}
	list, ok := table[g.Key].([]any)
	if !ok && table[g.Key] != nil {
		return nil, fmt.Errorf("cannot write into \"%s.%s\": it is no list", g.Table, g.Key)
	}
	there := func(v any) bool {
		return slices.ContainsFunc(list, func(have any) bool { return reflect.DeepEqual(have, v) })
	}
	if len(values) > 0 && !slices.ContainsFunc(values, func(v any) bool { return !there(v) }) {
		return nil, ErrGranted
	}
	table[g.Key] = append(slices.Clone(values), list...)
	return all, nil
}

// withSecret is the content of a profile with the secret added.
func withSecret(src []byte, variable string) (map[string]any, error) {
	all, err := decoded(src)
	if err != nil {
		return nil, fmt.Errorf("cannot read the profile: %w", err)
	}
	table := all
	for _, name := range []string{"env", "secret"} {
		next, ok := table[name].(map[string]any)
		if !ok && table[name] != nil {
			return nil, fmt.Errorf("cannot write into %q: it is no table", name)
		}
		passed, _ := table["pass"].([]any)
		set, _ := table["set"].(map[string]any)
		if _, ok := set[variable]; name == "secret" && (ok || slices.Contains(passed, any(variable))) {
			return nil, ErrGranted
		}
		if !ok {
			next = map[string]any{}
			table[name] = next
		}
		table = next
	}
	if _, ok := table[variable]; ok {
		return nil, ErrGranted
	}
	table[variable] = "env:" + variable
	return all, nil
}

// intoList inserts the values before the first element of an existing list.
func intoList(src string, g audit.Grant) string {
	root, stopped, _ := tomlindex.Index(src)
	if stopped >= 0 || root.Keys[g.Table] == nil || root.Keys[g.Table].Keys[g.Key] == nil {
		return ""
	}
	list := root.Keys[g.Table].Keys[g.Key]
	if list.Val >= len(src) || src[list.Val] != '[' {
		return ""
	}
	behind := list.Val + 1
	values := strings.TrimSuffix(strings.TrimPrefix(g.List(), "["), "]")
	if len(list.Items) == 0 {
		return src[:behind] + values + src[behind:]
	}
	first := list.Items[0].Key
	if line := strings.LastIndexByte(src[:first], '\n') + 1; line > behind {
		// If each element has its own line, so does the new one, with the first one's
		// indentation.
		return src[:line] + indent(src[line:]) + values + "," + ending(src) + src[line:]
	}
	return src[:behind] + values + ", " + strings.TrimLeft(src[behind:], " \t")
}

// intoBraces inserts the pair as the first one of an inline table.
func intoBraces(src string, e entry) string {
	table := e.in(src)
	if table == nil || table.Val >= len(src) || src[table.Val] != '{' {
		return ""
	}
	behind, comma := table.Val+1, ", "
	if len(table.Keys) == 0 {
		comma = " "
	}
	return src[:behind] + " " + e.pair + comma + strings.TrimLeft(src[behind:], " \t")
}

// intoTable inserts the pair as the first line of a table with a header.
func intoTable(src string, e entry) string {
	table := e.in(src)
	if table == nil {
		return ""
	}
	header := lineAt(src, table.Val)
	if !strings.HasPrefix(strings.TrimLeft(header, " \t"), "[") {
		return ""
	}
	end := strings.LastIndexByte(src[:table.Val], '\n') + 1 + len(header)
	before := src[:end]
	if !strings.HasSuffix(before, "\n") {
		before += ending(src)
	}
	return before + indent(src[end:]) + e.pair + ending(src) + src[end:]
}

// intoDotted inserts a line with a dotted key before another one of the table. TOML 1.0
// forbids a header for a table that dotted keys define.
func intoDotted(src string, e entry) string {
	table := e.in(src)
	if table == nil {
		return ""
	}
	first, prefix := len(src), ""
	for _, key := range table.Keys {
		line := strings.TrimLeft(lineAt(src, key.Key), " \t")
		at := strings.LastIndexByte(src[:key.Key], '\n') + 1
		for i := range e.table { // a header may have the first keys
			if p := strings.Join(e.table[i:], ".") + "."; at < first && strings.HasPrefix(line, p) {
				first, prefix = at, p
			}
		}
	}
	if prefix == "" {
		return ""
	}
	return src[:first] + indent(src[first:]) + prefix + e.pair + ending(src) + src[first:]
}

// atEnd appends the table to the text. Nothing can be added to a table in braces (TOML
// 1.0), which the parser does not refuse.
func atEnd(src string, e entry) string {
	for i := range e.table[1:] {
		if outer := (entry{table: e.table[:i+1]}).in(src); outer != nil && outer.Val < len(src) && src[outer.Val] == '{' {
			return ""
		}
	}
	if src != "" && !strings.HasSuffix(src, "\n") {
		src += ending(src)
	}
	return src + ending(src) + "[" + strings.Join(e.table, ".") + "]" + ending(src) + e.pair + ending(src)
}

// lineAt is the line that holds an offset, with its end.
func lineAt(src string, offset int) string {
	start := strings.LastIndexByte(src[:offset], '\n') + 1
	if n := strings.IndexByte(src[start:], '\n'); n >= 0 {
		return src[start : start+n+1]
	}
	return src[start:]
}

// indent returns the blanks at the beginning of a text; "" if nothing follows them on
// the line.
func indent(text string) string {
	rest := strings.TrimLeft(text, " \t")
	if rest == "" || rest[0] == '\n' || rest[0] == '\r' {
		return ""
	}
	return text[:len(text)-len(rest)]
}

// ending is the line end that a text uses.
func ending(src string) string {
	if n := strings.IndexByte(src, '\n'); n > 0 && src[n-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// Changed lists the lines that differ between two texts of a profile, as "-" and "+"
// lines. It expects one change, as Insert makes: everything before and after it is
// equal.
func Changed(old, new []byte) []string {
	a, b := bytes.SplitAfter(old, []byte("\n")), bytes.SplitAfter(new, []byte("\n"))
	for len(a) > 0 && len(b) > 0 && bytes.Equal(a[0], b[0]) {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && bytes.Equal(a[len(a)-1], b[len(b)-1]) {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	var out []string
	for _, l := range a {
		out = append(out, "-"+strings.TrimRight(string(l), "\r\n"))
	}
	for _, l := range b {
		out = append(out, "+"+strings.TrimRight(string(l), "\r\n"))
	}
	return out
}
