package intercept_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"mcpen/sandbox/internal/intercept"
)

// seen is a Recorder that keeps everything.
type seen struct {
	mu        sync.Mutex
	asked     []string
	connected []intercept.Contact
	requests  []intercept.Request
	spoken    []intercept.Contact // of the requests
	ended     []intercept.Contact
	out       map[string]*bytes.Buffer
}

func (s *seen) Asked(name string) { s.mu.Lock(); defer s.mu.Unlock(); s.asked = append(s.asked, name) }
func (s *seen) Connected(c intercept.Contact) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connected = append(s.connected, c)
}
func (s *seen) Requested(c intercept.Contact, r intercept.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.spoken = append(s.requests, r), append(s.spoken, c)
}
func (s *seen) Ended(c intercept.Contact) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, c)
}
func (s *seen) Outgoing(where string) io.WriteCloser { return &outgoing{s, where} }

type outgoing struct {
	s     *seen
	where string
}

func (o *outgoing) Write(p []byte) (int, error) {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if o.s.out == nil {
		o.s.out = map[string]*bytes.Buffer{}
	}
	if o.s.out[o.where] == nil {
		o.s.out[o.where] = new(bytes.Buffer)
	}
	return o.s.out[o.where].Write(p)
}
func (o *outgoing) Close() error { return nil }

// inet is an internet with its recorder and the certificates that a program trusts.
type inet struct {
	*intercept.Internet
	saw   *seen
	roots *x509.CertPool
	wait  sync.WaitGroup
}

func newInternet(t *testing.T) *inet {
	t.Helper()
	ca, err := intercept.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	in := &inet{saw: &seen{}, roots: x509.NewCertPool()}
	in.roots.AppendCertsFromPEM(ca.PEM())
	in.Internet = intercept.New(ca, intercept.Answer{Status: 404, Type: "application/json", Body: []byte(`{"a":1}`)}, in.saw)
	return in
}

// dial connects a program to a name and port, by TCP on the loopback.
func (in *inet) dial(t *testing.T, name string, port uint16) net.Conn {
	t.Helper()
	to := netip.MustParseAddr("203.0.113.9")
	if name != "" {
		addrs := in.Resolve(name+".", dnsmessage.TypeA)
		if len(addrs) != 1 {
			t.Fatalf("%s has the addresses %v", name, addrs)
		}
		to = addrs[0]
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	in.wait.Go(func() { in.Serve(context.Background(), far, netip.AddrPortFrom(to, port)) })
	t.Cleanup(func() { c.Close() })
	return c
}

// over waits for the connections to end.
func (in *inet) over(t *testing.T) *seen {
	t.Helper()
	done := make(chan struct{})
	go func() { in.wait.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(60 * time.Second):
		t.Fatal("a connection does not end")
	}
	in.saw.mu.Lock()
	defer in.saw.mu.Unlock()
	return in.saw
}

const secret = "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB"

// A program's HTTP data is read completely, in every version: a secret that is missed
// here leaves without a word in the report.
func TestRequestsAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		port  uint16
		tls   bool
		proto string
		h2    bool
	}{
		"http/1.1":                 {80, false, "http/1.1", false},
		"http/1.1 on an odd port":  {3128, false, "http/1.1", false},
		"https by http/1.1":        {443, true, "http/1.1", false},
		"https by http/2":          {443, true, "h2", true},
		"http/2 without TLS (h2c)": {8080, false, "h2", true},
	} {
		t.Run(name, func(t *testing.T) {
			in := newInternet(t)
			conn := in.dial(t, "api.example.com", c.port)
			if c.tls {
				protos := []string{"http/1.1"}
				if c.h2 {
					protos = []string{"h2"}
				}
				secured := tls.Client(conn, &tls.Config{ServerName: "api.example.com", RootCAs: in.roots, NextProtos: protos})
				if err := secured.Handshake(); err != nil {
					t.Fatal(err)
				}
				conn = secured
			}
			scheme := map[bool]string{false: "http", true: "https"}[c.tls]
			url := scheme + "://api.example.com:" + strconv.Itoa(int(c.port)) + "/v1/items?q=a%20b"
			req, err := http.NewRequest("POST", url, strings.NewReader(`{"token":"`+secret+`"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Api-Key", secret)
			client := client(conn, c.h2)
			client.DisableKeepAlives = !c.h2
			resp, err := client.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 404 || string(body) != `{"a":1}` || resp.Header.Get("Content-Type") != "application/json" {
				t.Errorf("answered with %d %q", resp.StatusCode, body)
			}
			conn.Close()
			s := in.over(t)
			if len(s.requests) != 1 || len(s.ended) != 1 || len(s.connected) != 1 {
				t.Fatalf("%d requests, %d connections, %d ended", len(s.requests), len(s.connected), len(s.ended))
			}
			r, on := s.requests[0], s.ended[0]
			if r.Method != "POST" || !strings.HasSuffix(r.URL, "/v1/items?q=a%20b") || !strings.HasPrefix(r.URL, scheme+"://api.example.com") ||
				r.Header.Get("X-Api-Key") != secret || !strings.Contains(string(r.Body), secret) || r.Size != int64(len(r.Body)) {
				t.Errorf("read %+v", r)
			}
			if on.Name != "api.example.com" || on.Proto != c.proto || on.TLS != c.tls || on.Why != "" || on.Sent == 0 {
				t.Errorf("the connection was %+v", on)
			}
			if c.tls && on.SNI != "api.example.com" {
				t.Errorf("the server name was %q", on.SNI)
			}
			where := "api.example.com:" + strconv.Itoa(int(c.port))
			times := map[bool]int{false: 4, true: 2}[c.h2] // HTTP/1.1 is also read as it arrives
			if out := s.out[where]; out == nil || strings.Count(out.String(), secret) != times {
				t.Errorf("what left for %s has the secret not %d times: %v", where, times, out)
			}
		})
	}
}

// client speaks HTTP over one connection, only version 2 if h2 is set. It never opens a
// second one.
func client(conn net.Conn, h2 bool) *http.Transport {
	first := true
	dial := func(context.Context, string, string) (net.Conn, error) {
		if !first {
			return nil, errors.New("a second connection")
		}
		first = false
		return conn, nil
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	protocols.SetUnencryptedHTTP2(h2)
	return &http.Transport{Protocols: protocols, DialContext: dial, DialTLSContext: dial}
}

// Every byte that a program chooses can carry a secret, including bytes that belong to
// no request.
func TestWhatIsBesideRequestsIsRead(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
	for name, text := range map[string]string{
		"trailer":               post + "Trailer: X-A\r\n\r\n2\r\nhi\r\n0\r\nX-A: " + secret + "\r\n\r\n",
		"extension of a chunk":  post + "\r\n2;x=" + secret + "\r\nhi\r\n0\r\n\r\n",
		"behind the last":       "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n" + secret + " is no method\r\n\r\n",
		"a header that is none": "GET / HTTP/1.1\r\nHost: a.example\r\nno colon " + secret + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			in := newInternet(t)
			conn := in.dial(t, "a.example", 80)
			io.WriteString(conn, text)
			io.Copy(io.Discard, conn)
			if out := in.over(t).out["a.example:80"]; out == nil || !strings.Contains(out.String(), secret) {
				t.Errorf("looked at were %v", out)
			}
		})
	}
}

// A program can build a secret into the server name of TLS, whether or not it
// continues.
func TestServerNamesAreRead(t *testing.T) {
	name := "ghp-0123456789abcdefghij.evil.example"
	in := newInternet(t)
	s := tls.Client(in.dial(t, "", 443), &tls.Config{ServerName: name, RootCAs: x509.NewCertPool()})
	if s.Handshake() == nil {
		t.Fatal("it trusts what it does not know")
	}
	s.Close()
	if out := in.over(t).out["203.0.113.9:443"]; out == nil || !strings.Contains(out.String(), name) {
		t.Errorf("looked at were %v", out)
	}
}

// Data in a WebSocket is masked on the wire, and must be as readable here as a request.
func TestWebSocketsAreRead(t *testing.T) {
	for _, size := range []int{0, 200, 70_000} {
		in := newInternet(t)
		conn := in.dial(t, "a.example", 80)
		io.WriteString(conn, "GET /s HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Token: "+secret+"\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		// The key and its answer come from RFC 6455, section 1.3.
		if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
			t.Fatalf("answered with %+v, %v", resp, err)
		}
		conn.Write(frame(strings.Repeat("x", size)))
		conn.Write(frame("framed " + secret))
		conn.Close()
		s := in.over(t)
		if out := s.out["a.example:80"]; len(s.requests) != 1 || s.requests[0].Upgrade != "websocket" || !strings.Contains(out.String(), "framed "+secret) || !strings.Contains(out.String(), "X-Token: "+secret) {
			t.Errorf("behind %d bytes: looked at were %.300s", size, out)
		}
	}
}

// frame is a text frame from a client (RFC 6455, section 5.2).
func frame(text string) []byte {
	b := []byte{0x81}
	switch n := len(text); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := []byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, mask...)
	for i := range len(text) {
		b = append(b, text[i]^mask[i%4])
	}
	return b
}

// Two requests on one connection count as two, in both versions.
func TestConnectionsAreUsedAgain(t *testing.T) {
	in := newInternet(t)
	conn := in.dial(t, "a.example", 443)
	secured := tls.Client(conn, &tls.Config{ServerName: "a.example", RootCAs: in.roots, NextProtos: []string{"h2"}})
	client := client(secured, true)
	for range 3 {
		req, _ := http.NewRequest("GET", "https://a.example/", nil)
		resp, err := client.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	conn.Close()
	plain := in.dial(t, "b.example", 80)
	io.WriteString(plain, "GET /1 HTTP/1.1\r\nHost: b.example\r\n\r\nGET /2 HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n")
	io.Copy(io.Discard, plain)
	if s := in.over(t); len(s.requests) != 5 || len(s.ended) != 2 {
		t.Errorf("%d requests by %d connections, want 5 by 2", len(s.requests), len(s.ended))
	}
}

// Data that is not HTTP, or that cannot be decrypted, is reported: with its first bytes
// and the reason.
func TestWhatIsNotSeenIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		does  func(t *testing.T, in *inet, conn net.Conn)
		why   string
		first string
		tls   bool
	}{
		"another protocol": {func(t *testing.T, _ *inet, conn net.Conn) { io.WriteString(conn, "\x00\x01secret "+secret) }, "it is not HTTP", "\x00\x01secret", false},
		"garbage in TLS": {func(t *testing.T, in *inet, conn net.Conn) {
			s := tls.Client(conn, &tls.Config{ServerName: "x.example", RootCAs: in.roots})
			if _, err := io.WriteString(s, "EHLO x.example\r\n"); err != nil {
				t.Error(err)
			}
		}, "it is not HTTP", "EHLO", true},
		"a certificate of its own": {func(t *testing.T, _ *inet, conn net.Conn) {
			s := tls.Client(conn, &tls.Config{ServerName: "x.example", RootCAs: x509.NewCertPool()})
			if s.Handshake() == nil {
				t.Error("a program that trusts nobody was taken in")
			}
		}, "the program trusts certificates of its own only", "", true},
		"TLS that ends at once": {func(t *testing.T, _ *inet, conn net.Conn) { conn.Write([]byte{0x16, 3, 1, 0, 5, 1}) }, "the program closed the connection", "", true},
		"nothing":               {func(*testing.T, *inet, net.Conn) {}, "nothing was sent", "", false},
		"three bytes":           {func(t *testing.T, _ *inet, conn net.Conn) { io.WriteString(conn, "abc") }, "it is not HTTP", "abc", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInternet(t)
			conn := in.dial(t, "x.example", 5432)
			c.does(t, in, conn)
			conn.Close()
			s := in.over(t)
			if len(s.ended) != 1 || len(s.requests) != 0 {
				t.Fatalf("%d ended, %d requests", len(s.ended), len(s.requests))
			}
			if e := s.ended[0]; !strings.Contains(e.Why, c.why) || !strings.HasPrefix(string(e.First), c.first) || e.TLS != c.tls {
				t.Errorf("%+v, want %q and %q", e, c.why, c.first)
			}
		})
	}
}

// A program that uses an address without a name is identified by the address.
func TestAddressWithoutAName(t *testing.T) {
	in := newInternet(t)
	conn := in.dial(t, "", 443)
	s := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	io.WriteString(s, "GET / HTTP/1.1\r\nHost: hidden.example\r\nConnection: close\r\n\r\n")
	if certs := s.ConnectionState().PeerCertificates; len(certs) == 0 || certs[0].VerifyHostname("203.0.113.9") != nil {
		t.Error("the certificate is not the address's")
	}
	io.Copy(io.Discard, s)
	saw := in.over(t)
	if e := saw.ended[0]; e.Name != "" || e.SNI != "" || e.To.String() != "203.0.113.9:443" || len(saw.requests) != 1 {
		t.Errorf("%+v", e)
	}
	if saw.out["203.0.113.9:443"] == nil {
		t.Error("what left is not under the address")
	}
}

// Each name leads to its own address and back, in every spelling.
func TestNamesAreExact(t *testing.T) {
	in := newInternet(t)
	is := map[netip.Addr]string{}
	for i := range 3000 {
		name := "h" + strconv.Itoa(i) + ".example"
		a := in.Resolve(strings.ToUpper(name)+".", dnsmessage.TypeA)
		if len(a) != 1 || is[a[0]] != "" || a[0].IsPrivate() || a[0].IsLoopback() {
			t.Fatalf("%s has %v, which is %q too", name, a, is[a[0]])
		}
		is[a[0]] = name
		if again := in.Resolve(name, dnsmessage.TypeA); again[0] != a[0] || in.Name(a[0]) != name {
			t.Fatalf("%s leads to %v and then to %v, which is %q", name, a, again, in.Name(a[0]))
		}
	}
	if a := in.Resolve("h1.example", dnsmessage.TypeAAAA); a != nil {
		t.Errorf("an address of version 6: %v", a)
	}
	if a := in.Resolve("1.2.0.192.in-addr.arpa", dnsmessage.TypeA); a != nil {
		t.Errorf("an address of an address: %v", a)
	}
	if n := in.Name(netip.MustParseAddr("8.8.8.8")); n != "" {
		t.Errorf("nobody asked for %q", n)
	}
}

// A program that floods fills no memory: the stored data is bounded, and the sent bytes
// are still counted.
func TestWhatIsKeptIsBounded(t *testing.T) {
	in := newInternet(t)
	const size = 3 << 20
	conn := in.dial(t, "flood.example", 80)
	go io.WriteString(conn, "POST / HTTP/1.1\r\nHost: flood.example\r\nConnection: close\r\nContent-Length: "+strconv.Itoa(size)+"\r\n\r\n"+strings.Repeat("x", size))
	io.Copy(io.Discard, conn)
	raw := in.dial(t, "raw.example", 9999)
	io.WriteString(raw, strings.Repeat("\x00y", size/2))
	raw.Close()
	for i := range 6000 {
		in.Resolve("n"+strconv.Itoa(i)+".example", dnsmessage.TypeA)
	}
	s := in.over(t)
	if r := s.requests[0]; len(r.Body) != 256<<10 || r.Size != size {
		t.Errorf("%d bytes of %d were kept", len(r.Body), r.Size)
	}
	if n := len(s.ended[1].First); n != 1<<10 || s.ended[1].Sent != size {
		t.Errorf("%d bytes of %d were kept", n, s.ended[1].Sent)
	}
	if out := s.out["flood.example:80"]; out.Len() < size {
		t.Errorf("%d bytes were searched, want %d", out.Len(), size)
	}
	if in.Resolve("one-more.example", dnsmessage.TypeA) != nil {
		t.Error("names have no end")
	}
}

// A header that never ends is given up, together with the connection.
func TestHeadWithoutEnd(t *testing.T) {
	in := newInternet(t)
	conn := in.dial(t, "h.example", 80)
	go func() {
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h.example\r\n")
		for {
			if _, err := io.WriteString(conn, "X-"+strings.Repeat("a", 4096)+": b\r\n"); err != nil {
				return
			}
		}
	}()
	text, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(text), "HTTP/1.1 431") {
		t.Errorf("answered with %.60q", text)
	}
	conn.Close()
	if s := in.over(t); len(s.requests) != 0 {
		t.Error("a request without an end was one")
	}
}
