package definition

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"mcpen/sandbox/internal/rpc"
)

// Kind says what a definition defines.
type Kind string

// The kinds of definitions.
const (
	KindTool         Kind = "tool"
	KindPrompt       Kind = "prompt"
	KindResource     Kind = "resource"     // Name is the URI
	KindTemplate     Kind = "template"     // Name is the URI template
	KindInstructions Kind = "instructions" // of the server, for the model; Name is empty
	KindIdentity     Kind = "identity"     // name, title, version, … of the server; Name is empty
)

// State is what a person decided about a definition.
type State string

// The states. The zero State approves nothing.
const (
	Seen     State = "seen"    // nothing yet: it was there when its kind was first listed
	Waiting  State = "waiting" // nothing yet: it changed, or came later
	Approved State = "approved"
	Rejected State = "rejected"
)

// Definition is one definition as a server gave it, in a form that a person can
// review in a diff and that hashes the same whatever the order of its keys, its
// white space or its escapes.
type Definition struct {
	Kind  Kind   `toml:"kind" json:"kind"`
	Name  string `toml:"name,omitempty" json:"name,omitempty"`
	State State  `toml:"state" json:"state"`
	// SHA256 is the hash, in hex, of the definition in the canonical form of
	// RFC 8785, of instructions as a JSON string.
	SHA256 string `toml:"sha256" json:"sha256"`
	// Description is the definition's description; of instructions, all of them.
	Description Text `toml:"description,omitempty" json:"description,omitempty"`
	// Rest is everything else, as JSON with sorted keys, indented once somebody
	// decided about it.
	Rest Text `toml:"rest,omitempty" json:"rest,omitempty"`
	// At is when the server gave it first, in RFC 3339; "" where nobody knows.
	At string `toml:"seen-at,omitempty" json:"seen_at,omitempty"`
	// Given has what the server was given then and the text holds, such as the
	// workspace: NAME=VALUE, a line each.
	Given Text `toml:"given,omitempty" json:"given,omitempty"`
}

// Text is a text that TOML carries over several lines, with every character
// that cannot be seen written as an escape.
type Text string

// ErrName is what a definition without a usable name is.
var ErrName = errors.New("it has no name")

// ErrLongName is what one is whose name is kept nowhere.
var ErrLongName = errors.New("its name is too long")

// NameKeys are the members by which definitions are told apart.
var NameKeys = map[Kind]string{KindTool: "name", KindPrompt: "name", KindResource: "uri", KindTemplate: "uriTemplate"}

// Define makes a definition, which is Seen, of what a server sent: an object, or
// of instructions a string. It must be JSON that rpc.View would accept.
func Define(kind Kind, raw []byte) (Definition, error) {
	line := append([]byte(resultLine), raw...)
	if _, err := rpc.View(append(line, '}')); err != nil {
		return Definition{}, err
	}
	name, form, err := Parse(kind, raw)
	if err != nil {
		return Definition{}, err
	}
	return newDefinition(kind, name, Hash(form), form), nil
}

const NoForm = "cannot bring it into the canonical form"

// Parse finds the name and the canonical form of a part of a line that View
// accepted.
func Parse(kind Kind, raw []byte) (name string, form []byte, err error) {
	if key := NameKeys[kind]; key != "" {
		if name, _ = rpc.Text(rpc.Get(raw, key)); name == "" {
			return "", nil, ErrName
		}
	}
	form, err = canonical(raw)
	if err != nil {
		return name, nil, fmt.Errorf("%s: %w", NoForm, err)
	}
	return name, form, nil
}

// newDefinition takes a canonical form apart for a reader.
func newDefinition(kind Kind, name, hash string, form []byte) Definition {
	d := Definition{Kind: kind, Name: name, State: Seen, SHA256: hash}
	if kind == KindInstructions {
		text, _ := rpc.Text(form)
		d.Description = Text(text)
		return d
	}
	rest := form
	if raw := rpc.Get(form, "description"); rpc.IsString(raw) {
		text, _ := rpc.Text(raw)
		if text != "" { // an empty one stays in the rest, where it can be told from none
			d.Description = Text(text)
			rest = Without(form, "description")
		}
	}
	d.Rest = Text(rest)
	return d
}

// readable is the definition with its JSON over several lines. What would grow out
// of proportion, as deep nesting does, stays in one.
func (d Definition) readable() Definition {
	if indented(string(d.Rest)) > 4*len(d.Rest)+256 {
		return d
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(d.Rest), "", "  "); err == nil && d.Kind != KindInstructions {
		d.Rest = Text(b.String())
	}
	return d
}

// indented is about how long a text of JSON is over several lines.
func indented(text string) int {
	size, depth, quoted := len(text), 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			size += 2*depth + 1
		case c == '}' || c == ']':
			depth--
			size += 2*depth + 1
		case c == ',':
			size += 2*depth + 1
		}
	}
	return size
}

func Hash(b []byte) string {
	sum := sha256.Sum256(b)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

// Without is an object without one of its members.
func Without(object []byte, key string) []byte {
	out := []byte{'{'}
	for k, v := range rpc.Members(object) {
		if string(k) == key {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(rpc.AppendString(out, string(k)), ':')
		out = append(out, v...)
	}
	return append(out, '}')
}

// Canonical is the definition in the canonical form of RFC 8785.
func (d Definition) Canonical() ([]byte, error) {
	if d.Kind == KindInstructions {
		return checked(rpc.AppendString(nil, string(d.Description)))
	}
	rest := strings.TrimSpace(string(d.Rest))
	if d.Description != "" {
		if !strings.HasPrefix(rest, "{") {
			return nil, errors.New("rest is not a JSON object")
		}
		member := append([]byte(`{"description":`), rpc.AppendString(nil, string(d.Description))...)
		if strings.TrimSpace(rest[1:]) != "}" {
			member = append(member, ',')
		}
		rest = string(member) + rest[1:]
	}
	return checked([]byte(rest))
}

// Check reports a definition whose text is not what its hash stands for: one
// that was edited by hand, or made to look harmless in a diff.
func (d Definition) Check() error {
	what := strings.TrimSpace(string(d.Kind) + " " + fmt.Sprintf("%q", d.Name))
	switch d.Kind {
	case KindTool, KindPrompt, KindResource, KindTemplate, KindInstructions, KindIdentity:
	default:
		return fmt.Errorf("%q is not a kind of definition", d.Kind)
	}
	switch d.State {
	case Seen, Waiting, Approved, Rejected:
	default:
		return fmt.Errorf("the state of %s is %q; want seen, waiting, approved or rejected", what, d.State)
	}
	canonical, err := d.Canonical()
	if err != nil {
		return fmt.Errorf("cannot read the text of %s: %v", what, err)
	}
	if Hash(canonical) != d.SHA256 {
		return fmt.Errorf("the text of %s does not have the hash that stands beside it", what)
	}
	if key := NameKeys[d.Kind]; key != "" {
		if name, _ := rpc.Text(rpc.Get(canonical, key)); name != d.Name {
			return fmt.Errorf("the text of %s names it %q", what, name)
		}
	}
	return nil
}
