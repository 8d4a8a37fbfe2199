package egress

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/time/rate"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/dns"
	"mcpen/sandbox/internal/interfaces"
	"mcpen/sandbox/policy"
)

// The lifetime of cached answers, and bounds on one answer.
const (
	keepFound   = 20 * time.Second
	keepMissing = 5 * time.Second
	maxAddrs    = 128
	maxRest     = 8 << 10 // bytes of records that are not addresses
)

// Time limits of a lookup: less than the ten seconds for which most programs ask, again
// and again (resolv.conf(5)), so that they get a result. Some name servers never answer
// for IPv6, so its limit is shorter: by then every server of the host has been asked.
const (
	lookupTime  = 9 * time.Second
	lookupTime6 = 3 * time.Second
)

// The rate of new names below wildcards: after a burst, one in two seconds. Each name
// can carry up to policy.WildcardExtra characters to the suffix's owner.
const (
	wildBurst = 64
	wildEvery = 2 * time.Second
)

// maxQuestions bounds the questions that wait for the host's resolver. Further ones get
// no answer, and the program repeats them.
const maxQuestions = 1024

// resolver answers the sandbox's questions.
type resolver struct {
	e        *Egress
	table    *table
	standIns *standIns
	wild     *rate.Limiter
	slots    chan struct{} // lookups
	asked    chan struct{} // questions

	mu      sync.Mutex
	pending map[asked]*pending
	v6      bool // AAAA records are useful
}

// pending is one lookup with waiting callers.
type pending struct {
	done chan struct{}
	ans  answer // valid once done is closed
}

func newResolver(e *Egress) *resolver {
	return &resolver{
		e: e, table: newTable(), standIns: newStandIns(), wild: rate.NewLimiter(rate.Every(wildEvery), wildBurst),
		slots: make(chan struct{}, e.cfg.Limits.Lookups), asked: make(chan struct{}, maxQuestions),
		pending: map[asked]*pending{}, v6: true,
	}
}

// verdict is the decision on a question before any lookup.
type verdict struct {
	code    dns.RCode
	records []dnsmessage.ResourceBody
	ask     asked         // the lookup to make; the zero value: none
	rules   []policy.Host // the rules that name it
}

// judge decides on a question and records refusals.
func (r *resolver) judge(q dns.Query) verdict {
	if q.Bad != 0 {
		return verdict{code: q.Bad}
	}
	if q.Question.Class != dnsmessage.ClassINET {
		return verdict{code: dnsmessage.RCodeRefused} // version.bind and the like
	}
	text := q.Question.Name.String()
	name := dns.Canonical(text)
	if dns.IsLocalhost(name) {
		return verdict{records: []dnsmessage.ResourceBody{dns.RecordOf(netip.AddrFrom4([4]byte{127, 0, 0, 1})), dns.RecordOf(netip.IPv6Loopback())}}
	}
	kind := q.Question.Type
	found, long := r.e.rules.naming(name)
	if len(found) == 0 && kind == dnsmessage.TypeSRV {
		found, _ = r.e.rules.naming(ofService(name))
	}
	if len(found) == 0 && r.e.cfg.World != nil {
		return r.imagined(text, name, kind)
	}
	if len(found) == 0 {
		r.refuseName(text, name, long)
		return verdict{code: dnsmessage.RCodeNameError}
	}
	switch kind {
	case dnsmessage.TypeA, dnsmessage.TypeSRV, dnsmessage.TypeTXT:
	case dnsmessage.TypeAAAA:
		if !r.hasV6() {
			return verdict{}
		}
	default:
		return verdict{} // the name exists, records of this type do not
	}
	return verdict{ask: asked{name: name, kind: kind}, rules: found}
}

// maxService is the longest name of a service, with its underscore (RFC 6335, section
// 5.1).
const maxService = 16

// ofService is the name in _service._protocol.name (RFC 2782), or "".
func ofService(name string) string {
	service, rest, _ := strings.Cut(name, ".")
	protocol, rest, _ := strings.Cut(rest, ".")
	if len(service) > maxService || !strings.HasPrefix(service, "_") || protocol != "_tcp" && protocol != "_udp" && protocol != "_tls" {
		return ""
	}
	return rest
}

func (r *resolver) hasV6() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.v6
}

func (r *resolver) refuseName(asked, name string, long bool) {
	f := refusal{kind: audit.KindName, subject: name, about: name, why: "no rule names it"}
	if _, err := policy.ParseHost(subject(name, 443)); err == nil {
		f.grant = audit.AllowName(name)
	}
	switch {
	case name == "":
		f.subject, f.about = shown(asked), "no host name"
		f.why, f.grant = "it is not a host name", nil
	case long:
		f.why = fmt.Sprintf("more than %d labels or %d characters stand before the suffix of a wildcard", policy.WildcardLabels, policy.WildcardExtra)
	case strings.HasSuffix(name, ".arpa"):
		f.why, f.grant, f.quiet = "names of addresses are not looked up", nil, true // programs ask for them for their logs
	}
	r.e.refuse(f)
}

// answer is the reply to a message, or nil for none.
func (r *resolver) answer(b []byte, tcp bool) []byte {
	q, err := dns.ParseQuery(b)
	if err != nil {
		return nil
	}
	return r.reply(q, r.judge(q), tcp)
}

func (r *resolver) reply(q dns.Query, v verdict, tcp bool) []byte {
	if v.ask.name != "" {
		a := r.resolve(v.ask, v.rules)
		v.code, v.records = a.rcode, a.rest
		for _, addr := range a.addrs {
			v.records = append(v.records, dns.RecordOf(addr))
		}
	}
	limit := q.Size
	if tcp {
		limit = dns.MaxTCP
	}
	out, err := q.Reply(v.code, v.records, limit)
	if err != nil {
		return nil // a question that cannot be repeated
	}
	return out
}

// resolve returns the answer to an allowed question. It makes at most one lookup at a
// time for each question.
func (r *resolver) resolve(q asked, found []policy.Host) answer {
	if a, fresh := r.table.last(q, r.e.cfg.Now()); fresh {
		r.table.meant(a, r.e.cfg.Now())
		return a
	}
	r.mu.Lock()
	p, waiting := r.pending[q]
	if !waiting {
		p = &pending{done: make(chan struct{})}
		r.pending[q] = p
	}
	r.mu.Unlock()
	if waiting {
		<-p.done // the lookup has a deadline
		return p.ans
	}
	p.ans = r.ask(q, found)
	r.mu.Lock()
	delete(r.pending, q)
	r.mu.Unlock()
	close(p.done)
	return p.ans
}

// ask asks the host's name servers and checks their answers.
func (r *resolver) ask(q asked, found []policy.Host) answer {
	failed := answer{asked: q, rcode: dnsmessage.RCodeServerFailure}
	if found[0].Kind == policy.HostWildcard && !r.ration(q) {
		r.e.refuse(refusal{kind: audit.KindName, subject: q.name, about: "*." + found[0].Name, rule: found[0].At.String(),
			why: fmt.Sprintf("too many new names below *.%s: one in %s", found[0].Name, wildEvery)})
		failed.rcode = dnsmessage.RCodeRefused
		return failed
	}
	if (q.kind == dnsmessage.TypeA || q.kind == dnsmessage.TypeAAAA) && !q.direct && r.e.ways.any(q.name, found) {
		return r.standIn(q, found[0])
	}
	said, err := r.lookUp(q)
	now := r.e.cfg.Now()
	switch {
	case (err != nil || said.Missing) && q.kind == dnsmessage.TypeAAAA && len(r.resolve(asked{q.name, dnsmessage.TypeA, q.direct}, found).addrs) > 0:
		a := answer{asked: q, until: now.Add(keepFound)} // some libraries take a failure of this question for one of the name
		r.table.learn(a, now)
		return a
	case err != nil:
		r.e.failedName(q.name, found[0], err.Error())
		return failed
	case said.Missing:
		r.e.failedName(q.name, found[0], "there is no such name")
		a := answer{asked: q, rcode: dnsmessage.RCodeNameError, until: now.Add(keepMissing)}
		r.table.learn(a, now)
		return a
	}
	around, err := r.e.around()
	if err != nil {
		r.e.trouble("tell which addresses are this machine's own", err)
		return failed
	}
	if said.Strays > 0 {
		r.e.refuse(refusal{kind: audit.KindName, subject: q.name, about: q.name, rule: found[0].At.String(),
			why: fmt.Sprintf("%d records of the answer are of other names than it leads to", said.Strays)})
	}
	a := answer{asked: q, addrs: r.filter(q.name, said.Addrs, found, around), said: len(said.Addrs), rest: fitting(said.Rest), until: now.Add(keepFound)}
	if len(a.addrs) > 0 || len(a.rest) > 0 {
		if err := r.allowName(a, found[0]); err != nil {
			return failed
		}
	}
	if q.kind == dnsmessage.TypeSRV || q.kind == dnsmessage.TypeTXT {
		return a // rarely asked for, and long
	}
	r.table.learn(a, now)
	r.sayNowhere(q, found[0])
	return a
}

// standIn answers for a name that a proxy resolves, with a stand-in address. There is
// only an IPv4 one: every program accepts that.
func (r *resolver) standIn(q asked, rule policy.Host) answer {
	now := r.e.cfg.Now()
	a := answer{asked: q, until: now.Add(keepFound)}
	if q.kind == dnsmessage.TypeA {
		a.addrs, a.said = []netip.Addr{r.standIns.of(q.name)}, 1
		err := r.e.ledger.note(audit.Event{Kind: audit.KindName, Verdict: audit.Allowed, Subject: q.name,
			Detail: a.addrs[0].String() + ", which stands for it: the proxy looks it up", Rule: rule.At.String(), Request: r.e.cfg.InFlight()})
		if err != nil {
			r.e.cfg.Warn(fmt.Sprintf("refused %s: cannot record it: %v", q.name, err))
			return answer{asked: q, rcode: dnsmessage.RCodeServerFailure}
		}
	}
	r.table.learn(answer{asked: q, said: a.said, until: a.until, addrs: a.addrs}, now)
	return a
}

// of returns the names that resolved to an address, or whose stand-in it is, the best
// first.
func (r *resolver) of(a netip.Addr) []string {
	if name := r.standIns.name(a); name != "" {
		return []string{name}
	}
	return r.table.names(a, r.e.cfg.Now())
}

// ration charges for a name below a wildcard. A second question for the same name tells
// its owner nothing new, and is free.
func (r *resolver) ration(q asked) bool {
	now := r.e.cfg.Now()
	for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
		if _, fresh := r.table.last(asked{q.name, kind, q.direct}, now); fresh {
			return true
		}
	}
	return r.wild.AllowN(now, 1)
}

// lookUp makes a lookup once a slot is free.
func (r *resolver) lookUp(q asked) (dns.Records, error) {
	limit := lookupTime
	if q.kind == dnsmessage.TypeAAAA {
		limit = lookupTime6
	}
	ctx, cancel := context.WithTimeout(r.e.ctx, limit)
	defer cancel()
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return dns.Records{}, errors.New("too many questions wait for the host's name servers")
	}
	return r.e.cfg.Lookup(ctx, q.name, q.kind)
}

// sayNowhere reports that an existing name has no address of either family. filter
// itself reports the addresses that it removes.
func (r *resolver) sayNowhere(q asked, rule policy.Host) {
	now := r.e.cfg.Now()
	for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
		a, fresh := r.table.last(asked{q.name, kind, q.direct}, now)
		if a.said > 0 || !fresh && (kind == dnsmessage.TypeA || r.hasV6()) {
			return
		}
	}
	r.e.failedName(q.name, rule, "it has no address")
}

// filter keeps the addresses that at least one of the rules allows.
func (r *resolver) filter(name string, addrs []netip.Addr, found []policy.Host, around interfaces.Surroundings) []netip.Addr {
	var out []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, addr := range addrs {
		if seen[addr] || len(out) == maxAddrs {
			continue
		}
		seen[addr] = true
		why := ""
		for _, rule := range found {
			if why = around.Refuses(addr, rule); why == "" {
				break
			}
		}
		if why == "" {
			out = append(out, addr)
			continue
		}
		f := refusal{kind: audit.KindName, subject: name, about: name, address: addr.String(), rule: found[0].At.String(), why: "it leads elsewhere: " + why}
		if around.Opened(addr, found[0]) {
			f.grant = privateRule(found[0])
		}
		r.e.refuse(f)
	}
	return out
}

// allowName records that a name was looked up. A lookup that cannot be recorded gets no
// answer.
func (r *resolver) allowName(a answer, rule policy.Host) error {
	var list []string
	for _, addr := range a.addrs {
		list = append(list, addr.String())
	}
	for _, record := range a.rest {
		list = append(list, told(record))
	}
	err := r.e.ledger.note(audit.Event{Kind: audit.KindName, Verdict: audit.Allowed, Subject: a.name,
		Detail: strings.Join(list, ", "), Rule: rule.At.String(), Request: r.e.cfg.InFlight()})
	if err != nil {
		r.e.cfg.Warn(fmt.Sprintf("refused %s: cannot record it: %v", a.name, err))
	}
	return err
}

// told formats a record for the log.
func told(record dnsmessage.ResourceBody) string {
	switch r := record.(type) {
	case *dnsmessage.SRVResource:
		return "SRV " + shown(strings.TrimSuffix(r.Target.String(), ".")) + ":" + strconv.Itoa(int(r.Port))
	case *dnsmessage.TXTResource:
		return "TXT " + shown(strings.Join(r.TXT, ""))
	}
	return ""
}

// fitting returns as many of the records as fit.
func fitting(records []dnsmessage.ResourceBody) []dnsmessage.ResourceBody {
	size := 0
	for i, record := range records {
		switch r := record.(type) {
		case *dnsmessage.SRVResource:
			size += len(r.Target.String())
		case *dnsmessage.TXTResource:
			size += len(strings.Join(r.TXT, "")) + len(r.TXT)
		}
		if size > maxRest {
			return records[:i]
		}
	}
	return records
}

// imagined is a world's answer to a question.
func (r *resolver) imagined(text, name string, kind dnsmessage.Type) verdict {
	if name == "" {
		name = text
	}
	if kind == dnsmessage.TypeAAAA && !r.hasV6() {
		r.e.cfg.World.Resolve(name, 0)
		return verdict{}
	}
	var v verdict
	for _, a := range r.e.cfg.World.Resolve(name, kind) {
		v.records = append(v.records, dns.RecordOf(a))
	}
	return v
}
