package egress

import (
	"fmt"
	"net/netip"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/policy"
)

// refusal describes a refusal: the subject, the reason and the remedy.
type refusal struct {
	kind    audit.Kind
	subject string // name:port, address:port or a name
	about   string // the name or address alone: a person hears of it once
	address string
	rule    string // the rule that led to the refusal, if one did
	why     string
	grant   *audit.Grant // the rule that would allow it, or nil
	quiet   bool         // recorded, but not reported to a person

	errno   string // the kernel's errno and the program, if the kernel refused
	pid     int
	program string
}

// refuse records a refusal and reports it. A refusal that cannot be recorded is still a
// refusal.
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

// Barred reports a connection to a port that no rule names: the kernel refused it with
// the errno, and it never reached the egress. It may be called at any time.
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

// failedName records and reports that an allowed name could not be resolved.
func (e *Egress) failedName(name string, rule policy.Host, why string) {
	err := e.ledger.note(audit.Event{Kind: audit.KindName, Verdict: audit.Observed, Subject: name, Rule: rule.At.String(),
		Detail: "allowed, but it cannot be looked up: " + why, Request: e.cfg.InFlight()})
	if err != nil {
		e.cfg.Warn(fmt.Sprintf("cannot record that %s cannot be looked up: %v", name, err))
	}
	e.ledger.say("name "+name, fmt.Sprintf("cannot look up %s, which %v allows: %s", name, rule.At, why))
}

// trouble records an error on this side.
func (e *Egress) trouble(what string, err error) {
	text := fmt.Sprintf("cannot %s: %v", what, err)
	if err := e.ledger.note(audit.Event{Kind: audit.KindConnect, Verdict: audit.Observed, Subject: what, Detail: text}); err != nil {
		text += fmt.Sprintf(" (and cannot record it: %v)", err)
	}
	e.ledger.say("trouble: "+what, text)
}

// limited records that a limit delays something.
func (e *Egress) limited(what, detail string) {
	err := e.ledger.note(audit.Event{Kind: audit.KindLimit, Verdict: audit.Observed, Subject: what, Detail: detail, Request: e.cfg.InFlight()})
	if err != nil {
		detail += fmt.Sprintf(" (and cannot record it: %v)", err)
	}
	e.ledger.say("limit: "+what, detail)
}

// noteShared records that the listeners share the server's namespace.
func (e *Egress) noteShared(handles []listeners.Handle) error {
	for _, h := range handles {
		if h.Shared {
			return e.cfg.Sink(audit.Event{Time: e.cfg.Now(), Kind: audit.KindGap, Verdict: audit.Observed, Subject: "listeners",
				Detail: "this machine has no namespace for the egress alone (veth, CAP_SYS_ADMIN): nothing more gets out, but the server cannot listen on the ports of its own rules"})
		}
	}
	return nil
}

// ruleFor is the rule that would allow name (or an address) on port, or nil if the
// profile has it already, or if none would suffice.
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

// privateRule is the rule that also reaches private addresses.
func privateRule(rule policy.Host) *audit.Grant {
	return audit.AllowRule(rule.String()).With("host", "private", true)
}

// maxShown is the longest text in characters: that of a name (RFC 1035, section 2.3.4).
const maxShown = 253

// shown formats s for a person: it escapes characters that could affect a terminal or a
// log, and bounds the length.
func shown(s string) string {
	var b strings.Builder
	for i := 0; i < len(s) && i < maxShown; i++ {
		if c := s[i]; c > ' ' && c < 0x7f && c != '"' && c != '\\' {
			b.WriteByte(c)
		} else {
			const hex = "0123456789abcdef"
			b.WriteString(`\x`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	if len(s) > maxShown {
		b.WriteString("…")
	}
	return b.String()
}
