package egress

import (
	"net/netip"
	"sync"
)

// standIns maps names that a proxy resolves to stand-in addresses, since a program
// inside needs an address before it connects. As is usual, they belong to a network
// reserved for benchmarks (RFC 2544). The egress never dials them. Any goroutine may
// call its methods.
type standIns struct {
	mu    sync.Mutex
	next  int
	names map[netip.Addr]string
	addrs map[string]netip.Addr
}

// maxStandIns bounds the names with a stand-in. The oldest loses its address. A program
// that still connects there gets a different name: it is refused or, at worst, led to
// another allowed name.
const maxStandIns = 1 << 15

func newStandIns() *standIns {
	return &standIns{names: map[netip.Addr]string{}, addrs: map[string]netip.Addr{}}
}

// of returns the stand-in address of the name.
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

// name returns the name of a stand-in address, or "".
func (s *standIns) name(a netip.Addr) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[a]
}
