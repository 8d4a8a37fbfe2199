package egress

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"mcpen/sandbox/internal/dns"
)

// Bounds on a table.
const (
	maxLinks   = 8192           // pairs of an address and a name that led to it
	maxAnswers = 4096           // names with their last answer
	linkLife   = 24 * time.Hour // since a link was last made or used: some programs ask once and remember
)

// table remembers which names resolved to which addresses. Any goroutine may call its
// methods.
type table struct {
	mu      sync.Mutex
	byAddr  map[netip.Addr][]*list.Element // of *link
	links   *list.List                     // most recently made or used first
	answers map[asked]*list.Element        // of *answer
	order   *list.List                     // most recently made first
}

type link struct {
	addr netip.Addr
	name string
	seen time.Time
}

// asked is a question: a name and the type of its records.
type asked struct {
	name   string
	kind   dnsmessage.Type
	direct bool // resolved here although on another port a proxy resolves the name
}

// answer is the name servers' answer after the checks.
type answer struct {
	asked
	addrs []netip.Addr
	rest  []dnsmessage.ResourceBody // records that are not addresses
	said  int                       // number of addresses before the checks
	rcode dns.RCode
	until time.Time // the answer is cached until then
}

func newTable() *table {
	return &table{byAddr: map[netip.Addr][]*list.Element{}, links: list.New(), answers: map[asked]*list.Element{}, order: list.New()}
}

// learn records an answer and links its addresses to the name.
func (t *table) learn(a answer, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.answers[a.asked]; e != nil {
		t.order.Remove(e)
	}
	t.answers[a.asked] = t.order.PushFront(&a)
	for t.order.Len() > maxAnswers {
		old := t.order.Remove(t.order.Back()).(*answer)
		delete(t.answers, old.asked)
	}
	for _, addr := range a.addrs {
		t.link(addr, a.name, now)
	}
	for e := t.links.Back(); e != nil; e = t.links.Back() {
		if t.links.Len() <= maxLinks && now.Sub(e.Value.(*link).seen) < linkLife {
			break
		}
		t.unlink(e)
	}
}

func (t *table) link(addr netip.Addr, name string, now time.Time) {
	for i, e := range t.byAddr[addr] {
		if l := e.Value.(*link); l.name == name {
			l.seen = now
			t.links.MoveToFront(e)
			t.byAddr[addr] = append(slices.Delete(t.byAddr[addr], i, i+1), e)
			return
		}
	}
	t.byAddr[addr] = append(t.byAddr[addr], t.links.PushFront(&link{addr, name, now}))
}

func (t *table) unlink(e *list.Element) {
	l := t.links.Remove(e).(*link)
	rest := t.byAddr[l.addr]
	for i, have := range rest {
		if have == e {
			rest = append(rest[:i:i], rest[i+1:]...)
			break
		}
	}
	if len(rest) == 0 {
		delete(t.byAddr, l.addr)
		return
	}
	t.byAddr[l.addr] = rest
}

// names returns the names that resolved to addr, the most recent first.
func (t *table) names(addr netip.Addr, now time.Time) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	found := t.byAddr[addr]
	for i := len(found) - 1; i >= 0; i-- {
		if l := found[i].Value.(*link); now.Sub(l.seen) < linkLife {
			out = append(out, l.name)
		}
	}
	return out
}

// use keeps the link between addr and name alive.
func (t *table) use(addr netip.Addr, name string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.link(addr, name, now)
}

// meant notes that the program was given an answer again: of the names that led to its
// addresses, this is the last.
func (t *table) meant(a answer, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, addr := range a.addrs {
		t.link(addr, a.name, now)
	}
}

// last returns the last answer to a question, and whether it is still fresh.
func (t *table) last(q asked, now time.Time) (a answer, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.answers[q]
	if e == nil {
		return answer{}, false
	}
	a = *e.Value.(*answer)
	return a, now.Before(a.until)
}

// addresses returns the addresses of the last answers for name, alternating between the
// families: if one family leads nowhere, the other is tried next (RFC 8305, section 4).
func (t *table) addresses(name string) (out []netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var of [2][]netip.Addr
	for i, kind := range []dnsmessage.Type{dnsmessage.TypeAAAA, dnsmessage.TypeA} {
		if e := t.answers[asked{name: name, kind: kind}]; e != nil {
			of[i] = e.Value.(*answer).addrs
		}
	}
	for i := range max(len(of[0]), len(of[1])) {
		for _, list := range of {
			if i < len(list) {
				out = append(out, list[i])
			}
		}
	}
	return out
}
