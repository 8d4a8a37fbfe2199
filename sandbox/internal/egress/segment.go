package egress

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/listeners"
)

// segment is an opening packet of a TCP connection.
type segment struct {
	flow
	raw  []byte // from the IP header on
	head int    // length of the IP header
}

// flow identifies a connection by its ends.
type flow struct{ from, to netip.AddrPort }

// parseSYN parses a packet from the IP header on. ok is false if the packet does not
// open a connection.
func parseSYN(b []byte) (s segment, ok bool) {
	if len(b) == 0 {
		return segment{}, false
	}
	var src, dst netip.Addr
	switch b[0] >> 4 {
	case 4:
		head := int(b[0]&15) * 4
		if head < 20 || len(b) < head+20 || b[9] != unix.IPPROTO_TCP || binary.BigEndian.Uint16(b[6:])&0x3fff != 0 {
			return segment{}, false
		}
		s.head, src, dst = head, netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	case 6:
		if len(b) < 60 || b[6] != unix.IPPROTO_TCP {
			return segment{}, false
		}
		s.head, src, dst = 40, netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	default:
		return segment{}, false
	}
	tcp := b[s.head:]
	if tcp[13]&(flagSYN|flagACK) != flagSYN {
		return segment{}, false
	}
	s.raw = b
	s.flow = flow{netip.AddrPortFrom(src, binary.BigEndian.Uint16(tcp)), netip.AddrPortFrom(dst, binary.BigEndian.Uint16(tcp[2:]))}
	return s, true
}

// The flags of TCP (RFC 9293, section 3.1).
const (
	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
)

// again is the same packet with the mark and new checksums: between two devices of one
// kernel nobody else fills them in.
func (s segment) again() []byte {
	b := append([]byte(nil), s.raw...)
	if b[0]>>4 == 4 {
		b[8] = listeners.Mark
		sumIPv4(b[:s.head])
	} else {
		b[7] = listeners.Mark
	}
	s.sumTCP(b, s.from.Addr(), s.to.Addr())
	return b
}

// refusal is the packet that makes connect(2) fail with the errno. It is nil for an
// errno that no packet can express: the program then retransmits, as to a host that
// does not answer.
func (s segment) refusal(errno syscall.Errno) []byte {
	switch errno {
	case unix.ETIMEDOUT:
		return nil
	case unix.ENETUNREACH: // icmp(7); RFC 4443, section 3.1
		return s.unreachable(0)
	case unix.EHOSTUNREACH:
		if s.from.Addr().Is4() {
			return s.unreachable(1)
		}
		return s.unreachable(3)
	}
	return s.reset()
}

// reset is the packet that refuses the connection (RFC 9293, section 3.5.2).
func (s segment) reset() []byte {
	b := s.header(unix.IPPROTO_TCP, 20)
	tcp := b[len(b)-20:]
	seq := binary.BigEndian.Uint32(s.raw[s.head+4:])
	binary.BigEndian.PutUint16(tcp, s.to.Port())
	binary.BigEndian.PutUint16(tcp[2:], s.from.Port())
	binary.BigEndian.PutUint32(tcp[8:], seq+1)
	tcp[12], tcp[13] = 5<<4, flagRST|flagACK
	segment{head: len(b) - 20}.sumTCP(b, s.to.Addr(), s.from.Addr())
	return b
}

// unreachable is a router's message that the host cannot be reached.
func (s segment) unreachable(code byte) []byte {
	quoted := s.raw[:s.head+8]
	if s.from.Addr().Is4() {
		b := s.header(unix.IPPROTO_ICMP, 8+len(quoted))
		icmp := b[20:]
		icmp[0], icmp[1] = 3, code
		copy(icmp[8:], quoted)
		binary.BigEndian.PutUint16(icmp[2:], ^fold(sum(0, icmp)))
		return b
	}
	b := s.header(unix.IPPROTO_ICMPV6, 8+len(quoted))
	icmp := b[40:]
	icmp[0], icmp[1] = 1, code
	copy(icmp[8:], quoted)
	binary.BigEndian.PutUint16(icmp[2:], ^fold(sum(pseudo(s.to.Addr(), s.from.Addr(), unix.IPPROTO_ICMPV6, len(icmp)), icmp)))
	return b
}

// header is a packet back to the segment's sender, with room for n bytes.
func (s segment) header(protocol byte, n int) []byte {
	if s.from.Addr().Is4() {
		b := make([]byte, 20+n)
		b[0], b[8], b[9] = 4<<4|5, 64, protocol
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		copy(b[12:], s.to.Addr().AsSlice())
		copy(b[16:], s.from.Addr().AsSlice())
		sumIPv4(b[:20])
		return b
	}
	b := make([]byte, 40+n)
	b[0], b[6], b[7] = 6<<4, protocol, 64
	binary.BigEndian.PutUint16(b[4:], uint16(n))
	copy(b[8:], s.to.Addr().AsSlice())
	copy(b[24:], s.from.Addr().AsSlice())
	return b
}

// The functions below compute checksums (RFC 1071).

func sumIPv4(head []byte) {
	head[10], head[11] = 0, 0
	binary.BigEndian.PutUint16(head[10:], ^fold(sum(0, head)))
}

func (s segment) sumTCP(b []byte, from, to netip.Addr) {
	tcp := b[s.head:]
	tcp[16], tcp[17] = 0, 0
	binary.BigEndian.PutUint16(tcp[16:], ^fold(sum(pseudo(from, to, unix.IPPROTO_TCP, len(tcp)), tcp)))
}

func pseudo(from, to netip.Addr, protocol byte, n int) uint32 {
	return sum(sum(uint32(protocol)+uint32(n), from.AsSlice()), to.AsSlice())
}

func sum(acc uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		acc += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		acc += uint32(b[0]) << 8
	}
	return acc
}

func fold(acc uint32) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}
