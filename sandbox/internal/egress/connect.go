package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/net/dns/dnsmessage"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/interfaces"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// out handles a connection to an address outside.
func (e *Egress) out(in stream) {
	dst := destination(in)
	if !dst.IsValid() || dst.Addr().IsLoopback() { // see listeners.Handle.Shared
		abort(in)
		return
	}
	h := e.held.take(flowOf(in))
	defer h.close(e)
	h.whole(e)
	var gs []grant
	var around interfaces.Surroundings
	var bad *refusal
	if h != nil {
		gs, around = h.gs, h.around
	} else if gs, around, bad = e.granted(dst); bad != nil && e.cfg.World != nil {
		e.cfg.World.Serve(e.ctx, in, dst)
		return
	} else if bad != nil {
		e.refuse(*bad)
		abort(in)
		return
	}
	how := looks(gs, dst.Port())
	o := opening{grant: gs[0]}
	if how == demanded {
		if o, bad = e.demand(in, gs, dst); bad != nil {
			e.refuse(*bad)
			abort(in)
			return
		}
		if o.grant == (grant{}) { // closed before there was anything to decide
			return
		}
	}
	c := e.call(o.grant, dst, around)
	c.conn = h.use(o.grant, dst)
	c.first = func() ([]byte, error) { return o.first, nil }
	if how == checked {
		c.first = e.peeking(in, gs, dst)
	}
	e.carry(in, c)
}

// peeking returns a function that examines a program's first bytes and refuses a
// forbidden connection.
func (e *Egress) peeking(in stream, gs []grant, dst netip.AddrPort) func() ([]byte, error) {
	return func() ([]byte, error) {
		o, bad, err := e.peek(in, gs, dst)
		if bad != nil {
			e.refuse(*bad)
			err = errors.New(bad.why)
		}
		return o.first, err
	}
}

// granted returns the grants for a connection to dst, best first, or the refusal if
// there are none.
func (e *Egress) granted(dst netip.AddrPort) ([]grant, interfaces.Surroundings, *refusal) {
	names := e.names.of(dst.Addr())
	all := e.rules.grants(dst, names)
	if len(all) == 0 {
		return nil, interfaces.Surroundings{}, e.unknown(dst, names)
	}
	refused := func(why string) refusal { return e.wanted(all[0], dst).refused(why) }
	around, err := e.around()
	if err != nil {
		e.trouble("tell which addresses are this machine's own", err)
		r := refused("nobody can tell whether it is this machine's own address")
		return nil, around, &r
	}
	gs := slices.DeleteFunc(slices.Clone(all), func(g grant) bool {
		return around.Refuses(dst.Addr(), g.rule) != "" && !e.standsFor(dst, g)
	})
	if len(gs) > 0 {
		return gs, around, nil
	}
	r := refused(around.Refuses(dst.Addr(), all[0].rule))
	if around.Opened(dst.Addr(), all[0].rule) {
		r.grant = privateRule(all[0].rule)
	}
	return nil, around, &r
}

// call is the connection that a grant allows.
func (e *Egress) call(g grant, dst netip.AddrPort, around interfaces.Surroundings) call {
	c := e.wanted(g, dst)
	c.via = e.ways.by(g, dst)
	switch {
	case c.via.Via != "":
	case e.standsFor(dst, g): // on a port without a proxy
		c.more = func() []netip.AddrPort { return e.unasked(g, dst, around) }
	default:
		c.to = e.addresses(g, dst, around)
		c.more = func() []netip.AddrPort { return e.unasked(g, dst, around) }
	}
	c.check = func(a netip.AddrPort) error {
		if why := around.Refuses(a.Addr(), g.rule); why != "" || a.Port() != dst.Port() {
			return fmt.Errorf("refused: %s", why)
		}
		return nil
	}
	if g.name != "" && !e.standsFor(dst, g) {
		e.names.table.use(dst.Addr(), g.name, e.cfg.Now())
	}
	return c
}

// standsFor reports whether the address is a stand-in for the grant's name.
func (e *Egress) standsFor(dst netip.AddrPort, g grant) bool {
	return g.name != "" && e.names.standIns.name(dst.Addr()) == g.name
}

// unknown is the refusal of an address without a grant.
func (e *Egress) unknown(dst netip.AddrPort, names []string) *refusal {
	r := &refusal{kind: audit.KindConnect, subject: dst.String(), about: dst.Addr().String(), address: dst.String()}
	if len(names) > 0 {
		r.subject, r.about = subject(names[0], dst.Port()), names[0]
		r.why = fmt.Sprintf("%s is allowed, but not on port %d", names[0], dst.Port())
		r.grant = e.ruleFor(names[0], dst.Port())
		return r
	}
	r.why = "no allowed name led to this address, and no rule names it"
	if is := policy.ClassifyAddress(dst.Addr()); is == policy.AddressPublic || is == policy.AddressPrivate {
		r.grant = e.ruleFor(dst.Addr().String(), dst.Port())
	} else {
		r.why = fmt.Sprintf("%s is %s", dst.Addr(), is)
	}
	return r
}

// addresses lists the addresses to try for dst: dst itself, then the name's others that
// pass the rule's checks. An address that recently did not answer comes last for a
// while.
func (e *Egress) addresses(g grant, dst netip.AddrPort, around interfaces.Surroundings) []netip.AddrPort {
	out := []netip.AddrPort{dst}
	if g.name == "" {
		return out
	}
	for _, a := range e.names.table.addresses(g.name) {
		if a != dst.Addr() && around.Refuses(a, g.rule) == "" {
			out = append(out, netip.AddrPortFrom(a, dst.Port()))
		}
	}
	return e.past.best(out, e.cfg.Now())
}

// unasked returns addresses of the families that the program never asked for, or of
// both if it only has a stand-in.
func (e *Egress) unasked(g grant, dst netip.AddrPort, around interfaces.Surroundings) (out []netip.AddrPort) {
	found, _ := e.rules.naming(g.name)
	if len(found) == 0 {
		return nil
	}
	for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
		q := asked{name: g.name, kind: kind, direct: e.standsFor(dst, g)}
		if last, _ := e.names.table.last(q, e.cfg.Now()); last.asked == q && !q.direct {
			continue
		}
		for _, a := range e.names.resolve(q, found).addrs {
			if around.Refuses(a, g.rule) == "" {
				out = append(out, netip.AddrPortFrom(a, dst.Port()))
			}
		}
	}
	return out
}

func subject(name string, port uint16) string { return net.JoinHostPort(name, strconv.Itoa(int(port))) }

// call is one connection to make: its destination, and its names in reports.
type call struct {
	grant   grant
	subject string
	about   string
	meant   string // the address that the program meant
	rule    policy.Host
	via     plan.Proxy // the host's proxy; without one:
	to      []netip.AddrPort
	more    func() []netip.AddrPort // returns addresses to try if none answered; nil: none
	check   func(netip.AddrPort) error
	conn    stream // a connection that is already made, or nil
	begun   begun
	// first returns the bytes to send before anything else, or an error that forbids
	// the connection. It runs after the connection is made, so that a server that
	// speaks first is heard.
	first func() ([]byte, error)
}

func (e *Egress) wanted(g grant, dst netip.AddrPort) call {
	to := dst.String()
	if g.name == "" {
		return call{grant: g, subject: to, about: dst.Addr().String(), meant: to, rule: g.rule}
	}
	return call{grant: g, subject: subject(g.name, dst.Port()), about: g.name, meant: to, rule: g.rule}
}

func (c call) refused(why string) refusal {
	return refusal{kind: audit.KindConnect, subject: c.subject, about: c.about, address: c.meant, rule: c.rule.At.String(), why: why}
}

// local handles a connection to a port of the loopback that a rule maps to the host's.
func (e *Egress) local(in stream, port uint16) {
	h := e.held.take(flowOf(in))
	defer h.close(e)
	h.whole(e)
	rule, ok := e.rules.local[port]
	c := e.localCall(netip.AddrPortFrom(destination(in).Addr(), port), rule)
	if !ok {
		e.refuse(c.refused("no rule names this port"))
		abort(in)
		return
	}
	c.conn = h.use(c.grant, netip.AddrPort{})
	e.carry(in, c)
}

// localCall is a connection to a port of the host's loopback.
func (e *Egress) localCall(to netip.AddrPort, rule policy.Host) call {
	name := subject("localhost", to.Port())
	return call{
		subject: name, about: name, meant: to.String(), rule: rule, to: loopbacks(to), first: nothing,
		check: func(a netip.AddrPort) error {
			if !a.Addr().IsLoopback() || a.Port() != to.Port() {
				return fmt.Errorf("refused: %s is not what the rule names", a)
			}
			return nil
		},
	}
}

// loopbacks lists the addresses of the host's loopback to try: first the one that the
// program meant, since two services may share a port, and then the other, since a
// program that says localhost accepts either.
func loopbacks(meant netip.AddrPort) []netip.AddrPort {
	four, six := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	if meant.Addr().Is6() {
		four, six = six, four
	}
	return []netip.AddrPort{netip.AddrPortFrom(four, meant.Port()), netip.AddrPortFrom(six, meant.Port())}
}

func nothing() ([]byte, error) { return nil, nil }

// carry makes the allowed connection, unless it exists already, and joins it with in.
func (e *Egress) carry(in stream, c call) {
	out := c.conn
	if out == nil {
		var err error
		if out, err = e.connect(c); err != nil {
			e.failed(c, err)
			abort(in)
			return
		}
		if !e.keep(out) {
			return
		}
	}
	defer e.forget(out)
	defer out.Close()
	if err := e.allowed(c, out); err != nil {
		abort(out)
		abort(in)
		return
	}
	e.join(in, out, c)
}

// connect makes a connection when a slot is free.
func (e *Egress) connect(c call) (stream, error) {
	select {
	case e.dials <- struct{}{}:
	case <-e.ctx.Done():
		return nil, context.Canceled
	}
	conn, err := e.reach(c)
	<-e.dials
	if err != nil {
		return nil, err
	}
	out, ok := conn.(stream)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("internal error: connected by a %T", conn)
	}
	return out, nil
}

// allowed records that the connection was made.
func (e *Egress) allowed(c call, out stream) error { return e.allowedAt(c, remote(out, c.meant)) }

func (e *Egress) allowedAt(c call, address string) error {
	ev := audit.Event{Kind: audit.KindConnect, Verdict: audit.Allowed, Subject: c.subject, Rule: c.rule.At.String(),
		Address: address, Request: e.cfg.InFlight()}
	switch {
	case c.via.Via != "":
		ev.Detail = fmt.Sprintf("by the proxy %s (%s)", c.via.Via, c.via.At)
	case ev.Address != c.meant:
		ev.Detail = fmt.Sprintf("the program meant %s", c.meant)
	}
	err := e.ledger.note(ev)
	if err != nil {
		e.cfg.Warn(fmt.Sprintf("refused %s: cannot record it: %v", c.subject, err))
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
		e.cfg.Warn(fmt.Sprintf("cannot record that %s cannot be reached: %v", c.subject, err))
	}
	e.ledger.say("unreachable "+c.subject, fmt.Sprintf("cannot reach %s, which %v allows: %s", c.subject, c.rule.At, e.plainly(c, err)))
}

// plainly describes how a connection failed, and how many addresses were tried.
func (e *Egress) plainly(c call, err error) string {
	why := err.Error()
	var errno syscall.Errno
	switch {
	case c.via.Via != "" && !errors.Is(err, context.DeadlineExceeded): // the proxy's message
	case errors.As(err, &errno):
		why = errno.Error()
	case errors.Is(err, context.DeadlineExceeded):
		why = fmt.Sprintf("nobody answered within %s", e.cfg.Limits.Connect)
	}
	if len(c.to) > 1 && !c.to[0].Addr().IsLoopback() {
		why += fmt.Sprintf(" (all of its %d addresses were tried)", len(c.to))
	}
	return why
}
