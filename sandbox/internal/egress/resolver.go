package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/time/rate"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/policy"
)

// How long answers are given again, and how many addresses one may have.
const (
	keepFound   = 20 * time.Second
	keepMissing = 5 * time.Second
	lookupTime  = 10 * time.Second
	maxAddrs    = 32
)

// New names below wildcards: after a burst, one in two seconds. Each carries up
// to maxExtra characters to whoever owns the suffix.
const (
	wildBurst = 64
	wildEvery = 2 * time.Second
)

// maxQuestions bounds the questions that wait for the host's resolver; further
// ones get no answer, and are asked again.
const maxQuestions = 1024

// resolver answers the sandbox's questions.
type resolver struct {
	e     *Egress
	table *table
	wild  *rate.Limiter
	slots chan struct{} // lookups
	asked chan struct{} // questions

	mu      sync.Mutex
	pending map[string]*pending
	v6      bool // AAAA has a point
}

// pending is one lookup that somebody waits for.
type pending struct {
	done chan struct{}
	ans  answer // when done is closed
}

func newResolver(e *Egress) *resolver {
	return &resolver{
		e: e, table: newTable(), wild: rate.NewLimiter(rate.Every(wildEvery), wildBurst),
		slots: make(chan struct{}, e.cfg.Limits.Lookups), asked: make(chan struct{}, maxQuestions),
		pending: map[string]*pending{}, v6: true,
	}
}

// lookup asks the host's own resolver, the way any program on the host does.
func lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

// verdict is what becomes of a question before anybody is asked.
type verdict struct {
	code  rcode
	addrs []netip.Addr
	ask   string        // the name to resolve, if it may be
	rules []policy.Host // that name it
}

// judge decides on a question and records what it refuses.
func (r *resolver) judge(q query) verdict {
	if q.bad != 0 {
		return verdict{code: q.bad}
	}
	if q.question.Class != dnsmessage.ClassINET {
		return verdict{code: dnsmessage.RCodeRefused} // version.bind and the like
	}
	asked := q.question.Name.String()
	name := canonical(asked)
	if isLocalhost(name) {
		return verdict{addrs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}}
	}
	found, long := r.e.rules.naming(name)
	if len(found) == 0 {
		r.refuseName(asked, name, long)
		return verdict{code: dnsmessage.RCodeNameError}
	}
	switch q.question.Type {
	case dnsmessage.TypeA:
	case dnsmessage.TypeAAAA:
		if !r.hasV6() {
			return verdict{}
		}
	default:
		return verdict{} // the name is there, records of this type are not
	}
	return verdict{ask: name, rules: found}
}

func (r *resolver) hasV6() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.v6
}

func (r *resolver) refuseName(asked, name string, long bool) {
	f := refusal{kind: audit.KindName, subject: name, about: name, why: "no rule names it", hint: ruleLine(name, 443)}
	switch {
	case name == "":
		f.subject, f.about = shown(asked), "no host name"
		f.why, f.hint = "it is not a host name", ""
	case long:
		f.why = fmt.Sprintf("more than %d labels or %d characters stand before the suffix of a wildcard", maxExtraLabels, maxExtra)
	case strings.HasSuffix(name, ".arpa"):
		f.why, f.hint, f.quiet = "names of addresses are not looked up", "", true // programs do it for their logs
	}
	r.e.refuse(f)
}

// answer is the reply to a message, or nil where none is due.
func (r *resolver) answer(b []byte, tcp bool) []byte {
	q, err := parseQuery(b)
	if err != nil {
		return nil
	}
	return r.reply(q, r.judge(q), tcp)
}

func (r *resolver) reply(q query, v verdict, tcp bool) []byte {
	if v.ask != "" {
		a := r.resolve(v.ask, v.rules)
		v.code, v.addrs = a.rcode, a.addrs
	}
	limit := q.size
	if tcp {
		limit = maxTCP
	}
	out, err := q.reply(v.code, v.addrs, limit)
	if err != nil {
		return nil // a question that cannot be repeated
	}
	return out
}

// resolve returns the answer for an allowed name, at most one lookup at a time
// for each.
func (r *resolver) resolve(name string, found []policy.Host) answer {
	if a, fresh := r.table.last(name, r.e.cfg.Now()); fresh {
		return a
	}
	r.mu.Lock()
	p, waiting := r.pending[name]
	if !waiting {
		p = &pending{done: make(chan struct{})}
		r.pending[name] = p
	}
	r.mu.Unlock()
	if waiting {
		<-p.done // the lookup has a deadline
		return p.ans
	}
	p.ans = r.ask(name, found)
	r.mu.Lock()
	delete(r.pending, name)
	r.mu.Unlock()
	close(p.done)
	return p.ans
}

// ask asks the host's resolver for one name and checks what it says.
func (r *resolver) ask(name string, found []policy.Host) answer {
	failed := answer{name: name, rcode: dnsmessage.RCodeServerFailure}
	if found[0].Kind == policy.HostWildcard && !r.wild.AllowN(r.e.cfg.Now(), 1) {
		r.e.refuse(refusal{kind: audit.KindName, subject: name, about: "*." + found[0].Name, rule: found[0].At.String(),
			why: fmt.Sprintf("too many new names below *.%s: one in %s", found[0].Name, wildEvery)})
		failed.rcode = dnsmessage.RCodeRefused
		return failed
	}
	ctx, cancel := context.WithTimeout(r.e.ctx, lookupTime)
	defer cancel()
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return failed
	}
	addrs, err := r.e.cfg.Lookup(ctx, name)
	now := r.e.cfg.Now()
	if err != nil {
		var de *net.DNSError
		if !errors.As(err, &de) || !de.IsNotFound {
			r.e.failedName(name, found[0], err)
			return failed
		}
		a := answer{name: name, rcode: dnsmessage.RCodeNameError, until: now.Add(keepMissing)}
		r.table.learn(a, now)
		return a
	}
	own, err := r.e.own()
	if err != nil {
		r.e.trouble("tell which addresses are this machine's own", err)
		return failed
	}
	a := answer{name: name, addrs: r.filter(name, addrs, found, own), until: now.Add(keepFound)}
	if len(a.addrs) > 0 {
		if err := r.allowName(a, found[0]); err != nil {
			return failed
		}
	}
	r.table.learn(a, now)
	return a
}

// filter keeps the addresses that at least one of the rules may lead to.
func (r *resolver) filter(name string, addrs []netip.Addr, found []policy.Host, own map[netip.Addr]bool) []netip.Addr {
	var out []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, addr := range addrs {
		if seen[addr] || len(out) == maxAddrs {
			continue
		}
		seen[addr] = true
		why := ""
		for _, rule := range found {
			if why = refuses(addr, rule, own); why == "" {
				break
			}
		}
		if why == "" {
			out = append(out, addr)
			continue
		}
		f := refusal{kind: audit.KindName, subject: name, about: name, address: addr.String(), rule: found[0].At.String(), why: "it leads elsewhere: " + why}
		if classify(addr) == near && !own[addr] {
			f.hint = privateLine(found[0])
		}
		r.e.refuse(f)
	}
	return out
}

// allowName records that a name was looked up. What cannot be recorded does not
// happen.
func (r *resolver) allowName(a answer, rule policy.Host) error {
	var list []string
	for _, addr := range a.addrs {
		list = append(list, addr.String())
	}
	err := r.e.ledger.note(audit.Event{Kind: audit.KindName, Verdict: audit.Allowed, Subject: a.name,
		Detail: strings.Join(list, ", "), Rule: rule.At.String(), Request: r.e.cfg.InFlight()})
	if err != nil {
		r.e.cfg.Tell(fmt.Sprintf("refused %s: cannot record it: %v", a.name, err))
	}
	return err
}
