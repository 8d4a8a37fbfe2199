package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// interfaces knows what surrounds this machine. The kernel is asked once, and
// again when it says that an address came or went (rtnetlink(7)). It puts its
// word into the socket's queue in the midst of the change, so an empty queue
// means that nothing changed: whoever asks gets what holds at that moment. Its
// methods may be called from any goroutine.
type interfaces struct {
	mu    sync.Mutex
	fd    int
	known bool
	is    surroundings
}

// watchInterfaces asks the kernel for its word. The caller closes what it gets.
func watchInterfaces() (*interfaces, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the addresses of this machine: %v", os.NewSyscallError("socket", err))
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot watch the addresses of this machine: %v", os.NewSyscallError("bind", err))
	}
	return &interfaces{fd: fd}, nil
}

func (i *interfaces) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fd >= 0 {
		unix.Close(i.fd)
		i.fd, i.known = -1, false
	}
}

// around is what surrounds the machine now.
func (i *interfaces) around() (surroundings, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fd < 0 {
		return surroundings{}, net.ErrClosed
	}
	if !i.quiet() {
		i.known = false
	}
	if i.known {
		return i.is, nil
	}
	list, err := interfaceAddrs()
	if err != nil {
		return surroundings{}, err
	}
	i.is, i.known = newSurroundings(list), true
	return i.is, nil
}

// quiet empties the queue and reports whether nothing was in it. A queue that ran
// over (ENOBUFS) was not empty, and nor is one that cannot be read.
func (i *interfaces) quiet() bool {
	var b [1]byte // what changed is not of interest; the rest of a message is dropped
	for quiet := true; ; quiet = false {
		_, _, err := unix.Recvfrom(i.fd, b[:], unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return quiet
		case err != nil && err != unix.EINTR && err != unix.ENOBUFS:
			return false
		}
	}
}

// interfaceAddrs asks the kernel for the addresses of all interfaces.
func interfaceAddrs() ([]netip.Prefix, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, a := range list {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, ok := netip.AddrFromSlice(n.IP)
		if ones, bits := n.Mask.Size(); ok && bits > 0 {
			addr = addr.Unmap()
			out = append(out, netip.PrefixFrom(addr, ones-(bits-addr.BitLen())))
		}
	}
	return out, nil
}
