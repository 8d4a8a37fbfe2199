// Package hello reads the server name from a ClientHello of TLS that passes by, and tells
// TLS from other protocols by their first bytes. It decrypts and changes nothing.
package hello

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// Bounds on a ClientHello. A post-quantum key share takes some 1.8 KB, session tickets
// up to 64 KB more.
const (
	maxHello  = 64 << 10
	maxRaw    = 2 * maxHello // with the headers of its records
	maxRecord = 16384        // RFC 8446, section 5.1
)

// The reasons why a stream is not TLS with a name.
var (
	errNotTLS    = errors.New("the first bytes are not a TLS ClientHello")
	errBadHello  = errors.New("the TLS ClientHello is malformed")
	errLongHello = errors.New("the TLS ClientHello is longer than 64 KiB")
	ErrNoName    = errors.New("the TLS ClientHello has no server name")
	errManyNames = errors.New("the TLS ClientHello has more than one server name")
	errOldHello  = errors.New("the TLS ClientHello is in the form of SSL 2, which has no server name")
)

// IsError reports whether err is about the bytes, and not about the connection.
func IsError(err error) bool {
	switch err {
	case errNotTLS, errBadHello, errLongHello, ErrNoName, errManyNames, errOldHello:
		return true
	}
	return false
}

// Protocol is the protocol of a stream, judged by its first bytes.
type Protocol int

const (
	unclear Protocol = iota // more are needed
	Plain                   // no server accepts them as TLS
	modern                  // some server could accept them as a ClientHello of TLS
	ssl2                    // the same in the form of SSL 2 (RFC 5246, appendix E.2), which some servers still accept
)

// MaxSpeaking is the number of bytes that suffice to tell.
const MaxSpeaking = 6

// Speaking distinguishes TLS from other protocols by the first bytes. It is as lenient
// as the most lenient server; Read is strict about the bytes that pass as TLS.
func Speaking(raw []byte) Protocol {
	if len(raw) == 0 {
		return unclear
	}
	at := func(i int, want byte) bool { return len(raw) <= i || raw[i] == want }
	switch {
	case raw[0] == 22 && at(1, 3): // handshake, of any version of TLS
		if len(raw) < 5 {
			return unclear
		}
		if raw[3] == 0 && raw[4] == 0 { // an empty record, which OpenSSL skips
			return modern
		}
		if len(raw) < 6 {
			return unclear
		}
		if raw[5] == 1 { // client_hello
			return modern
		}
	case raw[0]&0x80 != 0 && at(2, 1) && at(3, 3):
		if len(raw) < 4 {
			return unclear
		}
		return ssl2
	}
	return Plain
}

// Peek is Read for a client that may use another protocol: isTLS is then
// false and there is no error.
func Peek(r io.Reader) (name string, raw []byte, isTLS bool, err error) {
	raw = make([]byte, 0, 2048)
	for Speaking(raw) == unclear {
		n, err := r.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		if n == 0 && err != nil {
			return "", raw, false, err
		}
	}
	switch Speaking(raw) {
	case Plain:
		return "", raw, false, nil
	case ssl2:
		return "", raw, true, errOldHello
	}
	name, raw, err = Read(io.MultiReader(bytes.NewReader(raw), r))
	return name, raw, true, err
}

// Read reads from r until the ClientHello is complete. It returns the server name
// together with every byte that it read, at most maxRaw; the caller must pass them on.
// The bytes are returned on error, too.
func Read(r io.Reader) (name string, raw []byte, err error) {
	h := hello{raw: make([]byte, 0, 2048)}
	for {
		body, err := h.next()
		if err == nil {
			name, err = serverName(body)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return name, h.raw, err
		}
		if len(h.raw) >= maxRaw {
			return "", h.raw, errLongHello
		}
		if len(h.raw) == cap(h.raw) {
			h.raw = append(make([]byte, 0, min(2*cap(h.raw), maxRaw)), h.raw...)
		}
		n, err := r.Read(h.raw[len(h.raw):cap(h.raw)])
		h.raw = h.raw[:len(h.raw)+n]
		if n == 0 && err != nil {
			return "", h.raw, err
		}
	}
}

// hello joins the records of raw into a handshake message.
type hello struct {
	raw []byte // all bytes read
	at  int    // the length already joined
	msg []byte
}

// next joins the newly completed records and returns the ClientHello's body,
// io.ErrUnexpectedEOF while it is incomplete, or the reason why it never will be
// complete. It reads each record once, so that a client gains nothing by sending byte
// by byte.
func (h *hello) next() ([]byte, error) {
	for {
		if len(h.msg) >= 1 && h.msg[0] != 1 { // client_hello
			return nil, errNotTLS
		}
		if len(h.msg) >= 4 {
			n := int(h.msg[1])<<16 | int(binary.BigEndian.Uint16(h.msg[2:]))
			if n > maxHello {
				return nil, errLongHello
			}
			if len(h.msg) >= 4+n {
				return h.msg[4 : 4+n], nil
			}
		}
		rest := h.raw[h.at:]
		n, err := recordLen(rest)
		if err != nil {
			return nil, err
		}
		if len(rest) < 5+n {
			if h.at == 0 && len(rest) > 5 && rest[5] != 1 {
				return nil, errNotTLS
			}
			return nil, io.ErrUnexpectedEOF
		}
		h.msg = append(h.msg, rest[5:5+n]...)
		h.at += 5 + n
	}
}

// serverName finds the name in the body of a ClientHello (RFC 8446, section 4.1.2; RFC
// 6066, section 3). It is as strict as TLS servers are: ambiguous input is an error.
func serverName(body []byte) (string, error) {
	s := scanner(body)
	s.skip(2 + 32) // version, random
	s.block8()     // session
	s.block16()    // cipher suites
	methods := s.block8()
	if s == nil || len(methods) == 0 {
		return "", errBadHello
	}
	if len(s) == 0 {
		return "", ErrNoName // no extensions at all
	}
	exts := s.block16()
	if s == nil || len(s) != 0 {
		return "", errBadHello
	}
	name, found := "", false
	for len(exts) > 0 {
		kind := exts.uint16()
		body := exts.block16()
		if exts == nil {
			return "", errBadHello
		}
		if kind != 0 { // server_name
			continue
		}
		if found {
			return "", errBadHello
		}
		found = true
		var err error
		if name, err = hostName(body); err != nil {
			return "", err
		}
	}
	if !found {
		return "", ErrNoName
	}
	return name, nil
}

// hostName reads the one host_name of a server_name extension.
func hostName(ext scanner) (string, error) {
	names := ext.block16()
	if ext == nil || len(ext) != 0 || len(names) == 0 {
		return "", errBadHello
	}
	kind := names.uint8()
	host := names.block16()
	switch {
	case names == nil || kind != 0 || len(host) == 0:
		return "", errBadHello
	case len(names) != 0:
		return "", errManyNames
	}
	return string(host), nil
}

// recordLen reads the header of a handshake record. It refuses empty records, as every
// TLS stack does: they would let a client write forever.
func recordLen(raw []byte) (int, error) {
	for i, want := range []byte{22, 3} { // handshake, TLS
		if len(raw) > i && raw[i] != want {
			return 0, errNotTLS
		}
	}
	if len(raw) > 2 && raw[2] > 4 {
		return 0, errNotTLS
	}
	if len(raw) < 5 {
		return 0, io.ErrUnexpectedEOF
	}
	n := int(binary.BigEndian.Uint16(raw[3:]))
	if n == 0 || n > maxRecord {
		return 0, errBadHello
	}
	return n, nil
}

// scanner takes bytes from the front. Once it runs out it is nil and stays nil.
type scanner []byte

func (s *scanner) take(n int) scanner {
	if *s == nil || len(*s) < n {
		*s = nil
		return nil
	}
	out := (*s)[:n:n]
	*s = (*s)[n:]
	return out
}

func (s *scanner) skip(n int) { s.take(n) }

func (s *scanner) uint8() int {
	if b := s.take(1); b != nil {
		return int(b[0])
	}
	return -1
}

func (s *scanner) uint16() int {
	if b := s.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return -1
}

// block8 takes a block after its length of one byte.
func (s *scanner) block8() scanner {
	if n := s.uint8(); n >= 0 {
		return s.take(n)
	}
	return nil
}

// block16 takes a block after its length of two bytes.
func (s *scanner) block16() scanner {
	if n := s.uint16(); n >= 0 {
		return s.take(n)
	}
	return nil
}
