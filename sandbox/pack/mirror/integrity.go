package mirror

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// digest holds the hashes of a fetched archive.
type digest struct {
	sha256, sha384, sha512 []byte
	size                   int64
}

// digester hashes its input in all the ways that lock files use.
type digester struct {
	a, b, c hash.Hash
	n       int64
}

func newDigester() *digester { return &digester{a: sha256.New(), b: sha512.New384(), c: sha512.New()} }

func (d *digester) Write(p []byte) (int, error) {
	d.n += int64(len(p))
	return io.MultiWriter(d.a, d.b, d.c).Write(p)
}

func (d *digester) sum() digest {
	return digest{d.a.Sum(nil), d.b.Sum(nil), d.c.Sum(nil), d.n}
}

// check compares with an SRI string or "sha256:hex". SHA-1 and MD5 are no
// integrity and are refused, as is none at all.
func (d digest) check(want string) error {
	if want == "" {
		return errors.New("the registry gives no SHA-2 integrity for it")
	}
	algorithm, value, _ := strings.Cut(want, "-")
	var got string
	switch {
	case strings.HasPrefix(want, "sha256:"):
		got, value = hex.EncodeToString(d.sha256), want[len("sha256:"):]
	case algorithm == "sha512":
		got = base64.StdEncoding.EncodeToString(d.sha512)
	case algorithm == "sha384":
		got = base64.StdEncoding.EncodeToString(d.sha384)
	case algorithm == "sha256":
		got = base64.StdEncoding.EncodeToString(d.sha256)
	default:
		return fmt.Errorf("%q is no SHA-2 integrity", want)
	}
	if got != value {
		return fmt.Errorf("its hash is %s and %s was expected", got, value)
	}
	return nil
}
