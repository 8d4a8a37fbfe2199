package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxTries bounds the addresses of a name that are tried for one connection.
const maxTries = 6

// stagger is what an address gets before the next is tried beside it (RFC
// 8305, section 8).
const stagger = 300 * time.Millisecond

// dial connects to one address. The check is made by the hook that runs between
// socket(2) and connect(2), on the address that connect(2) is given.
func dial(ctx context.Context, to netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error) {
	d := net.Dialer{
		FallbackDelay: -1,
		KeepAlive:     30 * time.Second,
		Control: func(network, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil || (network != "tcp4" && network != "tcp6") {
				return errors.New("internal error: not an address of TCP")
			}
			return check(ap)
		},
	}
	d.SetMultipathTCP(false) // splice(2) wants plain TCP
	return d.DialContext(ctx, "tcp", to.String())
}

// reach connects to the first of the addresses that answers. The program inside
// was told that it is connected long ago, so it cannot try another address
// itself (RFC 8305): this does it.
func (e *Egress) reach(to []netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.Limits.Connect)
	defer cancel()
	type result struct {
		c   net.Conn
		err error
	}
	results := make(chan result, len(to))
	next, running := 0, 0
	try := func() {
		a := to[next]
		next++
		running++
		e.goes(func() {
			if err := check(a); err != nil {
				results <- result{err: err}
				return
			}
			c, err := e.cfg.Dial(ctx, a, check)
			results <- result{c, err}
		})
	}
	try()
	t := time.NewTimer(stagger)
	defer t.Stop()
	var first error
	for {
		select {
		case r := <-results:
			running--
			if r.err == nil {
				late := running
				e.goes(func() { // those that answer too late
					for range late {
						if r := <-results; r.c != nil {
							r.c.Close()
						}
					}
				})
				return r.c, nil
			}
			if first == nil {
				first = r.err
			}
			if next < len(to) {
				try()
				t.Reset(stagger)
			} else if running == 0 {
				return nil, first
			}
		case <-t.C:
			if next < len(to) {
				try()
				t.Reset(stagger)
			}
		}
	}
}

// own is the set of this machine's addresses.
func (e *Egress) own() (map[netip.Addr]bool, error) {
	list, err := e.cfg.Own()
	if err != nil {
		return nil, err
	}
	set := make(map[netip.Addr]bool, len(list))
	for _, a := range list {
		set[a.Unmap().WithZone("")] = true
	}
	return set, nil
}

// ownAddresses asks the kernel for the addresses of all interfaces.
func ownAddresses() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range list {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if addr, ok := netip.AddrFromSlice(n.IP); ok {
			out = append(out, addr.Unmap())
		}
	}
	return out, nil
}

// errnoOf is the symbol of the errno in err, if there is one.
func errnoOf(err error) string {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "ETIMEDOUT"
	}
	return ""
}
