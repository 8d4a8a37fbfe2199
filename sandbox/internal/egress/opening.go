package egress

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/dns"
	"mcpen/sandbox/internal/hello"
)

// opening holds a program's first bytes on a connection, and the resulting grant.
type opening struct {
	grant grant  // the grant to continue with; the zero grant if nothing is left to decide
	first []byte // the bytes read, to be passed on
}

// demand reads a ClientHello and finds the grant that it names. It is for a connection
// on which only TLS may pass.
func (e *Egress) demand(in stream, gs []grant, dst netip.AddrPort) (opening, *refusal) {
	_ = in.SetReadDeadline(time.Now().Add(e.cfg.Limits.Hello)) // if the connection is gone, the read reports it
	name, first, err := hello.Read(in)
	if err != nil && len(first) == 0 && !hello.IsError(err) && !errors.Is(err, os.ErrDeadlineExceeded) {
		// The program closed the connection before it sent anything. Programs that try
		// several addresses at once do that to all but the first that answers.
		return opening{}, nil
	}
	return e.named(in, gs, dst, "the rule demands TLS, and ", name, first, err)
}

// peek reads until it is clear whether the program speaks TLS, and if so, finds the
// grant that it names. A program may wait for the other side's first bytes as long as
// it likes, but not in the middle of its own.
func (e *Egress) peek(in stream, gs []grant, dst netip.AddrPort) (opening, *refusal, error) {
	name, first, isTLS, err := hello.Peek(&impatient{in, e.cfg.Limits.Hello})
	switch {
	case isTLS || errors.Is(err, os.ErrDeadlineExceeded):
		o, bad := e.named(in, gs, dst, "the program speaks TLS, and ", name, first, err)
		return o, bad, nil
	case errors.Is(err, io.EOF): // whatever it is, it is complete
		err = nil
	}
	if err == nil {
		err = in.SetReadDeadline(time.Time{})
	}
	return opening{gs[0], first}, nil, err
}

// named finds the grant for the name in a ClientHello.
func (e *Egress) named(in stream, gs []grant, dst netip.AddrPort, says, name string, first []byte, err error) (opening, *refusal) {
	g, ok := nameless(gs)
	if err == nil || ok && errors.Is(err, hello.ErrNoName) {
		if name != "" {
			g, ok = naming(gs, dns.Canonical(name))
		}
		if ok {
			_ = in.SetReadDeadline(time.Time{}) // if the connection is gone, the next read reports it
			return opening{g, first}, nil
		}
	}
	g = firstNamed(gs)
	r := &refusal{
		kind: audit.KindConnect, subject: subject(g.name, dst.Port()), about: g.name,
		address: dst.String(), rule: g.rule.At.String(),
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("no whole ClientHello came within %s", e.cfg.Limits.Hello)
	case err != nil && !hello.IsError(err):
		err = fmt.Errorf("the connection ended within the ClientHello (%v)", err)
	case err == nil:
		r.subject, r.about = subject(shown(name), dst.Port()), shown(name)
		r.why = fmt.Sprintf("the program connected to an address of %s and asks for the TLS server name %s there", g.name, shown(name))
		if r.grant = e.ruleFor(dns.Canonical(name), dst.Port()); r.grant == nil {
			r.why += ", which did not lead to it"
		}
		return opening{}, r
	}
	r.why = says + err.Error()
	r.grant = audit.AllowRule(g.rule.String()).With("host", "tls", false)
	return opening{}, r
}

// naming returns the grant for a name.
func naming(gs []grant, name string) (grant, bool) {
	for _, g := range gs {
		if name != "" && g.name == name {
			return g, true
		}
	}
	return grant{}, false
}

// firstNamed is the grant to name in reports if several apply.
func firstNamed(gs []grant) grant {
	for _, g := range gs {
		if g.name != "" {
			return g
		}
	}
	return gs[0]
}

// impatient waits for the first byte indefinitely, and for the rest at most the limit.
type impatient struct {
	stream
	limit time.Duration
}

func (i *impatient) Read(b []byte) (int, error) {
	n, err := i.stream.Read(b)
	if err == nil && i.limit > 0 {
		err = i.stream.SetReadDeadline(time.Now().Add(i.limit))
		i.limit = 0
	}
	return n, err
}
