package interfaces

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Watcher knows this machine's surroundings. It asks the kernel once, and again when
// the kernel reports that an address came or went (rtnetlink(7)). The kernel queues
// that report on the socket during the change, so an empty queue means that nothing
// changed: a caller always gets the current state. Any goroutine may call its methods.
type Watcher struct {
	mu    sync.Mutex
	fd    int
	known bool
	is    Surroundings
}

// Watch subscribes to the kernel's reports. The caller must close the result.
func Watch() (*Watcher, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the addresses of this machine: %v", os.NewSyscallError("socket", err))
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot watch the addresses of this machine: %v", os.NewSyscallError("bind", err))
	}
	return &Watcher{fd: fd}, nil
}

func (i *Watcher) Close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fd >= 0 {
		unix.Close(i.fd)
		i.fd, i.known = -1, false
	}
}

// Around returns the current surroundings.
func (i *Watcher) Around() (Surroundings, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fd < 0 {
		return Surroundings{}, net.ErrClosed
	}
	if !i.quiet() {
		i.known = false
	}
	if i.known {
		return i.is, nil
	}
	list, err := interfaceAddrs()
	if err != nil {
		return Surroundings{}, err
	}
	i.is, i.known = New(list), true
	return i.is, nil
}

// quiet empties the queue and reports whether it was empty. A queue that overflowed
// (ENOBUFS), or that cannot be read, counts as not empty.
func (i *Watcher) quiet() bool {
	var b [1]byte // the change itself does not matter; the rest of a message is dropped
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
