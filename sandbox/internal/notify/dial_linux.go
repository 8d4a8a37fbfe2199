package notify

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// Barred returns a function that gives the errno with which a TCP connection from
// inside fails before the egress sees it, or 0. Landlock refuses every port that no
// rule names, whatever the address. If its ABI has no rules for ports, no listener
// waits there.
func Barred(p plan.Plan) func(to netip.AddrPort) syscall.Errno {
	return func(to netip.AddrPort) syscall.Errno {
		switch {
		case p.Landlock.Connects(to.Port()):
			return 0
		case p.Landlock.ABI >= 4: // 0: the layer is off
			return syscall.EACCES
		case to.Addr().IsLoopback():
			return 0 // the server itself may listen there
		case len(p.Network.Hosts) > 0:
			return syscall.ECONNREFUSED
		}
		return syscall.ENETUNREACH
	}
}

// dialling reports the address and the errno of a TCP connect that is about to fail.
// Everything that it reads belongs to the calling process, so the result is for a log
// and nothing else. A socket that may not be examined counts as another kind: programs
// connect UDP sockets only to learn their source address.
func dialling(n notification, judge func(netip.AddrPort) syscall.Errno) (netip.AddrPort, syscall.Errno) {
	if judge == nil {
		return netip.AddrPort{}, 0
	}
	to, ok := readAddr(int(n.tid), n.args[1], n.args[2])
	if !ok {
		return netip.AddrPort{}, 0
	}
	errno := judge(to)
	if errno == 0 || !streams(int(n.tid), int(int32(n.args[0]))) {
		return netip.AddrPort{}, 0
	}
	return to, errno
}

// readAddr reads a struct sockaddr of IPv4 or IPv6 from a process's memory.
func readAddr(pid int, at, size uint64) (netip.AddrPort, bool) {
	buf := make([]byte, min(size, unix.SizeofSockaddrInet6))
	if len(buf) < unix.SizeofSockaddrInet4 || readMemory(pid, at, buf) != nil {
		return netip.AddrPort{}, false
	}
	return sockaddr(buf)
}

// sockaddr reads a struct sockaddr of IPv4 or IPv6.
func sockaddr(buf []byte) (netip.AddrPort, bool) {
	if len(buf) < unix.SizeofSockaddrInet4 {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(buf[2:])
	var addr netip.Addr
	switch family := binary.NativeEndian.Uint16(buf); {
	case family == unix.AF_INET:
		addr = netip.AddrFrom4([4]byte(buf[4:8]))
	case family == unix.AF_INET6 && len(buf) >= 24:
		addr = netip.AddrFrom16([16]byte(buf[8:24])).Unmap()
	default:
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr, port), port != 0
}

// streams reports whether a process's descriptor is a TCP socket.
func streams(tid, fd int) bool {
	pid, _ := whois(tid) // 0 if the thread is gone; /proc has no process 0
	return protocol(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)) == "TCP"
}

// readMemory fills buf from a process's memory.
func readMemory(pid int, at uint64, buf []byte) error {
	n, err := peek(pid, at, buf)
	if err != nil {
		return err
	}
	if n < len(buf) {
		return fmt.Errorf("%d bytes of %d", n, len(buf))
	}
	return nil
}
