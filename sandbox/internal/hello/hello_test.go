package hello

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
	"mcpen/sandbox/internal/hello/hellotest"
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

func TestHelloNames(t *testing.T) {
	pad := func(n int) hellotest.Ext { return hellotest.Ext{Kind: 21, Body: make([]byte, n)} }
	grease := hellotest.Ext{Kind: 0x0a0a, Body: nil}
	ech := hellotest.Ext{Kind: 0xfe0d, Body: append([]byte{0, 0, 1, 0, 1, 7, 0, 32}, make([]byte, 200)...)}
	for _, c := range []struct {
		what string
		raw  []byte
		name string
		err  error
	}{
		{"crypto/tls", clientHello(t, "api.example.com"), "api.example.com", nil},
		{"one record", hellotest.Build(16384, hellotest.SNI("api.example.com")), "api.example.com", nil},
		{"a byte a record", hellotest.Build(1, hellotest.SNI("api.example.com")), "api.example.com", nil},
		{"16 KiB", hellotest.Build(16384, pad(16<<10), hellotest.SNI("api.example.com")), "api.example.com", nil},
		{"almost 64 KiB", hellotest.Build(16384, pad(60<<10), hellotest.SNI("api.example.com")), "api.example.com", nil},
		{"grease and ECH", hellotest.Build(500, grease, ech, hellotest.SNI("api.example.com"), pad(7)), "api.example.com", nil},
		{"upper case", hellotest.Build(500, hellotest.SNI("API.Example.com")), "API.Example.com", nil},
		{"with bytes behind", append(hellotest.Build(500, hellotest.SNI("a.example")), 23, 3, 3, 0, 1, 0), "a.example", nil},

		{"no name", hellotest.Build(500, grease), "", ErrNoName},
		{"no extensions", hellotest.Build(500), "", ErrNoName},
		{"two names", hellotest.Build(500, hellotest.SNI("a.example", "b.example")), "", errManyNames},
		{"two extensions", hellotest.Build(500, hellotest.SNI("a.example"), hellotest.SNI("b.example")), "", errBadHello},
		{"an empty name", hellotest.Build(500, hellotest.SNI("")), "", errBadHello},
		{"an empty list", hellotest.Build(500, hellotest.SNI()), "", errBadHello},
		{"a name of another kind", hellotest.Build(500, hellotest.Ext{Kind: 0, Body: []byte{0, 4, 1, 0, 1, 'a'}}), "", errBadHello},
		{"bytes behind the list", hellotest.Build(500, hellotest.Ext{Kind: 0, Body: append(hellotest.SNI("a.example").Body, 0)}), "", errBadHello},
		{"over 64 KiB", hellotest.Build(16384, pad(40<<10), pad(30<<10), hellotest.SNI("a.example")), "", errLongHello},
		{"an empty record", []byte{22, 3, 1, 0, 0}, "", errBadHello},
		{"a record too long", []byte{22, 3, 1, 0x40, 1}, "", errBadHello},
		{"another handshake message", []byte{22, 3, 1, 0, 4, 2, 0, 0, 0}, "", errNotTLS},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"), "", errNotTLS},
		{"SSH", []byte("SSH-2.0-OpenSSH_9.9\r\n"), "", errNotTLS},
		{"SSL 2", []byte{0x80, 0x2e, 1, 3, 1}, "", errNotTLS},
		{"an alert", []byte{21, 3, 1, 0, 2, 2, 40}, "", errNotTLS},
		{"half", hellotest.Build(500, hellotest.SNI("api.example.com"))[:20], "", io.ErrUnexpectedEOF},
		{"nothing", nil, "", io.EOF},
	} {
		for how, r := range map[string]io.Reader{
			"at once": bytes.NewReader(c.raw), "byte by byte": iotest.OneByteReader(bytes.NewReader(c.raw)),
		} {
			name, raw, err := Read(r)
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
	endless := hellotest.Build(1, hellotest.Ext{Kind: 21, Body: make([]byte, 60<<10)}, hellotest.SNI("a.example")) // six bytes for each one
	_, raw, err := Read(bytes.NewReader(endless))
	if !errors.Is(err, errLongHello) || len(raw) > maxRaw {
		t.Errorf("%v after %d bytes", err, len(raw))
	}
}

func FuzzHello(f *testing.F) {
	f.Add(hellotest.Build(500, hellotest.SNI("api.example.com")))
	f.Add(hellotest.Build(3, hellotest.SNI("a"), hellotest.Ext{Kind: 0x0a0a, Body: nil}))
	f.Add(hellotest.Build(500))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, raw, err := Read(bytes.NewReader(b))
		name1, _, err1 := Read(iotest.OneByteReader(bytes.NewReader(b)))
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

// Two readers read a hello with bytes after its end differently: one checks one name,
// and the other talks to another.
func TestHelloEndsWhereItSays(t *testing.T) {
	good := hellotest.Build(1<<14, hellotest.SNI("a.example"))[5+4:] // without the record's and the message's head
	if name, err := serverName(good); err != nil || name != "a.example" {
		t.Fatalf("%q, %v", name, err)
	}
	for name, body := range map[string][]byte{
		"a byte behind the extensions":      append(append([]byte{}, good...), 0),
		"a byte too few":                    good[:len(good)-1],
		"a second list of extensions":       append(append([]byte{}, good...), good[len(good)-10:]...),
		"a byte behind the list of names":   trailing(hellotest.SNI("a.example"), 0),
		"a byte within the list of names":   trailing(hellotest.SNI("a.example"), 1),
		"two names of one sort":             hellotest.Build(1<<14, hellotest.SNI("a.example", "b.example"))[9:],
		"two extensions with a name":        hellotest.Build(1<<14, hellotest.SNI("a.example"), hellotest.SNI("b.example"))[9:],
		"a name in a list with no length":   hellotest.Build(1<<14, hellotest.Ext{Kind: 0, Body: nil})[9:],
		"a list that is empty":              hellotest.Build(1<<14, hellotest.Ext{Kind: 0, Body: []byte{0, 0}})[9:],
		"a name of no length":               hellotest.Build(1<<14, hellotest.Ext{Kind: 0, Body: []byte{0, 3, 0, 0, 0}})[9:],
		"nothing":                           nil,
		"a session that is longer than all": append(append([]byte{3, 3}, make([]byte, 32)...), 255),
	} {
		if got, err := serverName(body); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
	for n := range good {
		if got, err := serverName(good[:n]); err == nil {
			t.Errorf("the first %d of %d bytes name %q", n, len(good), got)
		}
	}
}

// trailing is a hello with an extra byte in its server_name extension: after the list,
// or counted in it.
func trailing(x hellotest.Ext, counted byte) []byte {
	body := append(append([]byte{}, x.Body...), 0)
	body[1] += counted
	return hellotest.Build(1<<14, hellotest.Ext{Kind: 0, Body: body})[9:]
}

// The last bytes of a hello may come together with the end of the connection, and a
// record may have TLS's full length.
func TestHellosAtTheirEnds(t *testing.T) {
	hello := hellotest.Build(16384, hellotest.SNI("a.example"))
	for name, r := range map[string]io.Reader{"with the end": iotest.DataErrReader(bytes.NewReader(hello)), "byte by byte": iotest.OneByteReader(bytes.NewReader(hello)), "at once": bytes.NewReader(hello)} {
		if got, raw, err := Read(r); got != "a.example" || err != nil || !bytes.Equal(raw, hello) {
			t.Errorf("%s: %q, %d bytes, %v", name, got, len(raw), err)
		}
	}
	for _, c := range []struct {
		raw  []byte
		n    int
		want error
	}{
		{nil, 0, io.ErrUnexpectedEOF}, {[]byte{22}, 0, io.ErrUnexpectedEOF}, {[]byte{22, 3, 1, 0}, 0, io.ErrUnexpectedEOF}, {[]byte{22, 3, 1, 0, 1}, 1, nil}, {[]byte{22, 3, 0, 0, 1}, 1, nil}, {[]byte{22, 3, 4, 0, 1}, 1, nil}, {[]byte{22, 3, 5, 0, 1}, 0, errNotTLS}, {[]byte{22, 3, 5}, 0, errNotTLS},
		{[]byte{23}, 0, errNotTLS}, {[]byte{22, 2}, 0, errNotTLS}, {[]byte{22, 3, 1, 0, 0}, 0, errBadHello}, {[]byte{22, 3, 1, maxRecord >> 8, maxRecord & 255}, maxRecord, nil}, {[]byte{22, 3, 1, (maxRecord + 1) >> 8, (maxRecord + 1) & 255}, 0, errBadHello},
	} {
		if n, err := recordLen(c.raw); n != c.n || !errors.Is(err, c.want) {
			t.Errorf("%v: %d, %v, want %d, %v", c.raw, n, err, c.n, c.want)
		}
	}
	for _, c := range []struct {
		ext  string
		name string
		err  error
	}{
		{"\x00\x04\x00\x00\x01a", "a", nil}, {"", "", errBadHello}, {"\x00\x00", "", errBadHello}, {"\x00\x04\x00\x00\x01a\x00", "", errBadHello}, {"\x00\x05\x00\x00\x01a", "", errBadHello}, {"\x00\x03\x00\x00\x00", "", errBadHello}, {"\x00\x04\x01\x00\x01a", "", errBadHello}, {"\x00\x03\x00\x00\x01", "", errBadHello},
		{"\x00\x08\x00\x00\x01a\x00\x00\x01b", "", errManyNames}, {"\x00\x05\x00\x00\x01ab", "", errManyNames},
	} {
		if name, err := hostName(scanner(c.ext)); name != c.name || !errors.Is(err, c.err) {
			t.Errorf("%q: %q, %v, want %q, %v", c.ext, name, err, c.name, c.err)
		}
	}
}

// A ClientHello ends at the length that it declares, and not before.
func TestHellosThatEndEarly(t *testing.T) {
	for _, c := range []struct {
		raw  []byte
		want Protocol
	}{
		{nil, unclear}, {[]byte{22}, unclear}, {[]byte{22, 3}, unclear}, {[]byte{22, 3, 1, 0}, unclear}, {[]byte{22, 3, 1, 0, 1}, unclear}, {[]byte{22, 3, 1, 0, 1, 1}, modern}, {[]byte{22, 3, 1, 0, 1, 2}, Plain},
		{[]byte{22, 3, 1, 0, 0}, modern}, {[]byte{22, 2}, Plain}, {[]byte{0x80}, unclear}, {[]byte{0x80, 1, 1}, unclear}, {[]byte{0x80, 1, 1, 3}, ssl2}, {[]byte{0x80, 1, 2}, Plain}, {[]byte{0x80, 1, 1, 2}, Plain}, {[]byte{21}, Plain}, {[]byte{0x7f}, Plain},
	} {
		if got := Speaking(c.raw); got != c.want {
			t.Errorf("%v: %v, want %v", c.raw, got, c.want)
		}
	}
	body := hellotest.Build(1<<14, hellotest.SNI("a.example"))[9:]
	cut := bytes.Clone(body)
	at := len(cut) - len(hellotest.SNI("a.example").Body) - 2 // the length of the last extension
	cut[at+1]++
	short := hellotest.Build(1<<14, hellotest.SNI("a.example"), hellotest.Ext{Kind: 5, Body: []byte{1, 2}})[9:]
	short[len(short)-3]++ // the length of the second extension
	for name, c := range map[string]struct {
		body []byte
		want error
	}{
		"no body": {nil, errBadHello}, "an extension that is longer than all of them": {cut, errBadHello}, "no extensions at all": {body[:2+32+1+2+2+2], ErrNoName}, "none of them a name": {hellotest.Build(1<<14, hellotest.Ext{Kind: 5, Body: []byte{1}})[9:], ErrNoName},
		"a second extension that is cut": {short, errBadHello},
		"no compression method":          {append(append([]byte{3, 3}, make([]byte, 32)...), 0, 0, 2, 0x13, 1, 0), errBadHello},
	} {
		if _, err := serverName(c.body); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// A message without a body is complete: readHello waits for nothing more.
	for _, raw := range [][]byte{{22, 3, 1, 0, 4, 1, 0, 0, 0}, {22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 3, 0, 0, 0}} {
		if _, got, err := Read(io.MultiReader(bytes.NewReader(raw), neverRead{t})); !errors.Is(err, errBadHello) || !bytes.Equal(got, raw) {
			t.Errorf("%v: %v, %v", raw, got, err)
		}
	}
}

type neverRead struct{ t *testing.T }

func (n neverRead) Read([]byte) (int, error) { n.t.Error("it waits for more"); return 0, io.EOF }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
