package wrapping

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"mcpen/cmd/mcpen/clients"
	"mcpen/sandbox/server"
)

// Where wrap leaves the secrets of entries.
const (
	InFile    = "keep"
	InKeyring = "keyring"
)

// moves are the references that stand for the secrets of a file's servers, or nil where
// they stay in the file.
func (w *Run) moves(place clients.Place) clients.Moves {
	if !w.Keyring {
		return nil
	}
	return func(e clients.Entry) map[string]string {
		i := slices.IndexFunc(w.All, func(p Proposal) bool { return p.place.Path == place.Path && p.entry.Key() == e.Key() })
		if i < 0 {
			return nil
		}
		refs := map[string]string{}
		for _, name := range w.All[i].secrets(e) {
			refs[name] = server.KeptFor(place.Client.Name, place.Path, e.Scope, e.Server, name).Ref()
		}
		return refs
	}
}

// secrets lists the variables of an entry whose values only the server may see. A
// placeholder that the client fills in is not a value yet.
func (p Proposal) secrets(e clients.Entry) []string {
	var out []string
	for _, v := range e.Env {
		from := func(ref string) bool { return strings.TrimPrefix(ref, "?") == "env:"+v.Name }
		secret := false
		for _, s := range p.policy.Env.Secret {
			secret = secret || from(s.From)
		}
		for i, word := range p.words {
			secret = secret || word == "--secret" && i+1 < len(p.words) && p.words[i+1] == v.Name
		}
		if _, kept := server.KeptIn(v.Name, v.Value); secret && !kept && v.Value != "" && !strings.Contains(v.Value, "${") {
			out = append(out, v.Name)
		}
	}
	return out
}

// NoteMoves says which secrets leave their files.
func (w *Run) NoteMoves() {
	for i := range w.All {
		p := &w.All[i]
		if !w.Keyring || !w.chosen(*p) {
			continue
		}
		if names := p.secrets(p.entry); len(names) > 0 {
			p.notes = append(p.notes, "moves "+strings.Join(names, ", ")+" into the keyring")
		}
	}
}

// keep puts secrets into the keyring.
func keep(moved []clients.Moved) error {
	for _, m := range moved {
		literal := m.Literal
		if literal == clients.Quote(m.Value) {
			literal = ""
		}
		kept, _ := server.KeptIn(m.Name, m.Ref)
		if err := kept.Keep(m.Value, literal); err != nil {
			return fmt.Errorf("cannot keep %s: %w", m.Name, err)
		}
	}
	return nil
}

// dropMoved takes secrets out of the keyring again that no file has a reference to.
func dropMoved(moved []clients.Moved) {
	for _, m := range moved {
		kept, _ := server.KeptIn(m.Name, m.Ref)
		_ = kept.Drop() // the earlier error counts
	}
}

// DropBack takes secrets out of the keyring that are in their file again.
func DropBack(change clients.Change, warn func(string, ...any)) {
	for _, v := range change.Back {
		kept, _ := server.KeptIn(v.Name, v.Value)
		if err := kept.Drop(); err != nil {
			warn("%s is in its file again, and still in the keyring as %s: %v", v.Name, v.Value, err)
		}
	}
}

// KeptLiteral returns the secret that a reference names, as the file's bytes.
func KeptLiteral(v clients.Var) (string, error) {
	kept, ok := server.KeptIn(v.Name, v.Value)
	if !ok {
		return "", nil
	}
	literal, err := kept.Literal()
	if err != nil || literal != "" {
		return literal, err
	}
	value, err := kept.Value()
	return clients.Quote(value), err
}

// hidden replaces a secret on a screen.
const hidden = `"…"`

// HiddenLiteral is KeptLiteral for a screen: it shows no secret.
func HiddenLiteral(v clients.Var) (string, error) {
	if _, ok := server.KeptIn(v.Name, v.Value); !ok {
		return "", nil
	}
	return hidden, nil
}

// masked is a change to look at, without the secrets that it moves.
func masked(c clients.Change) clients.Change {
	for _, m := range c.Moved {
		c.Before = bytes.ReplaceAll(c.Before, []byte(m.Literal), []byte(hidden))
		c.After = bytes.ReplaceAll(c.After, []byte(m.Literal), []byte(hidden))
	}
	return c
}
