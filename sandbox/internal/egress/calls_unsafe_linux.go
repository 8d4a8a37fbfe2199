package egress

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The functions below make the loop's calls on descriptors that do not block. None of
// them waits. So the goroutine keeps its processor (P), and nothing is allocated: for a
// connection that carries little, that is a good part of its cost.

// accept4 takes one connection from a listener.
func accept4(listener int) (fd int, from netip.AddrPort, err error) {
	var a address
	n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(a.sized())), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	return int(n), a.addrPort(), nil
}

// getsockname is the socket's own address; the zero AddrPort if it has none.
func getsockname(fd int) netip.AddrPort {
	var a address
	if _, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(a.sized()))); errno != 0 {
		return netip.AddrPort{}
	}
	return a.addrPort()
}

// address is a socket address that the kernel fills in.
type address struct {
	raw  unix.RawSockaddrInet6 // also large enough for IPv4
	size uint32
}

// sized is the size to give to the kernel.
func (a *address) sized() *uint32 {
	a.size = uint32(unsafe.Sizeof(a.raw))
	return &a.size
}

// addrPort is the address; the zero AddrPort for other families.
func (a *address) addrPort() netip.AddrPort {
	port := (*[2]byte)(unsafe.Pointer(&a.raw.Port)) // in the network's order
	at := uint16(port[0])<<8 | uint16(port[1])
	switch a.raw.Family {
	case unix.AF_INET:
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), at)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.raw.Addr).Unmap(), at)
	}
	return netip.AddrPort{}
}

// read reads what there is; b must not be empty.
func read(fd int, b []byte) (int, error) { return transfer(unix.SYS_READ, fd, b, 0) }

// write writes as much as the socket takes; b must not be empty.
func write(fd int, b []byte) (int, error) { return transfer(unix.SYS_WRITE, fd, b, 0) }

// peek reads what there is, and leaves it there (recv(2), MSG_PEEK); b must not be empty.
func peek(fd int, b []byte) (int, error) { return transfer(unix.SYS_RECVFROM, fd, b, unix.MSG_PEEK) }

func transfer(call uintptr, fd int, b []byte, flags uintptr) (int, error) {
	n, _, errno := unix.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// sendto sends a packet by a raw socket; the peer repeats a lost one.
func sendto(fd int, b []byte, to netip.Addr) {
	var six unix.RawSockaddrInet6
	size := unsafe.Sizeof(six)
	if to.Is4() {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&six))
		four.Family, four.Addr = unix.AF_INET, to.As4()
		size = unsafe.Sizeof(*four)
	} else {
		six.Family, six.Addr = unix.AF_INET6, to.As16()
	}
	_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&six)), size)
}

// shutdown ends the direction outward of a socket.
func shutdown(fd int) error {
	if _, _, errno := unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0); errno != 0 {
		return errno
	}
	return nil
}

// closeNow closes a descriptor. A socket that lingers for its last bytes would wait; the
// loop has none.
func closeNow(fd int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }
