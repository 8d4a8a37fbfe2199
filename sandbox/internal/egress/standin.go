package egress

import (
	"net/netip"
	"sync"
)

// standIns are addresses that stand for names that are looked up elsewhere, by a
// proxy: a program inside wants an address before it connects. They are of a network
// that is kept for benchmarks (RFC 2544), as is usual for this; nothing outside is
// ever dialled there for one. Its methods may be called from any goroutine.
type standIns struct {
	mu    sync.Mutex
	next  int
	names map[netip.Addr]string
	addrs map[string]netip.Addr
}

// maxStandIns bounds the names that have one. The oldest loses its own: who still
// connects there asks for a name that it does not stand for, and is refused or, at
// worst, led to another allowed name.
const maxStandIns = 1 << 15

func newStandIns() *standIns {
	return &standIns{names: map[netip.Addr]string{}, addrs: map[string]netip.Addr{}}
}

// of is the address that stands for the name.
func (s *standIns) of(name string) netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.addrs[name]; ok {
		return a
	}
	n := s.next%maxStandIns + 1
	s.next++
	a := netip.AddrFrom4([4]byte{198, 19, byte(n >> 8), byte(n)})
	delete(s.addrs, s.names[a])
	s.names[a], s.addrs[name] = name, a
	return a
}

// name is the name that the address stands for, or "".
func (s *standIns) name(a netip.Addr) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[a]
}
