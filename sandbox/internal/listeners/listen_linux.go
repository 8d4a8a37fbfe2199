package listeners

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/descriptor"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// maxListeners bounds the sockets of one plan.
const maxListeners = 1024

// Listen arranges the network namespace of the calling thread and opens the sockets on
// which the egress serves n. It is for pid 1 of the sandbox, before the server starts:
// it needs CAP_NET_ADMIN and CAP_NET_BIND_SERVICE, and CAP_SYS_ADMIN to give the
// listeners a namespace of their own. Even if n allows nothing, the loopback comes up,
// and a resolver that knows no name.
//
// The caller must send the files to the launcher and close them; once the last copy of
// the sockets is closed, the way out is gone.
//
// The listeners wait in a second network namespace, at the other end of a pair of
// virtual devices, and own every address. The server's own namespace stays as any
// program expects it: 127.0.0.0/8 and ::1 are its own, every port of it is free to
// listen on, and the kernel refuses unserved ports at once. If the second namespace is
// not available (no CAP_SYS_ADMIN, or a kernel without veth), every address but the
// loopback's becomes local to the server's namespace and the listeners wait there; the
// handles say so. No socket option avoids that: bind(2) treats a listener on every
// address as a conflict with a later one on 127.0.0.1, unless both set SO_REUSEPORT.
//
// A kernel without IPv6 gets only IPv4, and the resolver then returns no records for
// AAAA questions.
func Listen(n plan.Network) ([]Handle, error) { return listen(n, listenBehind) }

// apart opens the listeners in a namespace of their own, or fails with errNoWire.
type apart func(rt *rtnetlink, want sockets, v6 bool) ([]Handle, error)

// sockets are the sockets to open for foreign addresses: listeners on the ports, and
// spares that do not listen yet.
type sockets struct {
	ports  []uint16
	spares int
}

func listen(n plan.Network, behind apart) (_ []Handle, err error) {
	var hs []Handle
	defer func() {
		if err != nil {
			Close(hs)
		}
	}()
	rt, err := openRTNetlink()
	if err != nil {
		return nil, err
	}
	defer rt.close()
	if err := rt.do(up(loopback, 0)); err != nil {
		return nil, err
	}
	if len(n.Hosts) > 0 || n.Every {
		ports, err := expand(n.Ports)
		if err != nil {
			return nil, err
		}
		spares := 0
		if n.Every {
			spares = maxSpares
		}
		out, err := listenOut(rt, sockets{ports, spares}, behind)
		hs = append(hs, out...)
		if err != nil {
			return hs, err
		}
	}
	if len(n.Hosts) == 0 && !n.Every {
		h, err := listenAsked()
		if err != nil {
			return hs, err
		}
		hs = append(hs, h)
	}
	local, err := listenLocal(n.Hosts)
	hs = append(hs, local...)
	if err != nil {
		return hs, err
	}
	for _, s := range n.Sockets {
		h, err := ListenUnix(s.Path)
		if err != nil {
			return hs, err
		}
		hs = append(hs, h)
	}
	return hs, nil
}

// listenOut opens the sockets for all foreign addresses.
func listenOut(rt *rtnetlink, want sockets, behind apart) ([]Handle, error) {
	v6 := hasIPv6()
	hs, err := behind(rt, want, v6)
	if !errors.Is(err, errNoWire) {
		return hs, err
	}
	if err := rt.do(claimAll(v6, true)...); err != nil {
		return nil, err
	}
	return listenAll(want, v6, true, false)
}

// listenAsked opens a resolver for a server that may reach nothing. It answers at once
// that a name does not exist; a program would take silence for a temporary fault and
// retry. And the log learns which names the server asked for. It uses the address that
// resolvers ask if resolv.conf names none (resolv.conf(5)).
func listenAsked() (Handle, error) {
	f, err := listenUDP(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 53))
	return Handle{Kind: KindResolver, Port: 53, File: f}, err
}

// expand lists the ports of spans, each once.
func expand(spans []plan.Span) ([]uint16, error) {
	var ports []uint16
	seen := map[int]bool{53: true} // the resolver's
	for _, s := range spans {
		if s.First == 0 || s.Last < s.First {
			return nil, fmt.Errorf("internal error: the ports %d-%d are no span", s.First, s.Last)
		}
		for p := int(s.First); p <= int(s.Last); p++ {
			if seen[p] {
				continue
			}
			seen[p] = true
			if ports = append(ports, uint16(p)); len(ports) > maxListeners {
				return nil, fmt.Errorf("cannot listen on more than %d ports", maxListeners)
			}
		}
	}
	return ports, nil
}

// listenAll opens the resolver's sockets and a listener on each port, on every address
// of both families.
func listenAll(want sockets, v6, shared, gated bool) (hs []Handle, err error) {
	udp, err := listenUDP(everywhere(v6, 53))
	if err != nil {
		return nil, err
	}
	hs = append(hs, Handle{Kind: KindResolver, Port: 53, Shared: shared, File: udp})
	for _, p := range append([]uint16{53}, want.ports...) {
		kind := KindTCP
		if p == 53 {
			kind = KindQueries
		}
		h := Handle{Kind: kind, Port: p, Shared: shared, Gated: gated && kind == KindTCP}
		if h.File, err = listenTCP(everywhere(v6, p), shared, h.Gated); err != nil {
			Close(hs)
			return nil, err
		}
		hs = append(hs, h)
	}
	for range want.spares {
		f, err := openSpare(v6, gated)
		if err != nil {
			Close(hs)
			return nil, err
		}
		hs = append(hs, Handle{Kind: KindSpare, Shared: shared, Gated: gated, File: f})
	}
	return hs, nil
}

// everywhere is the wildcard address; for both families if IPv6 exists.
func everywhere(v6 bool, port uint16) netip.AddrPort {
	if v6 {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), port)
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), port)
}

// listenLocal opens listeners on the sandbox's loopback for the ports of the host's
// loopback that the rules grant.
func listenLocal(hosts []policy.Host) (hs []Handle, err error) {
	v6 := hasIPv6()
	done := map[uint16]bool{}
	if slices.ContainsFunc(hosts, func(h policy.Host) bool { return h.Kind == policy.HostLocal && h.First != 0 }) {
		if hs, err = openLocalGates(v6); err != nil {
			return nil, err
		}
	}
	gated := len(hs) > 0
	for _, h := range hosts {
		if h.Kind != policy.HostLocal || h.First == 0 {
			continue
		}
		for p := int(h.First); p <= int(h.Last); p++ {
			port := uint16(p)
			if done[port] {
				continue
			}
			done[port] = true
			for _, a := range []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()} {
				if a.Is6() && !v6 {
					continue
				}
				f, err := listenTCP(netip.AddrPortFrom(a, port), true, gated)
				if err != nil {
					Close(hs)
					return nil, err
				}
				hs = append(hs, Handle{Kind: KindLocal, Port: port, Gated: gated, File: f})
			}
		}
	}
	return hs, nil
}

// listenTCP opens one listener. share lets a listener on one address and one on all
// addresses have the same port; the kernel prefers the exact one.
func listenTCP(at netip.AddrPort, share, gated bool) (*os.File, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return descriptor.Raw(c, func(fd int) error {
			if gated {
				if err := attach(fd, closed); err != nil {
					return err
				}
			}
			if !share {
				return nil
			}
			return os.NewSyscallError("setsockopt(SO_REUSEPORT)", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		})
	}}
	lc.SetMultipathTCP(false) // splice(2) needs plain TCP
	l, err := lc.Listen(context.Background(), family("tcp", at.Addr()), at.String())
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s inside: %v", at, err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, fmt.Errorf("cannot keep the listener on %s: %v", at, err)
	}
	return f, nil
}

// listenUDP opens the resolver's datagram socket. The socket reports the destination
// address of a question, so that the answer comes from there.
func listenUDP(at netip.AddrPort) (*os.File, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return descriptor.Raw(c, func(fd int) error {
			if at.Addr().Is6() { // also for IPv4, as mapped addresses
				// To answer from an address that is local only by a route needs
				// IPV6_FREEBIND; IPv4 has no such requirement.
				if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1); err != nil {
					return os.NewSyscallError("setsockopt(IPV6_FREEBIND)", err)
				}
				return os.NewSyscallError("setsockopt(IPV6_RECVPKTINFO)", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1))
			}
			return os.NewSyscallError("setsockopt(IP_PKTINFO)", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
		})
	}}
	c, err := lc.ListenPacket(context.Background(), family("udp", at.Addr()), at.String())
	if err != nil {
		return nil, fmt.Errorf("cannot answer names inside: %v", err)
	}
	defer c.Close()
	f, err := c.(*net.UDPConn).File()
	if err != nil {
		return nil, fmt.Errorf("cannot keep the resolver's socket: %v", err)
	}
	return f, nil
}

// family is the network name for an address; the unspecified IPv6 address means both
// families.
func family(network string, a netip.Addr) string {
	switch {
	case a.Is4():
		return network + "4"
	case a.IsUnspecified():
		return network
	}
	return network + "6"
}
