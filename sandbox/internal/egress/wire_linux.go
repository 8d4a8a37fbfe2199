package egress

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

// errNoWire says that this machine cannot give the listeners a namespace.
var errNoWire = errors.New("no namespace of their own for the listeners")

// The server's end of the wire. The addresses are of the networks that RFC 5737
// and RFC 3849 keep for documentation; a program that looks for an address
// which is not the loopback's (getaddrinfo with AI_ADDRCONFIG) finds them.
var (
	near4 = netip.MustParseAddr("192.0.2.1")
	near6 = netip.MustParseAddr("2001:db8::1")
	// The far end's, from which ICMPv6 errors come. IPv4's come from the address
	// that was meant.
	far6 = netip.MustParseAddr("2001:db8::2")
	// wireMAC is of both ends: on a device without ARP the kernel writes its
	// own address as the receiver's, and the other end takes it for its own.
	wireMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01}
)

const (
	nearName = "eth0"
	farName  = "mcpen"
	wireMTU  = 65535
)

// listenBehind opens the listeners in a network namespace of their own and
// leads the calling thread's default routes there. The namespace lives as long
// as a socket in it.
func listenBehind(rt *netlink.Handle, ports []uint16, v6 bool) ([]Handle, error) {
	here, err := currentNamespace()
	if err != nil {
		return nil, err
	}
	defer unix.Close(here)
	type result struct {
		hs  []Handle
		err error
	}
	far, near := make(chan result), make(chan error, 1)
	go func() {
		// Never unlocked: the runtime ends the thread with the goroutine, and
		// nothing else ever runs in the other namespace.
		runtime.LockOSThread()
		hs, err := farEnd(here, ports, v6)
		far <- result{hs, err}
		if err == nil && <-near == nil {
			far <- result{err: settle(farName, nil)}
		}
	}()
	r := <-far
	if r.err != nil {
		return nil, r.err
	}
	err = nearEnd(rt, v6)
	near <- err
	if err == nil {
		err = settle(nearName, nearAddrs(v6))
		if last := <-far; err == nil {
			err = last.err
		}
	}
	if err != nil {
		closeHandles(r.hs)
		return nil, err
	}
	return r.hs, nil
}

// settleTime bounds the wait for a device; it takes less than a millisecond.
const settleTime = 5 * time.Second

// settle waits until the device carries packets and the addresses take them.
// Making them is not enough: the kernel connects the queue, and the route to an
// IPv6 address, a moment later on threads of its own, and until then drops
// what comes, which would cost the first connection a second.
func settle(name string, addrs []netip.Addr) error {
	rt, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("cannot ask the kernel about the network: %v", err)
	}
	defer rt.Close()
	for end := time.Now().Add(settleTime); ; time.Sleep(100 * time.Microsecond) {
		why, err := unsettled(rt, name, addrs)
		if err != nil {
			return fmt.Errorf("cannot tell whether the device %q is ready: %v", name, err)
		}
		if why == "" {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the device %q is not ready: %s", name, why)
		}
	}
}

// unsettled says what is missing.
func unsettled(rt *netlink.Handle, name string, addrs []netip.Addr) (string, error) {
	link, err := rt.LinkByName(name)
	if err != nil {
		return "", err
	}
	if s := link.Attrs().OperState; s != netlink.OperUp {
		return fmt.Sprintf("it is %s", s), nil
	}
	for _, a := range addrs {
		routes, err := rt.RouteGet(a.AsSlice())
		if err != nil || len(routes) == 0 || routes[0].Type != unix.RTN_LOCAL {
			return fmt.Sprintf("%s is not its own yet", a), nil
		}
	}
	return "", nil
}

// currentNamespace returns a descriptor of the thread's network namespace. It
// does not need /proc (SIOCGSKNS, Linux 4.9).
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

// farEnd makes a namespace for the calling thread, claims every address in it,
// ties it to the namespace near and opens the listeners.
func farEnd(near int, ports []uint16, v6 bool) ([]Handle, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("%w: unshare: %v", errNoWire, err)
	}
	liftErrorLimit()
	rt, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the kernel about the network: %v", err)
	}
	defer rt.Close()
	if err := loopbackUp(rt); err != nil {
		return nil, err
	}
	if err := rt.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: farName, HardwareAddr: wireMAC, MTU: wireMTU, TxQLen: -1},
		PeerName:  nearName, PeerHardwareAddr: wireMAC, PeerNamespace: netlink.NsFd(near),
	}); err != nil {
		return nil, fmt.Errorf("%w: make a veth pair: %v", errNoWire, err)
	}
	link, err := raise(rt, farName)
	if err != nil {
		return nil, err
	}
	if err := claimAll(rt, v6, false); err != nil {
		return nil, err
	}
	if v6 {
		if err := addAddr(rt, link, far6); err != nil {
			return nil, err
		}
	}
	for _, a := range nearAddrs(v6) { // more exact than "every address is mine"
		r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: single(a), Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_LINK}
		if a.Is6() {
			r.Src = far6.AsSlice()
		}
		if err := rt.RouteAdd(r); err != nil {
			return nil, fmt.Errorf("cannot route answers to %s: %v", a, err)
		}
	}
	return listenAll(ports, v6, false)
}

// nearEnd gives the server's namespace its addresses and default routes.
func nearEnd(rt *netlink.Handle, v6 bool) error {
	link, err := raise(rt, nearName)
	if err != nil {
		return err
	}
	for _, a := range nearAddrs(v6) {
		if err := addAddr(rt, link, a); err != nil {
			return err
		}
		r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: all(a), Src: a.AsSlice(), Scope: netlink.SCOPE_LINK}
		if a.Is6() {
			r.Scope = netlink.SCOPE_UNIVERSE
		}
		if err := rt.RouteAdd(r); err != nil {
			return fmt.Errorf("cannot make the default route of %s: %v", a, err)
		}
	}
	return nil
}

// errorLimits are the settings that say which ICMP messages are sent but once a
// second to each receiver (icmp(7)). Writing 0 takes the errors off both lists.
var errorLimits = []string{"/proc/sys/net/ipv4/icmp_ratemask", "/proc/sys/net/ipv6/icmp/ratemask"}

// liftErrorLimit lets the calling thread's network namespace answer every
// datagram that nobody waits for: the sender gets ECONNREFUSED each time, and
// not only the first. Only the speed of a failure hangs on it, so it is no
// error where it cannot be done.
//
// /proc/sys is read-only to pid 1. The thread lives in a namespace of its own
// anyway, so it gives itself another view of the mounts.
func liftErrorLimit() {
	if writeLimits() == nil || unix.Unshare(unix.CLONE_NEWNS) != nil {
		return
	}
	if unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") == nil &&
		unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT, "") == nil {
		_ = writeLimits()
	}
}

func writeLimits() error {
	for _, p := range errorLimits {
		f, err := os.OpenFile(p, os.O_WRONLY, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue // no IPv6
		}
		if err != nil {
			return err
		}
		_, err = f.WriteString("0")
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// claimAll makes every address local to the namespace of rt. With an address
// of its own, connections come from that one, and not from the address that
// they go to.
func claimAll(rt *netlink.Handle, v6, own bool) error {
	lo, err := rt.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("cannot find the loopback: %v", err)
	}
	for _, a := range nearAddrs(v6) {
		r := claim(lo, a)
		if own {
			if err := addAddr(rt, lo, a); err != nil {
				return err
			}
			r.Src = a.AsSlice()
		}
		if err := rt.RouteAdd(r); err != nil {
			return fmt.Errorf("cannot make every address local: %v", err)
		}
	}
	return nil
}

// claim is the route that makes every address of a's family local.
func claim(lo netlink.Link, a netip.Addr) *netlink.Route {
	return &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: all(a), Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}
}

func loopbackUp(rt *netlink.Handle) error {
	lo, err := rt.LinkByName("lo")
	if err == nil {
		err = rt.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("cannot bring the loopback up: %v", err)
	}
	return nil
}

// raise brings a device up and takes neighbour discovery away from it.
func raise(rt *netlink.Handle, name string) (netlink.Link, error) {
	link, err := rt.LinkByName(name)
	if err == nil {
		err = rt.LinkSetUp(link)
	}
	if err == nil {
		err = rt.LinkSetARPOff(link)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot bring the device %q up: %v", name, err)
	}
	return link, nil
}

func addAddr(rt *netlink.Handle, link netlink.Link, a netip.Addr) error {
	addr := &netlink.Addr{IPNet: single(a)}
	if a.Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := rt.AddrAdd(link, addr); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot give %q the address %s: %v", link.Attrs().Name, a, err)
	}
	return nil
}

// nearAddrs are the server's addresses, one of each family there is.
func nearAddrs(v6 bool) []netip.Addr {
	if v6 {
		return []netip.Addr{near4, near6}
	}
	return []netip.Addr{near4}
}

// single is the network of one address.
func single(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

// all is the network of every address of a's family.
func all(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: make(net.IP, a.BitLen()/8), Mask: net.CIDRMask(0, a.BitLen())}
}

// hasIPv6 reports whether this namespace speaks IPv6: the kernel may lack it
// (ipv6.disable=1) or keep it off the loopback (disable_ipv6).
func hasIPv6() bool {
	s, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(s)
	return unix.Bind(s, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}) == nil
}
