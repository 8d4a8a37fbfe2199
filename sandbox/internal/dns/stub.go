package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Records is the name servers' answer about a name. The zero value means that the name
// exists and has no record of the type.
type Records struct {
	Missing bool // the name does not exist
	Addrs   []netip.Addr
	Rest    []dnsmessage.ResourceBody // SRV, TXT
	// Strays counts the dropped records: those of names other than the question's and
	// its aliases'.
	Strays int
}

// Stub asks the host's name servers (RFC 1034, section 5.3.1). Libraries fall short in
// two ways: they accept addresses of any name in an answer, and they turn the allowed
// name into others by the host's search domains. Stub asks for a name unchanged. Only a
// name without a dot, as in a rule for db:5432, is looked up in the search domains,
// since it means nothing in the public DNS. Stub ignores nsswitch.conf. Any goroutine
// may call Lookup.
type Stub struct {
	hosts *cached[map[string][]netip.Addr]
	conf  *cached[resolvConf]
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	now   func() time.Time

	mu   sync.Mutex
	mute map[netip.AddrPort]time.Time // servers that did not answer, with the time
}

func NewStub() *Stub {
	return &Stub{
		hosts: &cached[map[string][]netip.Addr]{path: hostsFile, parse: parseHosts},
		conf:  &cached[resolvConf]{path: resolvFile, parse: parseResolvConf},
		dial:  (&net.Dialer{}).DialContext, now: time.Now, mute: map[netip.AddrPort]time.Time{},
	}
}

func (s *Stub) Lookup(ctx context.Context, name string, kind dnsmessage.Type) (Records, error) {
	if kind == dnsmessage.TypeA || kind == dnsmessage.TypeAAAA {
		if list, ok := s.hosts.get()[name]; ok {
			var r Records
			for _, a := range list {
				if a.Is4() == (kind == dnsmessage.TypeA) {
					r.Addrs = append(r.Addrs, a)
				}
			}
			return r, nil
		}
	}
	conf := s.conf.get()
	var names []string
	if !strings.Contains(name, ".") {
		for _, d := range conf.search {
			names = append(names, name+"."+d)
		}
	}
	for _, n := range append(names, name) {
		r, err := s.ask(ctx, conf, n, kind)
		if err != nil || !r.Missing {
			return r, err
		}
	}
	return Records{Missing: true}, nil
}

// The time before the next server is asked in parallel, and the time for which a silent
// server is asked last.
const (
	nextServer = time.Second
	muteTime   = time.Minute
)

// ask asks the servers one question until one of them answers: each in turn, the next
// one when the last has failed or is slow, and the silent ones again.
func (s *Stub) ask(ctx context.Context, conf resolvConf, name string, kind dnsmessage.Type) (Records, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		from netip.AddrPort
		r    Records
		err  error
	}
	servers := s.order(conf.servers)
	results := make(chan result, 64)
	asked, running := 0, 0
	next := func() {
		from := servers[asked%len(servers)]
		asked++
		running++
		go func() {
			r, err := s.exchange(ctx, from, conf.tcp, name, kind)
			results <- result{from, r, err}
		}()
	}
	next()
	t := time.NewTicker(nextServer)
	defer t.Stop()
	var first error
	for {
		select {
		case got := <-results:
			running--
			if got.err == nil {
				if kind != dnsmessage.TypeAAAA { // some servers drop these questions
					s.answered(got.from, servers[:min(asked, len(servers))])
				}
				return got.r, nil
			}
			if first == nil {
				first = fmt.Errorf("the name server %s: %w", got.from.Addr(), got.err)
			}
			if asked < len(servers) {
				next()
				t.Reset(nextServer)
			} else if running == 0 {
				return Records{}, first
			}
		case <-t.C:
			if asked < cap(results) {
				next()
			}
		case <-ctx.Done():
			if first == nil {
				first = fmt.Errorf("no name server answered (%s)", listed(conf.servers))
			}
			return Records{}, first
		}
	}
}

// order is the servers' configured order, except that those that recently did not
// answer come last.
func (s *Stub) order(servers []netip.AddrPort) []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	silent := func(a netip.AddrPort) bool { return now.Sub(s.mute[a]) < muteTime }
	out := slices.DeleteFunc(slices.Clone(servers), silent)
	for _, a := range servers {
		if silent(a) {
			out = append(out, a)
		}
	}
	return out
}

// answered records that one server answered, and that those asked before it did not.
func (s *Stub) answered(by netip.AddrPort, asked []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mute, by)
	if len(s.mute) > 64 {
		clear(s.mute) // the file changed often
	}
	for _, a := range asked {
		if a == by {
			return
		}
		s.mute[a] = s.now()
	}
}

func listed(servers []netip.AddrPort) string {
	var out []string
	for _, s := range servers {
		out = append(out, s.Addr().String())
	}
	return strings.Join(out, ", ")
}

// exchange asks one server once: over UDP, and over TCP if the answer is too long. It
// waits as long as ctx lasts.
func (s *Stub) exchange(ctx context.Context, to netip.AddrPort, tcp bool, name string, kind dnsmessage.Type) (Records, error) {
	for _, edns := range []bool{true, false} {
		q, err := newQuestion(name, kind, edns)
		if err != nil {
			return Records{}, err
		}
		var m response
		if !tcp {
			m, err = s.send(ctx, "udp", to, q)
		}
		if err == nil && (tcp || m.truncated) {
			m, err = s.send(ctx, "tcp", to, q)
		}
		if err != nil {
			return Records{}, err
		}
		switch m.code {
		case dnsmessage.RCodeSuccess, dnsmessage.RCodeNameError:
			return m.records(q)
		case dnsmessage.RCodeFormatError, dnsmessage.RCodeNotImplemented:
			if edns {
				continue // an old server, perhaps
			}
		}
		return Records{}, fmt.Errorf("it says %s", strings.TrimPrefix(m.code.String(), "RCode"))
	}
	return Records{}, errors.New("it understands nothing")
}

// send sends the question and returns the first answer to it.
func (s *Stub) send(ctx context.Context, network string, to netip.AddrPort, q ownQuestion) (response, error) {
	c, err := s.dial(ctx, network, to.String())
	if err != nil {
		return response{}, err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	if network == "udp" {
		if _, err := c.Write(q.packed); err != nil {
			return response{}, err
		}
		b := make([]byte, MaxTCP)
		for {
			n, err := c.Read(b)
			if err != nil {
				return response{}, err
			}
			if m, ok := q.read(b[:n]); ok {
				return m, nil
			}
		}
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q.packed))), q.packed...)); err != nil {
		return response{}, err
	}
	var head [2]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return response{}, err
	}
	b := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		return response{}, err
	}
	m, ok := q.read(b)
	if !ok {
		return response{}, errors.New("its answer is not to the question")
	}
	return m, nil
}

// ownQuestion is a question from this stub.
type ownQuestion struct {
	id     uint16
	name   dnsmessage.Name
	kind   dnsmessage.Type
	packed []byte
}

func newQuestion(name string, kind dnsmessage.Type, edns bool) (ownQuestion, error) {
	n, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return ownQuestion{}, err
	}
	q := ownQuestion{id: uint16(rand.Uint32()), name: n, kind: kind}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: kind, Class: dnsmessage.ClassINET}},
	}
	if edns {
		var h dnsmessage.ResourceHeader
		if err := h.SetEDNS0(maxUDP, 0, false); err != nil {
			return ownQuestion{}, err
		}
		m.Additionals = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{}}}
	}
	q.packed, err = m.Pack()
	return q, err
}

// response is an answer to one of the stub's questions.
type response struct {
	code      RCode
	truncated bool
	answers   []dnsmessage.Resource
}

// read parses an answer; ok is false if it does not answer q.
func (q ownQuestion) read(b []byte) (m response, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || !h.Response || h.ID != q.id {
		return response{}, false
	}
	m = response{code: h.RCode, truncated: h.Truncated}
	asked, err := p.Question()
	if err != nil { // some servers repeat no question when they refuse
		return m, h.RCode != dnsmessage.RCodeSuccess && h.RCode != dnsmessage.RCodeNameError
	}
	if asked.Type != q.kind || asked.Class != dnsmessage.ClassINET || !sameName(asked.Name, q.name) {
		return response{}, false
	}
	if p.SkipAllQuestions() != nil {
		return response{}, false
	}
	for {
		r, err := p.Answer()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return m, true
		}
		if err != nil {
			return m, m.truncated
		}
		m.answers = append(m.answers, r)
	}
}

func sameName(a, b dnsmessage.Name) bool { return strings.EqualFold(a.String(), b.String()) }

// maxAliases is the longest chain of aliases.
const maxAliases = 16

// records follows the aliases from the question and returns the records of the final
// name (RFC 1034, section 3.6.2). Other records in the answer belong to names that
// nobody asked for.
func (m response) records(q ownQuestion) (Records, error) {
	out := Records{Missing: m.code == dnsmessage.RCodeNameError}
	aliases := map[string]string{}
	fold := func(n dnsmessage.Name) string { return strings.ToLower(n.String()) }
	for _, r := range m.answers {
		if c, ok := r.Body.(*dnsmessage.CNAMEResource); ok && r.Header.Class == dnsmessage.ClassINET {
			aliases[fold(r.Header.Name)] = fold(c.CNAME)
		}
	}
	end := fold(q.name)
	for range maxAliases {
		if to, ok := aliases[end]; ok {
			end = to
		}
	}
	if _, more := aliases[end]; more {
		return Records{}, errors.New("its answer is a ring of aliases, or a long chain")
	}
	for _, r := range m.answers {
		switch {
		case r.Header.Type != q.kind || r.Header.Class != dnsmessage.ClassINET:
		case fold(r.Header.Name) != end:
			out.Strays++
		default:
			out.take(r.Body)
		}
	}
	return out, nil
}

func (r *Records) take(body dnsmessage.ResourceBody) {
	switch b := body.(type) {
	case *dnsmessage.AResource:
		r.Addrs = append(r.Addrs, netip.AddrFrom4(b.A))
	case *dnsmessage.AAAAResource:
		r.Addrs = append(r.Addrs, netip.AddrFrom16(b.AAAA))
	case *dnsmessage.SRVResource, *dnsmessage.TXTResource:
		r.Rest = append(r.Rest, b)
	}
}
