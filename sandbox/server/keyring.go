package server

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/zalando/go-keyring"
)

// Kept is a secret of a client's entry in the user's keyring. The client's file holds a
// reference to it, and mcpen fetches the value when it reads the variable.
type Kept struct{ item string }

// keptService owns mcpen's items in the keyring. keptPrefix begins every reference.
const (
	keptService = "mcpen"
	keptPrefix  = "keyring:" + keptService + "/"
)

// KeptFor names the keyring item for one variable of one server in one client's file.
// scope is the entry's.
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

// KeptIn parses the value of a variable as a reference. It refuses a reference to another
// variable's secret, so that an entry cannot fetch TOKEN under the name COLOR.
func KeptIn(variable, value string) (Kept, bool) {
	item, ok := strings.CutPrefix(value, keptPrefix)
	return Kept{item}, ok && strings.HasSuffix(item, "."+variable) && strings.Count(item, ".") >= 3
}

// Ref is the reference in the file.
func (k Kept) Ref() string { return keptPrefix + k.item }

// Keep stores the value, and the literal that the file had for it. An empty literal is not
// stored: the caller can quote the value itself.
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

// Literal fetches the stored literal, or "" if there is none.
func (k Kept) Literal() (string, error) {
	v, err := keyring.Get(keptService, k.written())
	if errors.Is(err, keyring.ErrNotFound) {
		return "", nil
	}
	return v, noKeyring(err)
}

// Drop deletes the secret. A secret that is not there is no error.
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

// noKeyring marks an error as the keyring's.
func noKeyring(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the keyring says: %w", err)
}
