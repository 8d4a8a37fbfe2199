package intercept_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"encoding/pem"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/internal/intercept"
)

// A Java program on trial trusts what the trial's store holds, and reads no store whose
// digest is wrong (java.security.KeyStore, "JKS").
func TestJavaTrustStore(t *testing.T) {
	var bundle []byte
	certs := [][]byte{[]byte("first"), []byte("second, longer")}
	for _, c := range certs {
		bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	made := time.UnixMilli(1_700_000_000_123)
	store := intercept.JKS(bundle, made)
	body, digest := store[:len(store)-sha1.Size], store[len(store)-sha1.Size:]
	h := sha1.New()
	for _, c := range "changeit" {
		h.Write([]byte{0, byte(c)})
	}
	io.WriteString(h, "Mighty Aphrodite")
	h.Write(body)
	if !bytes.Equal(h.Sum(nil), digest) {
		t.Error("Java would say that the store was tampered with")
	}
	r := bytes.NewReader(body)
	get := func(v any) {
		t.Helper()
		if err := binary.Read(r, binary.BigEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	text := func(n int) string {
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var magic, version, count uint32
	get(&magic)
	get(&version)
	get(&count)
	if magic != 0xfeedfeed || version != 2 || count != 2 {
		t.Fatalf("it begins with %x, %d, %d", magic, version, count)
	}
	var names []string
	for _, want := range certs {
		var kind, size uint32
		var short uint16
		var at uint64
		get(&kind)
		get(&short)
		names = append(names, text(int(short)))
		get(&at)
		get(&short)
		form := text(int(short))
		get(&size)
		if cert := text(int(size)); kind != 2 || at != uint64(made.UnixMilli()) || form != "X.509" || cert != string(want) {
			t.Errorf("an entry of kind %d, made %d, of form %q, holds %q", kind, at, form, cert)
		}
	}
	if r.Len() != 0 || len(slices.Compact(names)) != 2 || strings.ToLower(names[0]) != names[0] {
		t.Errorf("%d bytes follow, and the names are %q", r.Len(), names)
	}
}
