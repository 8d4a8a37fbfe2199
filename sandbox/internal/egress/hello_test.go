package egress

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"mcpen/sandbox/internal/dns"
)

// clientHello is the ClientHello of crypto/tls for name.
func clientHello(t testing.TB, name string) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer b.Close()
	go func() {
		_ = tls.Client(a, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake() // ends with the pipe
		a.Close()
	}()
	head := make([]byte, 5)
	_, err := io.ReadFull(b, head)
	must(t, err)
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	_, err = io.ReadFull(b, body)
	must(t, err)
	return append(head, body...)
}

// ext is one extension of a ClientHello.
type ext struct {
	kind uint16
	body []byte
}

// sni is the server_name extension with these names.
func sni(names ...string) ext {
	var list []byte
	for _, n := range names {
		list = append(list, 0)
		list = binary.BigEndian.AppendUint16(list, uint16(len(n)))
		list = append(list, n...)
	}
	return ext{0, append(binary.BigEndian.AppendUint16(nil, uint16(len(list))), list...)}
}

// buildHello makes a ClientHello in records of at most size bytes.
func buildHello(size int, exts ...ext) []byte {
	var e []byte
	for _, x := range exts {
		e = binary.BigEndian.AppendUint16(e, x.kind)
		e = binary.BigEndian.AppendUint16(e, uint16(len(x.body)))
		e = append(e, x.body...)
	}
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0, 2, 0x13, 0x01, 1, 0)
	body = binary.BigEndian.AppendUint16(body, uint16(len(e)))
	body = append(body, e...)
	msg := append([]byte{1, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
	var out []byte
	for len(msg) > 0 {
		n := min(size, len(msg))
		out = append(out, 22, 3, 1)
		out = binary.BigEndian.AppendUint16(out, uint16(n))
		out = append(out, msg[:n]...)
		msg = msg[n:]
	}
	return out
}

func TestHelloNames(t *testing.T) {
	pad := func(n int) ext { return ext{21, make([]byte, n)} }
	grease := ext{0x0a0a, nil}
	ech := ext{0xfe0d, append([]byte{0, 0, 1, 0, 1, 7, 0, 32}, make([]byte, 200)...)}
	for _, c := range []struct {
		what string
		raw  []byte
		name string
		err  error
	}{
		{"crypto/tls", clientHello(t, "api.example.com"), "api.example.com", nil},
		{"one record", buildHello(16384, sni("api.example.com")), "api.example.com", nil},
		{"a byte a record", buildHello(1, sni("api.example.com")), "api.example.com", nil},
		{"16 KiB", buildHello(16384, pad(16<<10), sni("api.example.com")), "api.example.com", nil},
		{"almost 64 KiB", buildHello(16384, pad(60<<10), sni("api.example.com")), "api.example.com", nil},
		{"grease and ECH", buildHello(500, grease, ech, sni("api.example.com"), pad(7)), "api.example.com", nil},
		{"upper case", buildHello(500, sni("API.Example.com")), "API.Example.com", nil},
		{"with bytes behind", append(buildHello(500, sni("a.example")), 23, 3, 3, 0, 1, 0), "a.example", nil},

		{"no name", buildHello(500, grease), "", errNoName},
		{"no extensions", buildHello(500), "", errNoName},
		{"two names", buildHello(500, sni("a.example", "b.example")), "", errManyNames},
		{"two extensions", buildHello(500, sni("a.example"), sni("b.example")), "", errBadHello},
		{"an empty name", buildHello(500, sni("")), "", errBadHello},
		{"an empty list", buildHello(500, sni()), "", errBadHello},
		{"a name of another kind", buildHello(500, ext{0, []byte{0, 4, 1, 0, 1, 'a'}}), "", errBadHello},
		{"bytes behind the list", buildHello(500, ext{0, append(sni("a.example").body, 0)}), "", errBadHello},
		{"over 64 KiB", buildHello(16384, pad(40<<10), pad(30<<10), sni("a.example")), "", errLongHello},
		{"an empty record", []byte{22, 3, 1, 0, 0}, "", errBadHello},
		{"a record too long", []byte{22, 3, 1, 0x40, 1}, "", errBadHello},
		{"another handshake message", []byte{22, 3, 1, 0, 4, 2, 0, 0, 0}, "", errNotTLS},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"), "", errNotTLS},
		{"SSH", []byte("SSH-2.0-OpenSSH_9.9\r\n"), "", errNotTLS},
		{"SSL 2", []byte{0x80, 0x2e, 1, 3, 1}, "", errNotTLS},
		{"an alert", []byte{21, 3, 1, 0, 2, 2, 40}, "", errNotTLS},
		{"half", buildHello(500, sni("api.example.com"))[:20], "", io.ErrUnexpectedEOF},
		{"nothing", nil, "", io.EOF},
	} {
		for how, r := range map[string]io.Reader{
			"at once": bytes.NewReader(c.raw), "byte by byte": iotest.OneByteReader(bytes.NewReader(c.raw)),
		} {
			name, raw, err := readHello(r)
			want := c.err
			if want == io.ErrUnexpectedEOF {
				want = io.EOF // of the reader
			}
			if name != c.name || !errors.Is(err, want) {
				t.Errorf("%s, %s: %q, %v; want %q, %v", c.what, how, name, err, c.name, want)
			}
			if !bytes.HasPrefix(c.raw, raw) {
				t.Errorf("%s, %s: the bytes to pass on are not those that came", c.what, how)
			}
		}
	}
}

// A client that sends records without end is cut off.
func TestHelloIsBounded(t *testing.T) {
	endless := buildHello(1, ext{21, make([]byte, 60<<10)}, sni("a.example")) // six bytes for each one
	_, raw, err := readHello(bytes.NewReader(endless))
	if !errors.Is(err, errLongHello) || len(raw) > maxRaw {
		t.Errorf("%v after %d bytes", err, len(raw))
	}
}

func FuzzHello(f *testing.F) {
	f.Add(buildHello(500, sni("api.example.com")))
	f.Add(buildHello(3, sni("a"), ext{0x0a0a, nil}))
	f.Add(buildHello(500))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, raw, err := readHello(bytes.NewReader(b))
		name1, _, err1 := readHello(iotest.OneByteReader(bytes.NewReader(b)))
		if name != name1 || (err == nil) != (err1 == nil) {
			t.Errorf("at once %q, %v; byte by byte %q, %v", name, err, name1, err1)
		}
		if !bytes.HasPrefix(b, raw) || len(raw) > maxRaw {
			t.Errorf("%d bytes were read of %d", len(raw), len(b))
		}
		if (name == "") == (err == nil) {
			t.Errorf("name %q, %v", name, err)
		}
		if err != nil || dns.Canonical(name) == "" {
			return
		}
		// A server must not read a different name from the same bytes.
		if seen := serverSees(raw); seen != "" && !strings.EqualFold(seen, name) && strings.TrimSuffix(name, ".") == name {
			t.Errorf("read %q, and crypto/tls reads %q", name, seen)
		}
	})
}

// serverSees is the name that crypto/tls reads from a ClientHello.
func serverSees(raw []byte) (name string) {
	a, b := net.Pipe()
	defer a.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer b.Close()
		_ = tls.Server(b, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			name = h.ServerName
			return nil, errors.New("enough")
		}}).Handshake()
	}()
	go func() { _, _ = a.Write(raw) }()
	go func() { _, _ = io.Copy(io.Discard, a) }()
	<-done
	return name
}
