package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Grant is one right that a profile can give: values of one key of one table. It
// is a value and not a text, because the names in it may be a stranger's: however
// it is printed, they stay inside their quotes, and mean themselves alone.
//
// The constructors return nil for a name that no profile can spell, such as one
// with a line end in it: no hint is better than one that grants something else.
type Grant struct {
	Table  string       `json:"table"` // "filesystem"
	Key    string       `json:"key"`   // "read"
	Values []GrantValue `json:"values"`
	Note   string       `json:"note,omitempty"` // one remark of mcpen's own, for a person
}

// GrantValue is an element of a list: a string, or an inline table that holds the
// string under Key, with one setting more.
type GrantValue struct {
	Text    string
	Key     string // "" for a string alone
	Setting string // of the inline table
	Value   any    // a bool or a string
}

// Roots are the folders that a profile has words for. Paths below them are
// granted by these words, so that the line is right for a colleague too. A root
// that is not known is "".
type Roots struct{ Workspace, State, Home string }

// AllowPath is the grant of a path to a key of [filesystem], or nil.
func (r Roots) AllowPath(key, path string) *Grant {
	if text, ok := r.spell(path); ok {
		return &Grant{Table: "filesystem", Key: key, Values: []GrantValue{{Text: text}}}
	}
	return nil
}

// AllowOptionalPath is AllowPath of a path that may be absent.
func (r Roots) AllowOptionalPath(key, path string) *Grant {
	g := r.AllowPath(key, path)
	if g != nil {
		g.Values[0].Text = "?" + g.Values[0].Text
	}
	return g
}

// AllowSocket is the grant of a connection to a socket of the host's, or nil.
func (r Roots) AllowSocket(path string) *Grant {
	if text, ok := r.spell(path); ok {
		return &Grant{Table: "sockets", Key: "connect", Values: []GrantValue{{Text: text}}}
	}
	return nil
}

// AllowHost is the grant of one host that a server asked for: NAME:PORT or
// ADDRESS:PORT. It is nil for what is no such thing: a server can look up "*.com".
func AllowHost(host string) *Grant {
	if strings.ContainsFunc(host, func(r rune) bool { return !hostRune(r) }) {
		return nil
	}
	return AllowRule(host)
}

// AllowRule is the grant of a rule of the profile's own, wildcards and ranges too.
func AllowRule(rule string) *Grant {
	if rule == "" {
		return nil
	}
	return &Grant{Table: "network", Key: "allow", Values: []GrantValue{{Text: rule}}}
}

// With is the grant with a setting beside its values: { host = "…", private = true }.
func (g *Grant) With(key, setting string, value any) *Grant {
	if g == nil {
		return nil
	}
	out := *g
	out.Values = make([]GrantValue, len(g.Values))
	for i, v := range g.Values {
		out.Values[i] = GrantValue{Text: v.Text, Key: key, Setting: setting, Value: value}
	}
	return &out
}

// Noted is the grant with a remark.
func (g *Grant) Noted(note string) *Grant {
	if g == nil {
		return nil
	}
	out := *g
	out.Note = note
	return &out
}

// replace is the grant without what r replaces.
func (g *Grant) replace(r *strings.Replacer) *Grant {
	if g == nil {
		return nil
	}
	out := *g
	out.Values = make([]GrantValue, len(g.Values))
	for i, v := range g.Values {
		v.Text = r.Replace(v.Text)
		out.Values[i] = v
	}
	return &out
}

// hostRune reports whether a character can stand in a name or an address, or
// before a port.
func hostRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:[]", r)
}

// spell writes a path as a profile would. It reports false for a path that is not
// UTF-8, has characters that cannot be seen, or would be read as a pattern.
func (r Roots) spell(path string) (string, bool) {
	if !strings.HasPrefix(path, "/") || !utf8.ValidString(path) || Visible(path) != path || strings.ContainsAny(path, "\t*?[") {
		return "", false
	}
	for _, root := range []struct{ dir, word string }{{r.Workspace, "${workspace}"}, {r.State, "${state}"}, {r.Home, "~"}} {
		if rest, ok := strings.CutPrefix(path, root.dir); ok && root.dir != "" && root.dir != "/" && (rest == "" || rest[0] == '/') {
			return root.word + dollars(rest), true
		}
	}
	return dollars(path), true
}

// dollars writes "${" so that it starts no parameter's name.
func dollars(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// Command is the command that writes the grant into the profile of a server, by
// a word that names the server on a command line, or "" where there is none.
func (g *Grant) Command(server string) string {
	if g == nil || server == "" || len(g.Values) != 1 {
		return ""
	}
	v := g.Values[0]
	flag, ok := map[string]string{
		"network.allow":              "",
		"network.allow private true": "--private",
		"network.allow tls false":    "--no-tls",
		"filesystem.read":            "",
		"filesystem.write":           "--write",
		"filesystem.unprotect":       "--unprotect",
		"sockets.connect":            "--socket",
		"env.pass":                   "",
	}[strings.TrimSuffix(fmt.Sprintf("%s.%s %s %v", g.Table, g.Key, v.Setting, v.Value), "  <nil>")]
	if !ok || strings.HasPrefix(v.Text, "?") || strings.HasSuffix(v.Text, ":PORT") {
		return ""
	}
	words := []string{"mcpen", "allow"}
	if flag != "" {
		words = append(words, flag)
	}
	text := v.Text
	switch {
	case g.Table == "env":
		text = "env:" + text
	case strings.HasPrefix(text, "/"): // a path of a command line is a path, whatever is in it
		text = strings.ReplaceAll(text, "$${", "${")
	}
	return Command(append(words, server, text)...)
}

// Advice is the command for the server's profile, or else the line. It is "" for
// no grant.
func (g *Grant) Advice(server string) string {
	if g == nil {
		return ""
	}
	if c := g.Command(server); c != "" {
		return c
	}
	return g.Line()
}

// TOML is the grant as two lines of a profile: the table and the key. A profile
// that has the table already takes the second alone.
func (g *Grant) TOML() string {
	text := fmt.Sprintf("[%s]\n%s = %s", g.Table, g.Key, g.List())
	if g.Note != "" {
		text += "   # " + g.Note
	}
	return text
}

// Line is the grant as one line, with a dotted key.
func (g *Grant) Line() string { return g.Table + "." + g.Key + " = " + g.List() }

// List is the values as a list of TOML.
func (g *Grant) List() string {
	elements := make([]string, len(g.Values))
	for i, v := range g.Values {
		elements[i] = v.toml()
	}
	return "[" + strings.Join(elements, ", ") + "]"
}

func (v GrantValue) toml() string {
	if v.Key == "" {
		return TOMLString(v.Text)
	}
	return fmt.Sprintf("{ %s = %s, %s = %s }", v.Key, TOMLString(v.Text), v.Setting, setting(v.Value))
}

func setting(v any) string {
	if text, ok := v.(string); ok {
		return TOMLString(text)
	}
	return fmt.Sprint(v == true)
}

// TOMLString is text as a basic string of TOML 1.0: the quote and the backslash are
// escaped, and so is each character that Visible would not show.
func TOMLString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case Visible(string(r)) != string(r) || r == '\t':
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// MarshalJSON writes a value as the profile has it: a string or an object.
func (v GrantValue) MarshalJSON() ([]byte, error) {
	if v.Key == "" {
		return json.Marshal(v.Text)
	}
	return json.Marshal(map[string]any{v.Key: v.Text, v.Setting: v.Value})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *GrantValue) UnmarshalJSON(data []byte) error {
	*v = GrantValue{}
	if json.Unmarshal(data, &v.Text) == nil {
		return nil
	}
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	for key, value := range object {
		if text, ok := value.(string); ok && (key == "host" || key == "path") {
			v.Key, v.Text = key, text
		} else {
			v.Setting, v.Value = key, value
		}
	}
	return nil
}
