package listeners

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// rtnetlink is a socket for the kernel's devices, addresses and routes. It acts on the
// network namespace in which it was opened, whichever thread uses it.
type rtnetlink struct{ fd int }

func openRTNetlink() (*rtnetlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the kernel about the network: %v", os.NewSyscallError("socket", err))
	}
	return &rtnetlink{fd}, nil
}

func (rt *rtnetlink) close() { unix.Close(rt.fd) }

// order is one request to the kernel. Its text completes "cannot …".
type order struct {
	text   string
	req    *nl.NetlinkRequest
	answer func([]byte) error // receives the reply to a question; nil: none is expected
}

// errOrder is the first of several orders that the kernel refused.
type errOrder struct {
	index int
	text  string
	err   error
}

func (e *errOrder) Error() string { return "cannot " + e.text + ": " + e.err.Error() }
func (e *errOrder) Unwrap() error { return e.err }

// do sends the orders to the kernel, which carries them out one after another, and
// returns the first refusal; the kernel tries the later ones all the same. All of them
// go in one message, which takes a third of the time of one message for each.
func (rt *rtnetlink) do(orders ...order) error {
	var out []byte
	waiting := map[uint32]int{}
	for i, o := range orders {
		o.req.Flags |= unix.NLM_F_ACK
		waiting[o.req.Seq] = i
		out = append(out, o.req.Serialize()...)
		for len(out)%unix.NLMSG_ALIGNTO != 0 {
			out = append(out, 0)
		}
	}
	if err := unix.Sendto(rt.fd, out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("cannot ask the kernel about the network: %v", os.NewSyscallError("sendto", err))
	}
	asked := answers{orders: orders, waiting: waiting}
	buf := make([]byte, nl.RECEIVE_BUFFER_SIZE)
	for len(waiting) > 0 {
		// The kernel has answered before sendto returns, or never will.
		n, from, err := unix.Recvfrom(rt.fd, buf, unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot hear the kernel's answer about the network: %v", os.NewSyscallError("recvfrom", err))
		}
		if sa, ok := from.(*unix.SockaddrNetlink); !ok || sa.Pid != 0 {
			continue // not the kernel
		}
		if err := asked.hear(buf[:n]); err != nil {
			return err
		}
	}
	if asked.first != nil {
		return asked.first
	}
	return nil
}

// answers are the kernel's answers to orders.
type answers struct {
	orders  []order
	waiting map[uint32]int // the indexes of the orders without an answer, by sequence number
	first   *errOrder      // nil: none was refused
}

// hear takes one message of the kernel, which may hold several answers. An answer to an
// earlier order is ignored.
func (a *answers) hear(b []byte) error {
	msgs, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return fmt.Errorf("cannot read the kernel's answer about the network: %v", err)
	}
	for _, m := range msgs {
		i, ok := a.waiting[m.Header.Seq]
		if !ok {
			continue
		}
		var refused error
		if m.Header.Type == unix.NLMSG_ERROR {
			delete(a.waiting, m.Header.Seq)
			refused = errnoIn(m.Data)
		} else if answer := a.orders[i].answer; answer != nil {
			refused = answer(m.Data)
		}
		if refused != nil && (a.first == nil || i < a.first.index) {
			a.first = &errOrder{i, a.orders[i].text, refused}
		}
	}
	return nil
}

// errnoIn is the error in struct nlmsgerr; 0 is an acknowledgement.
func errnoIn(data []byte) error {
	if len(data) < 4 {
		return errors.New("a short answer")
	}
	if e := int32(nl.NativeEndian().Uint32(data)); e != 0 {
		return syscall.Errno(-e)
	}
	return nil
}

// The functions below make orders.

const create = unix.NLM_F_CREATE | unix.NLM_F_EXCL

// up brings the device up, with further flags.
func up(index int, flags uint32) order {
	req := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	msg.Flags, msg.Change = unix.IFF_UP|flags, unix.IFF_UP|flags
	req.AddData(msg)
	return order{text: fmt.Sprintf("bring the device %d up", index), req: req}
}

// end is one end of a wire.
type end struct {
	name  string
	index int
	flags uint32
}

// pair makes a wire from here to the namespace there (veth(4)). Both ends have the same
// hardware address: on a device without ARP the kernel writes its own address as the
// receiver's, and the other end then accepts it.
func pair(here, there end, namespace int, mac net.HardwareAddr, mtu uint32) order {
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, create)
	describe := func(e end, msg *nl.IfInfomsg, add func(int, []byte)) {
		msg.Index, msg.Flags, msg.Change = int32(e.index), e.flags, e.flags
		add(unix.IFLA_IFNAME, nl.ZeroTerminated(e.name))
		add(unix.IFLA_ADDRESS, mac)
		add(unix.IFLA_MTU, nl.Uint32Attr(mtu))
		// A queue for each processor would add a few sysfs files each.
		add(unix.IFLA_NUM_TX_QUEUES, nl.Uint32Attr(1))
		add(unix.IFLA_NUM_RX_QUEUES, nl.Uint32Attr(1))
	}
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	req.AddData(msg)
	describe(here, msg, func(t int, b []byte) { req.AddData(nl.NewRtAttr(t, b)) })
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	describe(there, nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC), func(t int, b []byte) { peer.AddRtAttr(t, b) })
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(namespace)))
	req.AddData(info)
	return order{text: "make a veth pair", req: req}
}

// give gives the device an address. Nobody else can have the same one.
func give(index int, a netip.Addr) order {
	req := nl.NewNetlinkRequest(unix.RTM_NEWADDR, create)
	msg := nl.NewIfAddrmsg(familyOf(a))
	msg.Index, msg.Prefixlen = uint32(index), uint8(a.BitLen())
	if a.Is6() {
		msg.Flags = unix.IFA_F_NODAD
	}
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, a.AsSlice()))
	return order{text: fmt.Sprintf("give the device %d the address %s", index, a), req: req}
}

// route is one entry of a routing table.
type route struct {
	to    netip.Prefix
	index int
	table uint8 // unix.RT_TABLE_*
	kind  uint8 // unix.RTN_*
	scope uint8
	from  netip.Addr // the source address; the zero one lets the kernel choose
}

func (r route) order() order {
	req := nl.NewNetlinkRequest(unix.RTM_NEWROUTE, create)
	msg := nl.NewRtMsg()
	msg.Family, msg.Dst_len = uint8(familyOf(r.to.Addr())), uint8(r.to.Bits())
	msg.Table, msg.Type, msg.Scope = r.table, r.kind, r.scope
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.RTA_DST, r.to.Addr().AsSlice()))
	if r.from.IsValid() {
		req.AddData(nl.NewRtAttr(unix.RTA_PREFSRC, r.from.AsSlice()))
	}
	req.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(r.index))))
	return order{text: fmt.Sprintf("route %s to the device %d", r.to, r.index), req: req}
}

// state asks for the device's state.
func state(index int, is *netlink.LinkOperState) order {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req.AddData(msg)
	return order{text: fmt.Sprintf("tell whether the device %d is ready", index), req: req, answer: func(b []byte) error {
		link, err := netlink.LinkDeserialize(nil, b)
		if err == nil {
			*is = link.Attrs().OperState
		}
		return err
	}}
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// single is the network of one address, and all that of every address of its family.
func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
func all(a netip.Addr) netip.Prefix {
	if a.Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}
