package notify

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Bounds on the record of one send.
const (
	maxMessages = 64      // of sendmmsg
	maxParts    = 16      // of one message
	maxData     = 4 << 10 // bytes of one message
)

// The sizes of struct mmsghdr, a struct msghdr with a length, and of struct iovec
// (sendmmsg(2), readv(2)) on the 64-bit machines that mcpen runs on.
const (
	sizeofMmsg  = unix.SizeofMsghdr + 8
	sizeofIovec = 16
)

// sent returns a sight for each message of a send that names its destination, and does
// not use TCP.
func sent(n notification, s Sight) (out []Sight) {
	tid := int(n.tid)
	add := func(address, length uint64, data func() []byte) {
		one := s
		var ok bool
		if one.Addr, ok = readAddr(tid, address, length); ok {
			one.Data = data()
			out = append(out, one)
		}
	}
	switch s.Name {
	case "sendto":
		add(n.args[4], uint64(uint32(n.args[5])), func() []byte { return readUpTo(tid, n.args[1], n.args[2]) })
	case "sendmsg":
		header(tid, n.args[1], add)
	case "sendmmsg":
		for i := range min(uint64(uint32(n.args[2])), maxMessages) {
			header(tid, n.args[1]+i*sizeofMmsg, add)
		}
	}
	if len(out) > 0 && streams(tid, int(int32(n.args[0]))) {
		return nil
	}
	return out
}

// header reads a struct msghdr and gives its address to add.
func header(tid int, at uint64, add func(address, length uint64, data func() []byte)) {
	var b [unix.SizeofMsghdr]byte
	if readMemory(tid, at, b[:]) != nil {
		return
	}
	word := func(i int) uint64 { return binary.NativeEndian.Uint64(b[i:]) }
	if word(0) == 0 {
		return // the socket is connected
	}
	add(word(0), uint64(binary.NativeEndian.Uint32(b[8:])), func() []byte { return gathered(tid, word(16), word(24)) })
}

// gathered reads the beginning of a message in parts.
func gathered(tid int, at, count uint64) (data []byte) {
	for i := range min(count, maxParts) {
		var part [sizeofIovec]byte
		if len(data) >= maxData || readMemory(tid, at+i*sizeofIovec, part[:]) != nil {
			break
		}
		data = append(data, readUpTo(tid, binary.NativeEndian.Uint64(part[:]), min(binary.NativeEndian.Uint64(part[8:]), uint64(maxData-len(data))))...)
	}
	return data
}

// readUpTo reads the beginning of a buffer, as far as it can be read.
func readUpTo(tid int, at, size uint64) []byte {
	data := make([]byte, min(size, maxData))
	if len(data) == 0 {
		return nil
	}
	n, err := peek(tid, at, data)
	if err != nil {
		return nil
	}
	return data[:n]
}
