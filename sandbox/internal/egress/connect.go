package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
)

// out handles a connection to an address outside.
func (e *Egress) out(in stream) {
	dst := destination(in)
	if !dst.IsValid() || dst.Addr().IsLoopback() { // see Handle.Shared
		abort(in)
		return
	}
	g, first, bad := e.decide(in, dst)
	if bad != nil {
		e.refuse(*bad)
		abort(in)
		return
	}
	if g == (grant{}) { // closed again before there was anything to decide
		return
	}
	c := e.wanted(g, dst)
	own, err := e.own()
	if err != nil {
		e.trouble("tell which addresses are this machine's own", err)
		abort(in)
		return
	}
	if why := refuses(dst.Addr(), g.rule, own); why != "" {
		r := c.refused(why)
		if classify(dst.Addr()) == near && !own[dst.Addr()] {
			r.hint = privateLine(g.rule)
		}
		e.refuse(r)
		abort(in)
		return
	}
	c.to = e.addresses(g, dst, own)
	c.check = func(a netip.AddrPort) error {
		if why := refuses(a.Addr(), g.rule, own); why != "" || a.Port() != dst.Port() {
			return fmt.Errorf("refused: %s", why)
		}
		return nil
	}
	if g.name != "" {
		e.names.table.use(dst.Addr(), g.name, e.cfg.Now())
	}
	e.carry(in, c, first)
}

// decide finds the rule that lets a connection to dst out. It returns what it
// read from in to know, which is to be passed on.
func (e *Egress) decide(in stream, dst netip.AddrPort) (g grant, first []byte, bad *refusal) {
	names := e.names.table.names(dst.Addr(), e.cfg.Now())
	gs := e.rules.grants(dst, names)
	if len(gs) == 0 {
		return grant{}, nil, unknown(dst, names)
	}
	if !demandsTLS(gs) {
		for _, g = range gs {
			if g.name == "" || !g.rule.TLS {
				break
			}
		}
		return g, nil, nil
	}
	sni, first, err := e.hello(in)
	if errors.Is(err, errSilentClose) {
		return grant{}, nil, nil
	}
	r := &refusal{
		kind: audit.KindConnect, subject: subject(gs[0].name, dst.Port()), about: gs[0].name,
		address: dst.String(), rule: gs[0].rule.At.String(),
	}
	if err != nil {
		r.why = fmt.Sprintf("the rule demands TLS, and %v", err)
		r.hint = fmt.Sprintf("network.allow = [{ host = %q, tls = false }]", gs[0].rule.String())
		return grant{}, nil, r
	}
	name := canonical(sni)
	for _, g := range gs {
		if g.name == name {
			return g, first, nil
		}
	}
	r.subject, r.about = subject(shown(sni), dst.Port()), shown(sni)
	r.why = fmt.Sprintf("the program connected to an address of %s and asks for the TLS server name %s there", gs[0].name, shown(sni))
	if name != "" {
		r.hint = ruleLine(name, dst.Port())
	}
	return grant{}, nil, r
}

// unknown is the refusal of an address for which there is no grant.
func unknown(dst netip.AddrPort, names []string) *refusal {
	r := &refusal{kind: audit.KindConnect, subject: dst.String(), about: dst.Addr().String(), address: dst.String()}
	if len(names) > 0 {
		r.subject, r.about = subject(names[0], dst.Port()), names[0]
		r.why = fmt.Sprintf("%s is allowed, but not on port %d", names[0], dst.Port())
		r.hint = ruleLine(names[0], dst.Port())
		return r
	}
	r.why = "no allowed name led to this address, and no rule names it"
	if is := classify(dst.Addr()); is == public || is == near {
		r.hint = ruleLine(dst.Addr().String(), dst.Port())
	} else {
		r.why = fmt.Sprintf("%s is %s", dst.Addr(), is)
	}
	return r
}

// hello reads the ClientHello.
func (e *Egress) hello(in stream) (name string, first []byte, err error) {
	if err := in.SetReadDeadline(time.Now().Add(e.cfg.Limits.Hello)); err != nil {
		return "", nil, err
	}
	name, first, err = readHello(in)
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "", nil, fmt.Errorf("no whole ClientHello came within %s", e.cfg.Limits.Hello)
	case len(first) == 0 && !isHelloError(err):
		return "", nil, errSilentClose
	case !isHelloError(err):
		return "", nil, fmt.Errorf("the connection ended within the ClientHello (%v)", err)
	default:
		return "", nil, err
	}
	return name, first, in.SetReadDeadline(time.Time{})
}

// errSilentClose says that the program closed the connection before it said
// anything. Programs that try several addresses at once do that to all but the
// first that answers.
var errSilentClose = errors.New("closed before anything was said")

// addresses are those to try for dst: itself, then the others that the name
// leads to, checked as the rule wants it.
func (e *Egress) addresses(g grant, dst netip.AddrPort, own map[netip.Addr]bool) []netip.AddrPort {
	out := []netip.AddrPort{dst}
	if g.name == "" {
		return out
	}
	last, _ := e.names.table.last(g.name, e.cfg.Now())
	for _, a := range last.addrs {
		if a != dst.Addr() && len(out) < maxTries && refuses(a, g.rule, own) == "" {
			out = append(out, netip.AddrPortFrom(a, dst.Port()))
		}
	}
	return out
}

func subject(name string, port uint16) string { return net.JoinHostPort(name, strconv.Itoa(int(port))) }

// call is one connection to be made: where to, and how it is spoken of.
type call struct {
	subject string
	about   string
	meant   string // the address that the program meant
	rule    policy.Host
	to      []netip.AddrPort
	check   func(netip.AddrPort) error
}

func (e *Egress) wanted(g grant, dst netip.AddrPort) call {
	c := call{subject: dst.String(), about: dst.Addr().String(), meant: dst.String(), rule: g.rule}
	if g.name != "" {
		c.subject, c.about = subject(g.name, dst.Port()), g.name
	}
	return c
}

func (c call) refused(why string) refusal {
	return refusal{kind: audit.KindConnect, subject: c.subject, about: c.about, address: c.meant, rule: c.rule.At.String(), why: why}
}

// local handles a connection to a port of the loopback that a rule leads to the
// host's.
func (e *Egress) local(in stream, port uint16) {
	rule, ok := e.rules.local[port]
	c := call{subject: subject("localhost", port), about: subject("localhost", port), meant: destination(in).String(), rule: rule}
	if !ok {
		e.refuse(c.refused("no rule names this port"))
		abort(in)
		return
	}
	c.to = []netip.AddrPort{
		netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port), netip.AddrPortFrom(netip.IPv6Loopback(), port),
	}
	c.check = func(a netip.AddrPort) error {
		if !a.Addr().IsLoopback() || a.Port() != port {
			return fmt.Errorf("refused: %s is not what the rule names", a)
		}
		return nil
	}
	e.carry(in, c, nil)
}

// carry makes the connection that was decided on and joins it with in.
func (e *Egress) carry(in stream, c call, first []byte) {
	select {
	case e.dials <- struct{}{}:
	case <-e.ctx.Done():
		abort(in)
		return
	}
	conn, err := e.reach(c.to, c.check)
	<-e.dials
	if err != nil {
		e.failed(c, err)
		abort(in)
		return
	}
	out, ok := conn.(stream)
	if !ok || !e.keep(out) {
		conn.Close()
		abort(in)
		return
	}
	defer e.forget(out)
	defer out.Close()
	if err := e.allowed(c, out); err != nil {
		abort(out)
		abort(in)
		return
	}
	e.join(in, out, c, first)
}

// allowed records that the connection was made.
func (e *Egress) allowed(c call, out stream) error {
	ev := audit.Event{Kind: audit.KindConnect, Verdict: audit.Allowed, Subject: c.subject, Rule: c.rule.At.String(),
		Address: remote(out, c.meant), Request: e.cfg.InFlight()}
	if ev.Address != c.meant {
		ev.Detail = fmt.Sprintf("the program meant %s", c.meant)
	}
	err := e.ledger.note(ev)
	if err != nil {
		e.cfg.Tell(fmt.Sprintf("refused %s: cannot record it: %v", c.subject, err))
	}
	return err
}

// failed records that an allowed connection could not be made.
func (e *Egress) failed(c call, err error) {
	if e.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return // the sandbox is gone
	}
	ev := audit.Event{Kind: audit.KindConnect, Verdict: audit.Observed, Subject: c.subject, Rule: c.rule.At.String(),
		Address: c.meant, Detail: "allowed, but it cannot be reached: " + err.Error(), Errno: errnoOf(err), Request: e.cfg.InFlight()}
	if err := e.ledger.note(ev); err != nil {
		e.cfg.Tell(fmt.Sprintf("cannot record that %s cannot be reached: %v", c.subject, err))
	}
}
