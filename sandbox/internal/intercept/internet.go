// Package intercept imitates the internet. Every name has an address, every connection
// is accepted, and TLS is terminated with certificates of an authority that exists for
// one run. So all data that a program would have sent to anybody can be read, and none
// of it leaves.
//
// It opens no socket. Callers pass connections to Serve, and a Recorder receives the
// observations. All stored data is bounded; the excess is counted.
package intercept

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Recorder receives a program's actions on the internet. Many goroutines call its
// methods.
type Recorder interface {
	Asked(name string)                    // a name was looked up
	Connected(c Contact)                  // a connection was made
	Requested(c Contact, r Request)       // a complete request arrived
	Ended(c Contact)                      // the connection ended, and its properties are known
	Outgoing(where string) io.WriteCloser // receives every byte that the program sends there
}

// Answer is the answer to every request.
type Answer struct {
	Status int
	Type   string // of the content
	Body   []byte
}

// Contact is one connection.
type Contact struct {
	ID    int
	Name  string // the name that led to the address; "": the program knew the address
	To    netip.AddrPort
	TLS   bool
	SNI   string // the server name in the program's ClientHello
	Proto string // its protocol: "http/1.1", "h2", "" if unknown
	Why   string // why its content was not seen
	First []byte // the first bytes of what is not HTTP, or not HTTP that was read
	Sent  int64  // bytes that the program sent, on the wire
}

// Request is one HTTP request.
type Request struct {
	Method  string
	URL     string // complete
	Header  http.Header
	Body    []byte // its beginning
	Size    int64  // of the body
	Upgrade string // the protocol that it asks to switch to
}

// Bounds on stored data and on waits.
const (
	maxNames  = 4096
	maxBody   = 256 << 10 // of one request, in bytes
	maxFirst  = 1 << 10   // of a connection that is not HTTP
	maxDrain  = 256 << 20 // bytes read from one connection
	firstWord = 5 * time.Second
	patience  = 2 * time.Minute // for one connection
)

// Internet is one imitation of the internet. Many goroutines may call its methods.
type Internet struct {
	to     Recorder
	answer Answer
	ca     *Authority

	mu    sync.Mutex
	base  netip.Addr
	byIs  map[netip.Addr]string
	byHas map[string]netip.Addr
	last  int // contact
}

// New makes an Internet.
func New(ca *Authority, answer Answer, to Recorder) *Internet {
	n := &Internet{to: to, answer: answer, ca: ca, byIs: map[netip.Addr]string{}, byHas: map[string]netip.Addr{}}
	// Not an address of a private or a reserved network: some programs refuse those.
	n.base = netip.AddrFrom4([4]byte{104, byte(16 + rand.IntN(8)), 0, byte(1 + rand.IntN(8))})
	return n
}

// Resolve returns a name's address.
func (n *Internet) Resolve(name string, kind dnsmessage.Type) []netip.Addr {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	n.to.Asked(name)
	if kind != dnsmessage.TypeA || strings.HasSuffix(name, ".arpa") {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if a, ok := n.byHas[name]; ok {
		return []netip.Addr{a}
	}
	if len(n.byHas) >= maxNames {
		return nil
	}
	b := n.base.As4()
	i := len(n.byHas) + int(b[2])<<8 + int(b[3])
	b[2], b[3] = byte(i>>8), byte(i)
	a := netip.AddrFrom4(b)
	n.byHas[name], n.byIs[a] = a, name
	return []netip.Addr{a}
}

// Name returns the name that led to an address, or "".
func (n *Internet) Name(a netip.Addr) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.byIs[a]
}

// Serve takes over a connection, returns when it has ended, and closes it.
func (n *Internet) Serve(ctx context.Context, conn net.Conn, to netip.AddrPort) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	n.mu.Lock()
	n.last++
	c := Contact{ID: n.last, Name: n.byIs[to.Addr()], To: to}
	n.mu.Unlock()
	n.to.Connected(c)
	in := &counted{Conn: conn}
	n.speak(ctx, in, &c)
	conn.Close()
	c.Sent = in.n
	n.to.Ended(c)
}

// speak detects the protocol and reads the data.
func (n *Internet) speak(ctx context.Context, conn net.Conn, c *Contact) {
	p := newPeeked(conn)
	conn.SetReadDeadline(time.Now().Add(firstWord))
	first, err := p.r.Peek(1)
	conn.SetReadDeadline(time.Time{})
	switch {
	case err != nil && isTimeout(err):
		c.Why = "the program waits for the other side to speak first"
		n.drain(p, c)
	case err != nil:
		c.Why = "nothing was sent"
	case first[0] == 0x16: // a TLS record of the handshake (RFC 8446, section 5.1)
		n.end(ctx, p, c)
	default:
		n.inside(ctx, p, c)
	}
}

// end terminates TLS.
func (n *Internet) end(ctx context.Context, conn *peeked, c *Contact) {
	c.TLS = true
	t := tls.Server(conn, &tls.Config{
		NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			c.SNI = h.ServerName
			return nil, nil
		},
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			name := h.ServerName
			if name == "" {
				name = c.To.Addr().String()
			}
			return n.ca.certificate(name)
		},
	})
	hello, _ := conn.r.Peek(min(conn.r.Buffered(), maxFirst)) // what came with the first byte
	hello = bytes.Clone(hello)
	hand, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	err := t.HandshakeContext(hand)
	n.tell(*c, c.SNI) // whether or not data follows
	if err != nil {
		c.Why, c.First = "TLS was given up: "+plainly(err), hello
		return
	}
	if t.ConnectionState().NegotiatedProtocol == "h2" {
		c.Proto = "h2"
		n.requests(ctx, t, c)
		return
	}
	n.inside(ctx, newPeeked(t), c)
}

// tell passes on words that left outside of the data read.
func (n *Internet) tell(c Contact, words string) {
	out := n.to.Outgoing(where(c))
	defer out.Close()
	io.WriteString(out, words)
}

// plainly describes a handshake error for a person.
func plainly(err error) string {
	var alert tls.AlertError
	switch text := err.Error(); {
	case errors.As(err, &alert), strings.Contains(text, "bad certificate"), strings.Contains(text, "unknown certificate"):
		return "the program trusts certificates of its own only (" + strings.TrimPrefix(text, "remote error: ") + ")"
	case strings.Contains(text, "bad record MAC"): // OpenSSL's refusal of a certificate in TLS 1.3, which it sends before its keys are in use
		return "the program trusts certificates of its own only, or speaks TLS wrongly (" + strings.TrimPrefix(text, "local error: ") + ")"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), strings.Contains(text, "reset by peer"):
		return "the program closed the connection"
	default:
		return text
	}
}

// inside reads data outside of TLS, or inside it.
func (n *Internet) inside(ctx context.Context, p *peeked, c *Contact) {
	p.SetReadDeadline(time.Now().Add(firstWord))
	begins, err := p.r.Peek(4)
	p.SetReadDeadline(time.Time{})
	switch {
	case bytes.HasPrefix(begins, []byte("PRI ")):
		c.Proto = "h2"
		n.requests(ctx, p, c)
	case isMethod(begins):
		c.Proto = "http/1.1"
		// Bytes beside the requests are sent, too: chunk extensions, garbage.
		out := n.to.Outgoing(where(*c))
		defer out.Close()
		n.requests(ctx, &peeked{p.Conn, bufio.NewReader(io.TeeReader(p.r, out))}, c)
	default:
		if err == nil || len(begins) > 0 {
			c.Why = "it is not HTTP"
		} else {
			c.Why = "nothing was sent"
		}
		n.drain(p, c)
	}
}

func isMethod(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	for _, m := range []string{"GET ", "POST", "PUT ", "HEAD", "DELE", "PATC", "OPTI", "CONN", "TRAC", "PROP", "REPO", "MKCO"} {
		if string(b) == m {
			return true
		}
	}
	return false
}

// requests serves the requests of one connection, over HTTP/1.1 or HTTP/2. The server
// detects the version: by ALPN if conn is a *tls.Conn, else by the client's first
// bytes.
func (n *Internet) requests(ctx context.Context, conn net.Conn, c *Contact) {
	one := &single{conn: conn, over: make(chan struct{})}
	handler := n.handler(c)
	srv := &http.Server{MaxHeaderBytes: 256 << 10, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: patience, ErrorLog: log.New(io.Discard, "", 0),
		Protocols: new(http.Protocols), BaseContext: func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handler.ServeHTTP(w, r)
			if isWebSocket(r) { // the server has given the connection away
				one.end()
			}
		})}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	srv.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			one.end()
		}
	}
	_ = srv.Serve(one) // it reports that the listener is closed
}

// drain reads to the end, and keeps the beginning.
func (n *Internet) drain(p *peeked, c *Contact) {
	out := n.to.Outgoing(where(*c))
	defer out.Close()
	buf := make([]byte, 16<<10)
	for total := 0; total < maxDrain; {
		k, err := p.Read(buf)
		total += k
		c.First = append(c.First, buf[:min(k, maxFirst-len(c.First))]...)
		out.Write(buf[:k])
		if err != nil {
			return
		}
	}
}

// where names the destination of bytes for a person.
func where(c Contact) string {
	host := c.Name
	if host == "" {
		host = c.To.Addr().String()
	}
	return net.JoinHostPort(host, itoa(c.To.Port()))
}

// handler records a request and answers it.
func (n *Internet) handler(c *Contact) http.Handler {
	seen := *c
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme := "http"
		if seen.TLS {
			scheme = "https"
		}
		got := Request{Method: r.Method, URL: scheme + "://" + r.Host + r.URL.RequestURI(), Header: r.Header.Clone(), Upgrade: r.Header.Get("Upgrade")}
		if r.URL.IsAbs() { // to a proxy
			got.URL = r.URL.String()
		}
		head := n.to.Outgoing(where(seen))
		io.WriteString(head, got.Method+" "+got.URL+"\n")
		r.Header.Write(head)
		head.Close()
		if isWebSocket(r) {
			n.to.Requested(seen, got)
			n.webSocket(w, r, seen)
			return
		}
		body := n.to.Outgoing(where(seen)) // separately, so that compressed data begins at the start
		var kept bytes.Buffer
		size, _ := io.Copy(io.MultiWriter(body, &limited{b: &kept, left: maxBody}), io.LimitReader(r.Body, maxDrain))
		r.Trailer.Write(body)
		body.Close()
		got.Body, got.Size = kept.Bytes(), size
		n.to.Requested(seen, got)
		w.Header().Set("Content-Type", n.answer.Type)
		w.WriteHeader(n.answer.Status)
		if r.Method != http.MethodHead {
			w.Write(n.answer.Body)
		}
	})
}

// limited keeps the beginning of the data written to it.
type limited struct {
	b    *bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	k := min(len(p), l.left)
	l.left -= k
	l.b.Write(p[:k])
	return len(p), nil
}

// counted counts the bytes read.
type counted struct {
	net.Conn
	n int64
}

func (c *counted) Read(b []byte) (int, error) {
	k, err := c.Conn.Read(b)
	c.n += int64(k)
	return k, err
}

// peeked is a connection whose beginning was peeked at.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func newPeeked(c net.Conn) *peeked           { return &peeked{c, bufio.NewReader(c)} }
func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// single is a listener with one connection.
type single struct {
	conn  net.Conn
	once  sync.Once
	given bool
	over  chan struct{}
}

func (s *single) Accept() (net.Conn, error) {
	if !s.given {
		s.given = true
		return s.conn, nil
	}
	<-s.over
	return nil, net.ErrClosed
}

func (s *single) end()           { s.once.Do(func() { close(s.over) }) }
func (s *single) Close() error   { s.end(); return nil }
func (s *single) Addr() net.Addr { return s.conn.LocalAddr() }

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
