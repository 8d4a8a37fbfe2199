package probe

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// metadata is the address at which clouds hand out credentials to any program.
var metadata = netip.MustParseAddrPort("169.254.169.254:80")

// network are ways out by address. None needs a name.
func network() []Probe {
	local := func(w World, ip string) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(ip), w.TCP)
	}
	return []Probe{
		{ID: "tcp-host", Loss: "services on the host's loopback: databases, debuggers, other agents", How: "connect(2) to 127.0.0.1",
			Want: "EACCES", By: Namespaces | Landlock, Since: 4,
			Run: func(w World) Result { return connected(local(w, "127.0.0.1"), 0) }},
		{ID: "tcp-host6", Loss: "services on the host's loopback", How: "connect(2) to ::1",
			Want: "EACCES", By: Namespaces | Landlock, Since: 4, Absent: "EADDRNOTAVAIL",
			Run: func(w World) Result { return connected(local(w, "::1"), 0) }},
		{ID: "tcp-host-mapped", Loss: "services on the host's loopback", How: "connect(2) to ::ffff:127.0.0.1",
			Want: "EACCES", By: Namespaces | Landlock, Since: 4, Absent: "ENETUNREACH",
			Run: func(w World) Result { return connected(local(w, "::ffff:127.0.0.1"), 0) }},
		{ID: "tcp-host-any", Loss: "services on the host's loopback", How: "connect(2) to 0.0.0.0, which means this host",
			Want: "EACCES", By: Namespaces | Landlock, Since: 4,
			Run: func(w World) Result { return connected(local(w, "0.0.0.0"), 0) }},
		{ID: "tcp-fastopen", Loss: "services on the host's loopback", How: "sendto(2) with MSG_FASTOPEN, which Landlock does not see",
			Want: "ENOTSUP", By: Namespaces | Seccomp,
			Run: func(w World) Result { return fastOpened(w.TCP) }},
		{ID: "tcp-fastopen-connect", Loss: "services on the host's loopback", How: "setsockopt(TCP_FASTOPEN_CONNECT), which makes a later connect(2) one that Landlock does not see",
			Want: "ENOPROTOOPT", By: Seccomp,
			Run: func(World) Result {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					return refused(err)
				}
				defer unix.Close(fd)
				return outcome(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1), "")
			}},
		{ID: "tcp-mptcp", Loss: "services on the host's loopback", How: "connect(2) of an MPTCP socket, which Landlock does not see",
			Want: "EPROTONOSUPPORT", By: Namespaces | Seccomp, Absent: "EPROTONOSUPPORT|ENOPROTOOPT",
			Run: func(w World) Result { return connected(local(w, "127.0.0.1"), unix.IPPROTO_MPTCP) }},
		{ID: "tcp-metadata", Loss: "the machine's cloud credentials", How: "connect(2) to 169.254.169.254:80",
			Want: "EACCES", By: Namespaces | Landlock, Since: 4, Twin: TwinUserns,
			Run: func(w World) Result {
				if !w.Inside {
					// The address belongs to somebody: the twin assigns it to its own
					// loopback.
					l, err := here(metadata)
					if err != nil {
						return refused(err)
					}
					defer unix.Close(l)
				}
				return answered(metadata)
			}},
		{ID: "udp-host", Loss: "services on the host's loopback", How: "sendto(2) by UDP to 127.0.0.1, and an answer",
			Want: "ECONNREFUSED", By: Namespaces,
			Run: func(w World) Result {
				c, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(w.UDP)})
				if err != nil {
					return refused(err)
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(deadline / 2))
				if _, err := c.Write([]byte("x")); err != nil {
					return refused(err)
				}
				_, err = c.Read(make([]byte, 1))
				return outcome(err, "answered")
			}},
		{ID: "unix-abstract", Loss: "whatever answers there: a desktop bus, an input method", How: "connect(2) to an abstract unix socket of the host",
			Want: "ECONNREFUSED", By: Namespaces | Landlock, Since: 6,
			Run: func(w World) Result { return unixConnected("@" + w.Abstract) }},
		{ID: "unix-path", Loss: "whatever answers there: an agent's keys, a container engine", How: "connect(2) to a unix socket below the home",
			Want: "ENOENT", By: Namespaces,
			Run: func(w World) Result { return unixConnected(w.Socket) }},
		{ID: "interfaces", Loss: "the addresses of the machine", How: "RTM_GETADDR: an address beside loopback's",
			Want: Held, By: Namespaces, Twin: TwinPlain, Absent: Held,
			Run: func(World) Result {
				addrs, err := net.InterfaceAddrs()
				if err != nil {
					return refused(err)
				}
				for _, a := range addrs {
					if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLoopback() {
						return worked(a.String())
					}
				}
				return held("")
			}},
	}
}

// connected connects a TCP socket of the protocol (0: the default).
func connected(to netip.AddrPort, protocol int) Result {
	family, sa := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(fd)
	return outcome(unix.Connect(fd, sa), to.String())
}

// answered connects a TCP socket to a peer that keeps the connection. If mcpen allows
// some host, its listener accepts a connection and resets it.
func answered(to netip.AddrPort) Result {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return refused(err)
	}
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000); n == 0 && err == nil {
		return worked(to.String()) // nothing ends the connection
	}
	_, err = unix.Read(fd, make([]byte, 1))
	return outcome(err, to.String())
}

// fastOpened connects and sends in one call.
func fastOpened(port uint16) Result {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}
	return outcome(unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN, to), "")
}

// unixConnected connects to a unix socket. A name that begins with "@" is abstract.
func unixConnected(name string) Result {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return refused(err)
	}
	defer unix.Close(fd)
	return outcome(unix.Connect(fd, &unix.SockaddrUnix{Name: name}), name)
}

// here assigns an address to the loopback interface and listens on it. It is for a
// network namespace of its own.
func here(at netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return -1, err
	}
	addr := at.Addr().As4()
	if err := ifr.SetInet4Addr(addr[:]); err != nil {
		return -1, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFADDR, ifr); err != nil {
		return -1, err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_LOOPBACK | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: addr}); err != nil {
		return -1, err
	}
	return fd, unix.Listen(fd, 1)
}
