package listeners

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/descriptor"
	"mcpen/sandbox/internal/listeners/nettest"
)

// A filter that the kernel does not take is an error: a gate without one would let every
// opening packet through undecided.
func TestAFilterIsAttachedOrAnError(t *testing.T) {
	if err := attach(-1, []bpf.Instruction{bpf.LoadAbsolute{Size: 3}}); err == nil || !strings.Contains(err.Error(), "internal error: cannot assemble a filter") {
		t.Errorf("%v", err)
	}
	if err := attach(-1, closed); !errors.Is(err, unix.EBADF) {
		t.Errorf("%v", err)
	}
}

// packet is a TCP packet, from the IP header on.
type packet struct {
	from    uint16 // the port
	to      netip.AddrPort
	flags   byte
	hops    byte
	options int // bytes of IP options
	data    int // bytes behind the TCP header
}

func (p packet) bytes() []byte {
	tcp := make([]byte, 20+p.data)
	binary.BigEndian.PutUint16(tcp, p.from)
	binary.BigEndian.PutUint16(tcp[2:], p.to.Port())
	tcp[12], tcp[13] = 5<<4, p.flags
	if p.to.Addr().Is6() {
		b := make([]byte, 40, 40+len(tcp))
		b[0], b[6], b[7] = 6<<4, unix.IPPROTO_TCP, p.hops
		binary.BigEndian.PutUint16(b[4:], uint16(len(tcp)))
		copy(b[8:], p.to.Addr().AsSlice())
		copy(b[24:], p.to.Addr().AsSlice())
		return append(b, tcp...)
	}
	b := make([]byte, 20+p.options, 20+p.options+len(tcp))
	b[0], b[8], b[9] = 4<<4|byte(len(b)/4), p.hops, unix.IPPROTO_TCP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+len(tcp)))
	copy(b[12:], p.to.Addr().AsSlice())
	copy(b[16:], p.to.Addr().AsSlice())
	for i := range p.options {
		b[20+i] = 1 // no operation (RFC 791)
	}
	return append(b, tcp...)
}

// withFD runs f with the file's descriptor.
func withFD(t *testing.T, f *os.File, use func(fd int)) {
	t.Helper()
	must(t, descriptor.Of(f, func(fd int) error { use(fd); return nil }))
}

// patience bounds the wait for what a failure would prevent.
const patience = 3 * time.Second

// ready waits until the descriptor has one of the events.
func ready(fd int, events int16) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, 100); n > 0 && err == nil {
			return true
		}
	}
	return false
}

// A gate before the loopback holds every packet that opens a connection to one of its two
// addresses, and nothing else: an answer, or an opening that was resent, would be taken
// for a connection of the program's, and a connection of the server to itself would be
// made on the host.
func TestAGateReceivesOpenings(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		nettest.NewSandbox(t).Inside(func() {
			rt, err := openRTNetlink()
			must(t, err)
			defer rt.close()
			must(t, rt.do(up(loopback, 0)))
			six := hasIPv6()
			gates, err := openLocalGates(six)
			must(t, err)
			defer Close(gates)
			backs, err := openBacks(six)
			must(t, err)
			defer Close(backs)
			if len(gates) != 1+b2int(six) || len(backs) != len(gates) {
				t.Fatalf("%v, %v", gates, backs)
			}
			for i, own := range []string{"127.0.0.1", "::1"}[:len(gates)] {
				received(t, gates[i], backs[i], netip.MustParseAddr(own))
			}
		})
	})
}

// received fails the test unless the gate receives exactly the openings to its address.
func received(t *testing.T, gate, back Handle, own netip.Addr) {
	t.Helper()
	to := netip.AddrPortFrom(own, 7000)
	const syn, ack, rst, ecn = flagSYN, flagACK, 0x04, 0xc0
	rows := []struct {
		packet
		want bool
	}{
		{packet{to: to, flags: syn, hops: 64}, true}, {packet{to: to, flags: syn | ecn, hops: 64}, true}, {packet{to: to, flags: syn, hops: 1}, true}, {packet{to: to, flags: syn, hops: 255, data: 300}, true},
		{packet{to: to, flags: syn, hops: Mark - 1}, true}, {packet{to: to, flags: syn, hops: Mark + 1}, true}, {packet{to: to, flags: syn, hops: Mark}, false}, {packet{to: to, flags: syn, hops: Mark, data: 300}, false},
		{packet{to: to, flags: syn | ack, hops: 64}, false}, {packet{to: to, flags: ack, hops: 64}, false}, {packet{to: to, flags: rst, hops: 64}, false}, {packet{to: to, hops: 64}, false}, {packet{to: to, flags: rst | ack, hops: Mark}, false},
	}
	if own.Is4() {
		for _, options := range []int{4, 40} {
			rows = append(rows, rows[0], rows[8])
			rows[len(rows)-2].options, rows[len(rows)-1].options = options, options
		}
		other := rows[0]
		other.to, other.want = netip.MustParseAddrPort("127.0.0.2:7000"), false
		rows = append(rows, other)
	}
	rows = append(rows, rows[0]) // the last is received, so that there is something to wait for
	var want, got []string
	for i, r := range rows {
		r.from = uint16(40000 + i)
		b := r.bytes()
		var at unix.Sockaddr = &unix.SockaddrInet6{Addr: r.to.Addr().As16()}
		if own.Is4() {
			at = &unix.SockaddrInet4{Addr: r.to.Addr().As4()}
		}
		withFD(t, back.File, func(fd int) { must(t, unix.Sendto(fd, b, 0, at)) })
		if !r.want {
			continue
		}
		if own.Is6() {
			b = b[40:] // the kernel keeps the header
		}
		want = append(want, fmt.Sprint(r.from, " ", min(len(b), MaxOpening)))
	}
	withFD(t, gate.File, func(fd int) {
		b, oob := make([]byte, 2000), make([]byte, 200)
		for len(got) < len(want) && ready(fd, unix.POLLIN) {
			n, on, _, _, err := unix.Recvmsg(fd, b, oob, unix.MSG_DONTWAIT)
			must(t, err)
			tcp := b
			if own.Is4() {
				tcp = b[int(b[0]&15)*4:]
			} else if msgs, err := unix.ParseSocketControlMessage(oob[:on]); err != nil || len(msgs) != 1 || netip.AddrFrom16([16]byte(msgs[0].Data)) != own {
				t.Errorf("the destination comes as %v, %v", msgs, err)
			}
			got = append(got, fmt.Sprint(binary.BigEndian.Uint16(tcp), " ", n))
		}
	})
	if !slices.Equal(got, want) {
		t.Errorf("%v: received %q, want %q", own, got, want)
	}
}

// A listener behind a gate takes an opening with the mark, and drops any other as if it
// were lost; without a gate it takes all of them. So does a spare that begins to listen.
func TestListenersBehindAGate(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		nettest.NewSandbox(t).Inside(func() {
			rt, err := openRTNetlink()
			must(t, err)
			defer rt.close()
			must(t, rt.do(up(loopback, 0)))
			port := uint16(7000)
			for _, a := range []string{"127.0.0.1", "::1"}[:1+b2int(hasIPv6())] {
				for _, gated := range []bool{true, false} {
					for _, share := range []bool{true, false} {
						port++
						at := netip.AddrPortFrom(netip.MustParseAddr(a), port)
						f, err := listenTCP(at, share, gated)
						must(t, err)
						takes(t, at, gated)
						f.Close()
					}
					for _, v6 := range []bool{false, true}[:1+b2int(hasIPv6())] {
						port++
						at := netip.AddrPortFrom(netip.MustParseAddr(a), port)
						if at.Addr().Is6() && !v6 {
							continue
						}
						f, err := openSpare(v6, gated)
						must(t, err)
						withFD(t, f, func(fd int) {
							var any unix.Sockaddr = &unix.SockaddrInet4{Port: int(port)}
							if v6 {
								any = &unix.SockaddrInet6{Port: int(port)}
							}
							must(t, unix.Bind(fd, any))
							must(t, unix.Listen(fd, 8))
						})
						takes(t, at, gated)
						f.Close()
					}
				}
			}
		})
	})
}

// takes fails the test unless the listener takes connections with the mark, and without
// it if no gate stands before it.
func takes(t *testing.T, at netip.AddrPort, gated bool) {
	t.Helper()
	fds := map[int]int{}
	hops := []int{64, Mark - 1, Mark + 1, Mark}
	for _, n := range hops {
		fds[n] = connecting(t, at, n)
		defer unix.Close(fds[n])
	}
	for _, n := range hops {
		if want := !gated || n == Mark; want && !ready(fds[n], unix.POLLOUT) {
			t.Errorf("%v, gated %v: an opening with %d hops is lost", at, gated, n)
		}
	}
	for _, n := range hops { // those that are taken are by now
		_, err := unix.Getpeername(fds[n])
		if want := !gated || n == Mark; (err == nil) != want {
			t.Errorf("%v, gated %v: with %d hops the connection is made: %v", at, gated, n, err == nil)
		}
	}
}

// connecting begins a connection whose packets may pass that many hops.
func connecting(t *testing.T, to netip.AddrPort, hops int) int {
	t.Helper()
	family, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_TTL
	var at unix.Sockaddr = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	if to.Addr().Is6() {
		family, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
	} else {
		at = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	must(t, err)
	must(t, unix.SetsockoptInt(fd, level, option, hops))
	if err := unix.Connect(fd, at); err != nil && err != unix.EINPROGRESS {
		t.Errorf("%v: %v", to, err)
	}
	return fd
}
