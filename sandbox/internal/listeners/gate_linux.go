package listeners

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/descriptor"
)

// A gate holds connections back until the launcher has made theirs outside. The
// listeners behind it drop opening packets, as if they were lost, and the gate's raw
// socket receives them (raw(7)). The launcher holds that socket and connects outside.
// Then it either sends the packet once more, with the mark that the listeners accept,
// or answers in the host's place that nobody is there. So connect(2) inside ends as it
// would outside.
//
// A gate is of one family. Opening a raw socket needs CAP_NET_RAW. A machine without it
// has no gate: there connect(2) succeeds before anything is decided. (Packet sockets
// receive the same packets, but closing one waits for all processors.)

// openGates opens the sockets that receive the opening packets of this namespace.
// Without the capability it returns none.
func openGates(v6 bool) ([]Handle, error) {
	return openRaw(KindGate, unix.IPPROTO_TCP, v6, func(fd int, six bool) error {
		if !six {
			return attach(fd, openings)
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1); err != nil {
			return os.NewSyscallError("setsockopt(IPV6_RECVPKTINFO)", err)
		}
		return attach(fd, openings6)
	})
}

// openLocalGates is openGates for the loopback's own addresses.
func openLocalGates(v6 bool) ([]Handle, error) {
	hs, err := openGates(v6)
	for i, at := range []unix.Sockaddr{&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}}[:len(hs)] {
		if err == nil {
			err = descriptor.Of(hs[i].File, func(fd int) error { return os.NewSyscallError("bind", unix.Bind(fd, at)) })
		}
	}
	if err != nil {
		Close(hs)
		return nil, fmt.Errorf("cannot watch the loopback: %v", err)
	}
	return hs, nil
}

// openBacks opens the sockets that send opening packets once more from this namespace.
func openBacks(v6 bool) ([]Handle, error) {
	return openRaw(KindBack, unix.IPPROTO_RAW, v6, func(int, bool) error { return nil })
}

// openRaw opens a raw socket of each family, which sends packets unchanged.
func openRaw(kind Kind, protocol int, v6 bool, ready func(fd int, six bool) error) (hs []Handle, err error) {
	for _, six := range []bool{false, true}[:1+b2int(v6)] {
		family, level, included := unix.AF_INET, unix.IPPROTO_IP, unix.IP_HDRINCL
		if six {
			family, level, included = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_HDRINCL
		}
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
		if err != nil {
			Close(hs)
			return nil, nil
		}
		hs = append(hs, Handle{Kind: kind, File: os.NewFile(uintptr(fd), string(kind))})
		if err := unix.SetsockoptInt(fd, level, included, 1); err != nil {
			Close(hs)
			return nil, os.NewSyscallError("setsockopt(HDRINCL)", err)
		}
		if err := ready(fd, six); err != nil {
			Close(hs)
			return nil, err
		}
	}
	return hs, nil
}

// attach attaches a classic BPF filter to a socket (SO_ATTACH_FILTER, socket(7)).
func attach(fd int, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("internal error: cannot assemble a filter: %v", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return os.NewSyscallError("setsockopt(SO_ATTACH_FILTER)", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, prog))
}

// Mark is the TTL, or hop limit, of a packet that the launcher resends. A server that
// sets the same value on a socket of its own bypasses the gate, and gets a connection
// that is decided after it was made.
const Mark = 251

// The flags of TCP that a filter looks at (RFC 9293, section 3.1).
const (
	flagSYN = 0x02
	flagACK = 0x10
)

// MaxOpening is the longest opening packet, in bytes: both headers at their longest.
const MaxOpening = 120

// networkOffset is the offset at which a filter finds the IP header, wherever the
// socket's data begin (SKF_NET_OFF).
const networkOffset = 0xfff00000

// openings are the packets that a gate receives: opening packets without the mark. In
// IPv4 a raw socket receives the IP header, in IPv6 only the TCP header.
var (
	openings = []bpf.Instruction{
		bpf.LoadAbsolute{Off: 8, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: Mark, SkipTrue: 5},
		bpf.LoadMemShift{Off: 0},
		bpf.LoadIndirect{Off: 13, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: flagSYN | flagACK},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: flagSYN, SkipTrue: 1},
		bpf.RetConstant{Val: MaxOpening},
		bpf.RetConstant{},
	}
	openings6 = []bpf.Instruction{
		bpf.LoadAbsolute{Off: networkOffset + 7, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: Mark, SkipTrue: 4},
		bpf.LoadAbsolute{Off: 13, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: flagSYN | flagACK},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: flagSYN, SkipTrue: 1},
		bpf.RetConstant{Val: MaxOpening},
		bpf.RetConstant{},
	}
)

// closed are the packets that a listener behind a gate accepts, from the TCP header on:
// everything but openings without the mark. Accepted sockets have the same filter.
var closed = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 13, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: flagSYN | flagACK},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: flagSYN, SkipTrue: 7},
	bpf.LoadAbsolute{Off: networkOffset, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 4, SkipTrue: 2},
	bpf.LoadAbsolute{Off: networkOffset + 7, Size: 1},
	bpf.Jump{Skip: 1},
	bpf.LoadAbsolute{Off: networkOffset + 8, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: Mark, SkipTrue: 1},
	bpf.RetConstant{Val: 0xffffffff},
	bpf.RetConstant{},
}

func b2int(b bool) int {
	if b {
		return 1
	}
	return 0
}
