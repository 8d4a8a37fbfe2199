package egress

import (
	"fmt"
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A gate holds connections back until the launcher has made theirs outside. The
// listeners behind it drop the packets that open connections, as if they were
// lost, and the gate's packet socket sees them (packet(7)). The launcher, which has
// it, connects outside, and then either sends the packet once more, with the mark
// that the listeners let pass, or answers in the host's place that nobody is there.
// So connect(2) inside ends as it would outside.
//
// Packet sockets take CAP_NET_RAW to open. A machine that gives none has no gate:
// there connect(2) succeeds before anything is decided.

// packetSocket opens a socket that sees nothing yet.
func packetSocket() (fd int, ok bool) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	return fd, err == nil
}

// bindPackets ties a socket to a device. If it sees, it gets the packets that come
// in there and open connections, but for those with the mark; it can send anyway.
func bindPackets(fd, index int, sees bool) error {
	at := &unix.SockaddrLinklayer{Ifindex: index}
	if sees {
		if err := attach(fd, openings); err != nil {
			return err
		}
		at.Protocol = bigEndian(unix.ETH_P_ALL)
	}
	if err := unix.Bind(fd, at); err != nil {
		return fmt.Errorf("cannot watch for connections: %v", os.NewSyscallError("bind", err))
	}
	return nil
}

func bigEndian(n uint16) uint16 { return n<<8 | n>>8 } // amd64 and arm64 are little-endian

// attach gives a socket a filter of the old kind (bpf(4), SO_ATTACH_FILTER).
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

// openings are the packets that a gate sees, from the header of IP on.
var openings = []bpf.Instruction{
	bpf.LoadExtension{Num: bpf.ExtType},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 22},
	bpf.LoadAbsolute{Off: 0, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 6, SkipTrue: 11},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 4, SkipTrue: 18},
	// IPv4: TCP, no fragment, without the mark.
	bpf.LoadAbsolute{Off: 9, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_TCP, SkipTrue: 16},
	bpf.LoadAbsolute{Off: 6, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x3fff, SkipTrue: 14},
	bpf.LoadAbsolute{Off: 8, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: mark, SkipTrue: 12},
	bpf.LoadMemShift{Off: 0},
	bpf.LoadIndirect{Off: 13, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: flagSYN | flagACK},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: flagSYN, SkipTrue: 7, SkipFalse: 8},
	// IPv6: the same.
	bpf.LoadAbsolute{Off: 6, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_TCP, SkipTrue: 6},
	bpf.LoadAbsolute{Off: 7, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: mark, SkipTrue: 4},
	bpf.LoadAbsolute{Off: 40 + 13, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: flagSYN | flagACK},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: flagSYN, SkipFalse: 1},
	bpf.RetConstant{Val: maxOpening},
	bpf.RetConstant{Val: 0},
}

// maxOpening is the longest packet that opens a connection, in bytes: both headers
// at their longest.
const maxOpening = 120

// network is where a filter on a TCP socket finds the header of IP (SKF_NET_OFF).
const networkOffset = 0xfff00000

// closed is what a listener behind a gate lets pass, from the header of TCP on:
// everything but openings without the mark. What it accepts has the same filter.
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
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: mark, SkipTrue: 1},
	bpf.RetConstant{Val: 0xffffffff},
	bpf.RetConstant{Val: 0},
}
