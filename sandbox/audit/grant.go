package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Grant is one right that a profile can give: values of one key of one table. It is a
// value and not a text, because its names may come from a stranger: in every printed
// form they stay inside their quotes and mean only themselves.
//
// The constructors return nil for a name that no profile can express, such as one with
// a line end: no hint is better than one that grants something else.
type Grant struct {
	Table  string       `json:"table"` // "filesystem"
	Key    string       `json:"key"`   // "read"
	Values []GrantValue `json:"values"`
	Note   string       `json:"note,omitempty"` // one remark by mcpen, for a person
}

// GrantValue is an element of a list: a string, or an inline table with the string
// under Key and one further setting.
type GrantValue struct {
	Text    string
	Key     string // "" for a plain string
	Setting string // key of the further setting
	Value   any    // a bool or a string
}

// Roots are the folders for which a profile has words. A grant names paths below them
// by these words, so that the line works for a colleague too. An unknown root is "".
type Roots struct{ Workspace, State, Home string }

// AllowPath returns the grant of a path to a key of [filesystem], or nil.
func (r Roots) AllowPath(key, path string) *Grant {
	if text, ok := r.spell(path); ok {
		return &Grant{Table: "filesystem", Key: key, Values: []GrantValue{{Text: text}}}
	}
	return nil
}

// AllowOptionalPath is AllowPath for a path that may be absent.
func (r Roots) AllowOptionalPath(key, path string) *Grant {
	g := r.AllowPath(key, path)
	if g != nil {
		g.Values[0].Text = "?" + g.Values[0].Text
	}
	return g
}

// AllowSocket returns the grant of a connection to a socket of the host, or nil.
func (r Roots) AllowSocket(path string) *Grant {
	if text, ok := r.spell(path); ok {
		return &Grant{Table: "sockets", Key: "connect", Values: []GrantValue{{Text: text}}}
	}
	return nil
}

// AllowHost returns the grant of one host that a server asked for: NAME:PORT or
// ADDRESS:PORT. It returns nil for anything else, since a server can look up "*.com".
func AllowHost(host string) *Grant {
	if strings.ContainsFunc(host, func(r rune) bool { return !hostRune(r) }) {
		return nil
	}
	return AllowRule(host)
}

// anyPort stands for the port in the grant of a host that was only looked up.
const anyPort = ":PORT"

// AllowName returns the grant of a name that a server looked up: a lookup names no port.
// As a line of a profile it has the word PORT where the port belongs.
func AllowName(name string) *Grant { return AllowHost(name + anyPort) }

// Name returns the name in a grant of AllowName; ok is false for any other grant.
func (g *Grant) Name() (name string, ok bool) {
	if g == nil || g.Table != "network" || len(g.Values) != 1 {
		return "", false
	}
	return strings.CutSuffix(g.Values[0].Text, anyPort)
}

// AllowNamed returns the grant of one name to a list of a table: tools, prompts or
// resources. It returns nil for a name that would be read as a pattern.
func AllowNamed(table, name string) *Grant {
	if name == "" || strings.ContainsAny(name, "*?") || Visible(name) != name {
		return nil
	}
	return &Grant{Table: table, Key: "allow", Values: []GrantValue{{Text: name}}}
}

// AllowVariable returns the grant of a variable of the environment, or nil. One that
// holds a secret, by its name, is granted as a secret: no log shows its value.
func AllowVariable(name string) *Grant {
	if name == "" || strings.ContainsAny(name, "= \t\n\"") || Visible(name) != name {
		return nil
	}
	g := &Grant{Table: "env", Key: "pass", Values: []GrantValue{{Text: name}}}
	if IsSecret(name) {
		g.Key = secretKey
	}
	return g
}

// AllowRule returns the grant of a rule from the profile, wildcards and ranges
// included.
func AllowRule(rule string) *Grant {
	if rule == "" {
		return nil
	}
	return &Grant{Table: "network", Key: "allow", Values: []GrantValue{{Text: rule}}}
}

// With returns the grant with a further setting on its values: { host = "…", private =
// true }.
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

// Noted returns the grant with a remark.
func (g *Grant) Noted(note string) *Grant {
	if g == nil {
		return nil
	}
	out := *g
	out.Note = note
	return &out
}

// replace returns the grant with r applied to its values.
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

// hostRune reports whether a character is valid in a name, an address or a port.
func hostRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:[]", r)
}

// spell writes a path as a profile would. ok is false for a path that is not UTF-8, has
// invisible characters, or would be parsed as a pattern.
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

// dollars escapes "${", so that it begins no parameter.
func dollars(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// Command returns the command that writes the grant into a server's profile; "" if
// there is none. server is the server's name on a command line.
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
		"env.secret":                 "",
		"tools.allow":                "",
		"prompts.allow":              "",
		"resources.allow":            "",
	}[strings.TrimSuffix(fmt.Sprintf("%s.%s %s %v", g.Table, g.Key, v.Setting, v.Value), "  <nil>")]
	if !ok || strings.HasPrefix(v.Text, "?") {
		return ""
	}
	words := []string{"mcpen", "allow"}
	if flag != "" {
		words = append(words, flag)
	}
	text := v.Text
	switch {
	case Prefix[g.Table] != "":
		text = Prefix[g.Table] + text
	case g.Table == "network":
		text = strings.TrimSuffix(text, anyPort) // "mcpen allow" asks for the port
	case strings.HasPrefix(text, "/"): // on a command line a path is a path, whatever it contains
		text = strings.ReplaceAll(text, "$${", "${")
	}
	return Command(append(words, server, text)...)
}

// Prefix begins a word of a command line that is neither a path nor a host: env:NAME is
// a variable. The key is the table of a profile that the word is about.
var Prefix = map[string]string{"env": "env:", "tools": "tool:", "prompts": "prompt:", "resources": "resource:"}

// Advice returns the command for the server's profile, or else the line; "" for a nil
// grant.
func (g *Grant) Advice(server string) string {
	if g == nil {
		return ""
	}
	if c := g.Command(server); c != "" {
		return c
	}
	return g.Line()
}

// TOML formats the grant as two lines of a profile: the table and the key. A profile
// that already has the table needs only the second.
func (g *Grant) TOML() string {
	text := fmt.Sprintf("[%s]\n%s = %s", g.Table, g.Key, g.List())
	if name := g.Secret(); name != "" {
		text = fmt.Sprintf("[%s.%s]\n%s", g.Table, g.Key, SecretPair(name))
	}
	if g.Note != "" {
		text += "   # " + g.Note
	}
	return text
}

// Line formats the grant as one line, with a dotted key.
func (g *Grant) Line() string {
	if name := g.Secret(); name != "" {
		return g.Table + "." + g.Key + "." + SecretPair(name)
	}
	return g.Table + "." + g.Key + " = " + g.List()
}

// List formats the values as a TOML list.
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

// TOMLString formats text as a basic string of TOML 1.0. It escapes the quote, the
// backslash, and each character that Visible escapes.
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

// MarshalJSON encodes a value as in a profile: a string or an object.
func (v GrantValue) MarshalJSON() ([]byte, error) {
	if v.Key == "" {
		return json.Marshal(v.Text)
	}
	return json.Marshal(map[string]any{v.Key: v.Text, v.Setting: v.Value})
}

// UnmarshalJSON decodes the output of MarshalJSON.
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
