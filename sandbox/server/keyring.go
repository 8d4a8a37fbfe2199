package server

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/zalando/go-keyring"
)

// Kept is a secret of a client's entry that lies in the person's keyring. Its reference
// stands in the client's file where the value was, and is read where mcpen gets the
// variable.
type Kept struct{ item string }

// keptService is what mcpen's items in the keyring belong to, and keptPrefix what
// references to them begin with.
const (
	keptService = "mcpen"
	keptPrefix  = "keyring:" + keptService + "/"
)

// KeptFor is the place in the keyring for a variable of a server in a client's file; scope
// is the entry's.
func KeptFor(client, file, scope, server, variable string) Kept {
	sum := sha256.Sum256([]byte(file + "\x00" + scope + "\x00" + server))
	plain := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, server)
	return Kept{fmt.Sprintf("%s.%s.%s.%s", client, plain[:min(len(plain), 40)], hex.EncodeToString(sum[:4]), variable)}
}

// KeptIn reads a reference in the value of a variable. A reference to the secret of
// another variable is none: who writes an entry would otherwise have a server read what
// is another one's.
func KeptIn(variable, value string) (Kept, bool) {
	item, ok := strings.CutPrefix(value, keptPrefix)
	return Kept{item}, ok && strings.HasSuffix(item, "."+variable) && strings.Count(item, ".") >= 3
}

// Ref is what stands in the file.
func (k Kept) Ref() string { return keptPrefix + k.item }

// Keep puts the value into the keyring, with the bytes that it was written in. literal is
// "" where they are those that anybody would write.
func (k Kept) Keep(value, literal string) error {
	err := keyring.Set(keptService, k.item, value)
	if err == nil && literal != "" {
		err = keyring.Set(keptService, k.written(), literal)
	}
	return noKeyring(err)
}

// Value fetches the value.
func (k Kept) Value() (string, error) {
	v, err := keyring.Get(keptService, k.item)
	return v, noKeyring(err)
}

// Literal fetches the bytes that the value was written in, or "".
func (k Kept) Literal() (string, error) {
	v, err := keyring.Get(keptService, k.written())
	if errors.Is(err, keyring.ErrNotFound) {
		return "", nil
	}
	return v, noKeyring(err)
}

// Drop takes the secret out of the keyring. One that is not there is no error.
func (k Kept) Drop() error {
	var failed error
	for _, item := range []string{k.item, k.written()} {
		if err := keyring.Delete(keptService, item); err != nil && !errors.Is(err, keyring.ErrNotFound) {
			failed = noKeyring(err)
		}
	}
	return failed
}

func (k Kept) written() string { return k.item + " (as written)" }

// noKeyring says whose error it is.
func noKeyring(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the keyring says: %w", err)
}
