package egress

import (
	"fmt"
	"net/netip"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
)

// refusal says what was refused, why, and what would allow it.
type refusal struct {
	kind    audit.Kind
	subject string // name:port, address:port or a name
	about   string // the name or address alone: what a person is told of once
	address string
	rule    string // that stood against it, where one did
	why     string
	grant   *audit.Grant // the rule that would allow it, or nil
	quiet   bool         // recorded, but nobody is told

	errno   string // where the kernel refused, and to whom
	pid     int
	program string
}

// refuse records a refusal and tells of it. That a refusal cannot be recorded
// changes nothing about it.
func (e *Egress) refuse(r refusal) {
	err := e.ledger.note(audit.Event{
		Kind: r.kind, Verdict: audit.Refused, Subject: r.subject, Detail: r.why, Rule: r.rule, Grant: r.grant,
		Address: r.address, Errno: r.errno, PID: r.pid, Program: r.program, Request: e.cfg.InFlight(),
	})
	if err != nil {
		e.cfg.Warn(fmt.Sprintf("cannot record that %s was refused: %v", r.subject, err))
	}
	if r.quiet {
		return
	}
	line := fmt.Sprintf("refused %s: %s", r.subject, r.why)
	if r.grant != nil {
		line += "; to allow it: " + r.grant.Advice(e.cfg.Allow)
	}
	e.ledger.say(r.about, line)
}

// Barred tells of a connection to a port that no rule names: the kernel refused
// it with the errno, and it never came here. It may be called at any time.
func (e *Egress) Barred(to netip.AddrPort, errno string, pid int, program string) {
	r := e.unknown(to, e.names.of(to.Addr()))
	if to.Addr().IsLoopback() {
		r.subject, r.about = subject("localhost", to.Port()), "localhost"
		r.why = fmt.Sprintf("no rule names port %d, neither of the host's loopback nor (network.listen) of the server's own", to.Port())
		r.grant = e.ruleFor("localhost", to.Port())
	}
	r.errno, r.pid, r.program = errno, pid, program
	e.refuse(*r)
}

// failedName records and says that an allowed name could not be looked up.
func (e *Egress) failedName(name string, rule policy.Host, why string) {
	err := e.ledger.note(audit.Event{Kind: audit.KindName, Verdict: audit.Observed, Subject: name, Rule: rule.At.String(),
		Detail: "allowed, but it cannot be looked up: " + why, Request: e.cfg.InFlight()})
	if err != nil {
		e.cfg.Warn(fmt.Sprintf("cannot record that %s cannot be looked up: %v", name, err))
	}
	e.ledger.say("name "+name, fmt.Sprintf("cannot look up %s, which %v allows: %s", name, rule.At, why))
}

// trouble records something that went wrong on this side.
func (e *Egress) trouble(what string, err error) {
	text := fmt.Sprintf("cannot %s: %v", what, err)
	if err := e.ledger.note(audit.Event{Kind: audit.KindConnect, Verdict: audit.Observed, Subject: what, Detail: text}); err != nil {
		text += fmt.Sprintf(" (and cannot record it: %v)", err)
	}
	e.ledger.say("trouble: "+what, text)
}

// limited records that a limit holds something back.
func (e *Egress) limited(what, detail string) {
	err := e.ledger.note(audit.Event{Kind: audit.KindLimit, Verdict: audit.Observed, Subject: what, Detail: detail, Request: e.cfg.InFlight()})
	if err != nil {
		detail += fmt.Sprintf(" (and cannot record it: %v)", err)
	}
	e.ledger.say("limit: "+what, detail)
}

// noteShared records that the listeners share the server's namespace.
func (e *Egress) noteShared(handles []Handle) error {
	for _, h := range handles {
		if h.Shared {
			return e.cfg.Sink(audit.Event{Time: e.cfg.Now(), Kind: audit.KindGap, Verdict: audit.Observed, Subject: "listeners",
				Detail: "this machine has no namespace for the egress alone (veth, CAP_SYS_ADMIN): nothing more gets out, but the server cannot listen on the ports of its own rules"})
		}
	}
	return nil
}

// ruleFor is the rule that would allow name (or an address) on port, or nil where
// one is there already, or none would do.
func (e *Egress) ruleFor(name string, port uint16) *audit.Grant {
	host := subject(name, port)
	h, err := policy.ParseHost(host)
	if err != nil {
		return nil
	}
	found, _ := e.rules.naming(name)
	if a, err := netip.ParseAddr(name); err == nil {
		found = e.rules.holding(a)
	}
	if _, local := e.rules.local[port]; h.Kind == policy.HostLocal && local {
		return nil
	}
	for _, r := range found {
		if hasPort(r, port) {
			return nil
		}
	}
	return audit.AllowHost(host)
}

// privateRule is the rule that reaches private addresses too.
func privateRule(rule policy.Host) *audit.Grant {
	return audit.AllowRule(rule.String()).With("host", "private", true)
}
