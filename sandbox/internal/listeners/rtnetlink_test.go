package listeners

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/internal/listeners/nettest"
)

// Only the kernel's own answer to the current order counts. An answer to an earlier
// order, or from another process, is ignored, and so is a signal. A refusal by the
// kernel is reported.
func TestOnlyTheKernelsAnswerToAnOrderCounts(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		rt, err := openRTNetlink()
		must(t, err)
		defer rt.close()
		late := up(4711, 0) // there is no such device
		late.req.Flags |= unix.NLM_F_ACK
		must(t, unix.Sendto(rt.fd, late.req.Serialize(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
		var is netlink.LinkOperState
		must(t, rt.do(state(loopback, &is), up(loopback, 0)))

		self, err := unix.Getsockname(rt.fd)
		must(t, err)
		other, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		must(t, err)
		defer unix.Close(other)
		good := up(loopback, 0)
		forged := nl.NewNetlinkRequest(unix.NLMSG_ERROR, 0)
		forged.Seq = good.req.Seq
		refusal := make([]byte, 20)
		nl.NativeEndian().PutUint32(refusal, ^uint32(unix.EPERM)+1)
		forged.AddRawData(refusal)
		must(t, unix.Sendto(other, forged.Serialize(), 0, self))
		must(t, rt.do(good))

		var refused *errOrder
		err = rt.do(up(loopback, 0), up(4711, 0), up(4712, 0))
		if !errors.As(err, &refused) || refused.index != 1 || !errors.Is(err, unix.ENODEV) {
			t.Errorf("two devices that are not there: %v", err)
		}
		signals := 0
		must(t, fault.Watch([]uintptr{unix.SYS_RECVFROM}, func(fault.Call) fault.Answer {
			if signals++; signals < 3 {
				return fault.Fail(unix.EINTR)
			}
			return fault.Pass
		}, func() { err = rt.do(up(loopback, 0)) }))
		if err != nil || signals < 3 {
			t.Errorf("signals: %v", err)
		}
		// Several answers in one message, and what is no whole message.
		first, second := up(loopback, 0), up(loopback, 0)
		message := func(seq uint32, kind uint16, data ...byte) []byte {
			b := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(data))
			nl.NativeEndian().PutUint32(b, uint32(cap(b)))
			nl.NativeEndian().PutUint16(b[4:], kind)
			nl.NativeEndian().PutUint32(b[8:], seq)
			return append(b, data...)
		}
		asked := answers{orders: []order{first, second}, waiting: map[uint32]int{first.req.Seq: 0, second.req.Seq: 1}}
		must(t, asked.hear(append(append(message(second.req.Seq, unix.NLMSG_ERROR, 0xff, 0xff, 0xff, 0xff), message(first.req.Seq, unix.NLMSG_ERROR, 0xfe, 0xff, 0xff, 0xff)...), message(4711, unix.NLMSG_ERROR, 0xfd, 0xff, 0xff, 0xff)...)))
		if len(asked.waiting) > 0 || asked.first == nil || asked.first.index != 0 || !errors.Is(asked.first, unix.ENOENT) {
			t.Errorf("%+v", asked)
		}
		for _, b := range [][]byte{make([]byte, unix.SizeofNlMsghdr), message(1, unix.NLMSG_ERROR, 0, 0, 0, 0)[:18]} {
			if err := asked.hear(b); err == nil || !strings.HasPrefix(err.Error(), "cannot read the kernel's answer about the network: ") {
				t.Errorf("%x: %v", b, err)
			}
		}
		for _, data := range [][]byte{nil, {1, 0, 0}, {0xff, 0xff, 0xff, 0xff}} {
			if errnoIn(data) == nil {
				t.Errorf("%v passes for an acknowledgement", data)
			}
		}
		if err := errnoIn(make([]byte, 4)); err != nil {
			t.Errorf("an acknowledgement: %v", err)
		}
	})
}

// A refusal by the kernel names what was wanted: it is all that a person sees of a
// network that cannot be made.
func TestARefusedOrderIsNamed(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		rt, err := openRTNetlink()
		must(t, err)
		defer rt.close()
		var is netlink.LinkOperState
		four, six := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("2001:db8::9")
		to := route{to: single(four), index: 4711, table: unix.RT_TABLE_MAIN, kind: unix.RTN_UNICAST, scope: unix.RT_SCOPE_LINK}
		for want, o := range map[string]order{
			"cannot bring the device 4711 up: no such device":                     up(4711, 0),
			"cannot tell whether the device 4711 is ready: no such device":        state(4711, &is),
			"cannot give the device 4711 the address 192.0.2.9: no such device":   give(4711, four),
			"cannot give the device 4711 the address 2001:db8::9: no such device": give(4711, six),
			"cannot route 192.0.2.9/32 to the device 4711: no such device":        to.order(),
			"cannot make a veth pair: bad file descriptor":                        pair(farEnd, nearEnd, 1<<20, wireMAC, wireMTU),
			"cannot make a veth pair: numerical result out of range":              pair(end{name: "much-longer-than-a-name"}, nearEnd, 1<<20, wireMAC, wireMTU),
		} {
			if err := rt.do(o); err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
		}
		// An answer that cannot be read is none: a device would pass for ready.
		broken := append(make([]byte, unix.SizeofIfInfomsg), 2, 0, 0, 0)
		if err := state(loopback, &is).answer(broken); err == nil {
			t.Error("an attribute shorter than its head is read")
		}
	})
}
