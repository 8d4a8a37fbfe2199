package listeners

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// errNoWire reports that this machine cannot give the listeners a namespace.
var errNoWire = errors.New("no namespace of their own for the listeners")

// The server's end of the wire. The addresses belong to networks that RFC 5737 and RFC
// 3849 reserve for documentation. They satisfy a program that looks for an address
// other than the loopback's (getaddrinfo with AI_ADDRCONFIG).
var (
	near4 = netip.MustParseAddr("192.0.2.1")
	near6 = netip.MustParseAddr("2001:db8::1")
	// The far end's address, the source of ICMPv6 errors. IPv4's errors come from the
	// destination address.
	far6    = netip.MustParseAddr("2001:db8::2")
	wireMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01}
)

const wireMTU = 65535

// loopback is the index of the loopback in every namespace.
const loopback = 1

// The ends of the wire: the server's and the listeners'. Both indexes are arbitrary;
// the kernel's own devices in every namespace (tunl0, sit0 and their kin) may use those
// from 2 on. The pair is created without ARP, so that neither end waits for a
// neighbour. One end cannot be created up, since the other does not exist yet.
var (
	nearEnd = end{name: "eth0", index: 1000, flags: unix.IFF_NOARP}
	farEnd  = end{name: "mcpen", index: 1001, flags: unix.IFF_NOARP | unix.IFF_UP}
)

// listenBehind opens the listeners in a network namespace of their own and points the
// calling thread's default routes there. The namespace lives as long as a socket in it.
func listenBehind(near *rtnetlink, want sockets, v6 bool) ([]Handle, error) {
	here, err := currentNamespace()
	if err != nil {
		return nil, err
	}
	defer unix.Close(here)
	backs, err := openBacks(v6)
	if err != nil {
		return nil, err
	}
	type result struct {
		hs  []Handle
		err error
	}
	var far *rtnetlink
	tied, opened := make(chan error, 1), make(chan result, 1)
	go func() {
		// Never unlocked: the runtime ends the thread with the goroutine, and nothing
		// else ever runs in the other namespace.
		runtime.LockOSThread()
		var err error
		far, err = tie(here, v6)
		if tied <- err; err != nil {
			return
		}
		liftErrorLimit()
		hs, err := listenGated(want, v6, len(backs) > 0)
		opened <- result{hs, err}
	}()
	if err := <-tied; err != nil {
		Close(backs)
		return nil, err
	}
	defer far.close()
	err = lead(near, v6)
	if err == nil {
		err = settle(near, nearEnd, settleTime)
	}
	if err == nil {
		err = settle(far, farEnd, settleTime)
	}
	r := <-opened
	hs := beside(r.hs, backs)
	if err = errors.Join(err, r.err); err != nil {
		Close(hs)
		return nil, err
	}
	return hs, nil
}

// beside puts each gate at the front of hs before its socket for resending. Without
// gates, those sockets are useless.
func beside(hs, backs []Handle) (out []Handle) {
	for _, b := range backs {
		if len(hs) == 0 || hs[0].Kind != KindGate {
			Close([]Handle{b})
			continue
		}
		out = append(out, hs[0], b)
		hs = hs[1:]
	}
	return append(out, hs...)
}

// listenGated opens the listeners on the far side, behind gates if possible.
func listenGated(want sockets, v6, gated bool) (hs []Handle, err error) {
	if gated {
		if hs, err = openGates(v6); err != nil {
			return nil, err
		}
	}
	rest, err := listenAll(want, v6, false, len(hs) > 0)
	if err != nil {
		Close(hs)
		return nil, err
	}
	return append(hs, rest...), nil
}

// tie makes a namespace for the calling thread, claims every address in it and ties it
// to the namespace near.
func tie(near int, v6 bool) (*rtnetlink, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("%w: unshare: %v", errNoWire, err)
	}
	rt, err := openRTNetlink()
	if err != nil {
		return nil, err
	}
	orders := []order{pair(farEnd, nearEnd, near, wireMAC, wireMTU), up(loopback, 0)}
	orders = append(orders, claimAll(v6, false)...)
	if v6 {
		orders = append(orders, give(farEnd.index, far6))
	}
	for _, a := range nearAddrs(v6) { // more specific than the route that claims every address
		orders = append(orders, route{to: single(a), index: farEnd.index, table: unix.RT_TABLE_LOCAL, kind: unix.RTN_UNICAST, scope: unix.RT_SCOPE_LINK}.order())
	}
	if err = rt.do(orders...); err == nil {
		return rt, nil
	}
	rt.close()
	var refused *errOrder
	if errors.As(err, &refused) && refused.index == 0 {
		return nil, fmt.Errorf("%w: %v", errNoWire, err)
	}
	return nil, err
}

// lead gives the server's namespace its addresses and default routes.
func lead(rt *rtnetlink, v6 bool) error {
	orders := []order{up(nearEnd.index, 0)}
	for _, a := range nearAddrs(v6) {
		orders = append(orders, give(nearEnd.index, a))
		r := route{to: all(a), index: nearEnd.index, table: unix.RT_TABLE_MAIN, kind: unix.RTN_UNICAST, scope: unix.RT_SCOPE_LINK, from: a}
		if a.Is6() {
			// The kernel makes this route too, but later, on a thread of its own. Until
			// then it drops packets to the address.
			own := route{to: single(a), index: nearEnd.index, table: unix.RT_TABLE_LOCAL, kind: unix.RTN_LOCAL, scope: unix.RT_SCOPE_HOST}
			orders = append(orders, own.order())
		}
		orders = append(orders, r.order())
	}
	return rt.do(orders...)
}

// settleTime bounds the wait for a device, which usually takes less than a millisecond.
const settleTime = 5 * time.Second

// settle waits until the device carries packets, or the limit has passed. Bringing both
// ends up is not enough: the kernel attaches the queue of one of them a moment later on a
// thread of its own, unless it is asked for the device's state (Linux 6.8). Until then it
// drops packets, which would cost the first connection a second.
func settle(rt *rtnetlink, e end, limit time.Duration) error {
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Microsecond) {
		var is netlink.LinkOperState
		if err := rt.do(state(e.index, &is)); err != nil || is == netlink.OperUp {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("the device %q is not ready: it is %s", e.name, is)
		}
	}
}

// currentNamespace returns a descriptor of the thread's network namespace. It does not
// need /proc (SIOCGSKNS, Linux 4.9).
func currentNamespace() (int, error) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer unix.Close(s)
	fd, err := unix.IoctlRetInt(s, unix.SIOCGSKNS)
	if err != nil {
		return -1, os.NewSyscallError("ioctl(SIOCGSKNS)", err)
	}
	return fd, nil
}

// errorLimits are the settings that limit ICMP messages to one a second for each
// receiver, by type (icmp(7)). Writing 0 exempts the errors.
var errorLimits = []string{"/proc/sys/net/ipv4/icmp_ratemask", "/proc/sys/net/ipv6/icmp/ratemask"}

// liftErrorLimit lets the calling thread's network namespace answer every datagram to a
// closed port: the sender gets ECONNREFUSED each time, and not only the first. Only the
// speed of a failure depends on it, so it ignores errors.
//
// /proc/sys is read-only for pid 1. The thread lives in a namespace of its own anyway,
// so it gives itself a separate mount namespace.
func liftErrorLimit() {
	const quiet = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC // may be locked (mount_namespaces(7))
	if writeLimits() == nil || unix.Unshare(unix.CLONE_NEWNS) != nil {
		return
	}
	if unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") == nil &&
		unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|quiet, "") == nil {
		_ = writeLimits()
	}
}

func writeLimits() error {
	for _, p := range errorLimits {
		f, err := os.OpenFile(p, os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString("0")
			f.Close()
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) { // no IPv6
			return err
		}
	}
	return nil
}

// claimAll makes every address local to a namespace. If the namespace has addresses of
// its own, connections come from those, and not from their destination address.
func claimAll(v6, own bool) (orders []order) {
	for _, a := range nearAddrs(v6) {
		r := route{to: all(a), index: loopback, table: unix.RT_TABLE_LOCAL, kind: unix.RTN_LOCAL, scope: unix.RT_SCOPE_HOST}
		if own {
			orders = append(orders, give(loopback, a))
			r.from = a
		}
		orders = append(orders, r.order())
	}
	return orders
}

// nearAddrs are the server's addresses, one of each available family.
func nearAddrs(v6 bool) []netip.Addr {
	if v6 {
		return []netip.Addr{near4, near6}
	}
	return []netip.Addr{near4}
}

// hasIPv6 reports whether this namespace has IPv6: the kernel may lack it
// (ipv6.disable=1) or disable it on the loopback (disable_ipv6).
func hasIPv6() bool {
	s, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(s)
	return unix.Bind(s, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}) == nil
}
