package pack

import (
	"crypto/sha256"
	"encoding/hex"

	"mcpen/sandbox/internal/lazy"
)

var treeHash = lazy.Pattern(`^sha256:[0-9a-f]{64}$`)

// IsHash is true for the hash of a tree or a text, as Hash writes it.
func IsHash(s string) bool { return treeHash().MatchString(s) }

// Hash is "sha256:" and the SHA-256 of a text in hexadecimal digits.
func Hash(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

var sha256Hex = lazy.Pattern(`^[0-9a-f]{64}$`)

// IsSHA256 is true for such digits alone.
func IsSHA256(s string) bool { return sha256Hex().MatchString(s) }
