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

// Kind is the kind of thing that a definition defines.
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

// State is a person's decision about a definition.
type State string

// The states. The zero State approves nothing.
const (
	Seen     State = "seen"    // no decision: it was there when its kind was first listed
	Waiting  State = "waiting" // no decision: it changed, or came later
	Approved State = "approved"
	Rejected State = "rejected"
)

// Definition is one definition of a server, in a form that a person can review in a
// diff. Its hash does not depend on the order of keys, on white space or on escapes.
type Definition struct {
	Kind  Kind   `toml:"kind" json:"kind"`
	Name  string `toml:"name,omitempty" json:"name,omitempty"`
	State State  `toml:"state" json:"state"`
	// SHA256 is the hash, in hex, of the definition in the canonical form of RFC 8785.
	// Instructions are hashed as a JSON string.
	SHA256 string `toml:"sha256" json:"sha256"`
	// Description is the definition's description; for instructions, the whole text.
	Description Text `toml:"description,omitempty" json:"description,omitempty"`
	// Rest is everything else, as JSON with sorted keys. It is indented once a person
	// has decided about it.
	Rest Text `toml:"rest,omitempty" json:"rest,omitempty"`
	// At is the time, in RFC 3339, at which the server first sent the definition; "" if
	// unknown.
	At string `toml:"seen-at,omitempty" json:"seen_at,omitempty"`
	// Given lists the server's values at that time that the text contains, such as the
	// workspace: NAME=VALUE, a line each.
	Given Text `toml:"given,omitempty" json:"given,omitempty"`
}

// Text is a text that TOML writes over several lines, with every invisible character
// escaped.
type Text string

// ErrName is the error for a definition without a usable name.
var ErrName = errors.New("it has no name")

// ErrLongName is the error for a name that is too long to store.
var ErrLongName = errors.New("its name is too long")

// NameKeys are the members that identify definitions of each kind.
var NameKeys = map[Kind]string{KindTool: "name", KindPrompt: "name", KindResource: "uri", KindTemplate: "uriTemplate"}

// Define makes a definition, in the state Seen, from a server's JSON: an object, or a
// string for instructions. It refuses JSON that rpc.View refuses.
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

// NoForm begins the errors of Parse about a value without a canonical form.
const NoForm = "cannot bring it into the canonical form"

// Parse returns the name and the canonical form of a value in a line that View
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

// newDefinition splits a canonical form for a reader.
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
		if text != "" { // an empty one stays in the rest, where it differs from a missing one
			d.Description = Text(text)
			rest = Without(form, "description")
		}
	}
	d.Rest = Text(rest)
	return d
}

// readable returns the definition with its JSON over several lines. JSON that would
// grow out of proportion, as deep nesting does, stays on one line.
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

// indented estimates the length of JSON text over several lines.
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

// Hash returns the SHA-256 of b in lower-case hexadecimal.
func Hash(b []byte) string {
	sum := sha256.Sum256(b)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

// Without returns an object without one of its members.
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

// Canonical returns the definition in the canonical form of RFC 8785.
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

// Check reports a definition whose text does not match its hash: somebody edited it by
// hand, or made it look harmless in a diff.
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
