package egress

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/dns"
)

// serveUDP answers datagrams until c is closed.
func (r *resolver) serveUDP(c *net.UDPConn) {
	defer r.e.forget(c)
	defer c.Close()
	if at, ok := c.LocalAddr().(*net.UDPAddr); ok && at.AddrPort().Addr().Is4() {
		r.mu.Lock()
		r.v6 = false
		r.mu.Unlock()
	}
	b, oob := make([]byte, 4096), make([]byte, 256)
	for {
		n, on, _, from, err := c.ReadMsgUDPAddrPort(b, oob)
		if err != nil {
			if r.e.ctx.Err() != nil || isClosed(err) {
				return
			}
			r.e.trouble("read a question", err)
			if !r.e.pause(10 * time.Millisecond) {
				return
			}
			continue
		}
		q, err := dns.ParseQuery(b[:n])
		if err != nil {
			continue
		}
		src := answerFrom(oob[:on])
		send := func(v verdict) {
			if out := r.reply(q, v, false); out != nil {
				_, _, _ = c.WriteMsgUDPAddrPort(out, src, from) // a program repeats lost questions
			}
		}
		v := r.judge(q)
		if v.ask.name == "" {
			send(v)
			continue
		}
		select {
		case r.asked <- struct{}{}:
			r.e.goes(func() {
				defer func() { <-r.asked }()
				send(v)
			})
		default:
			r.e.limited("questions", "too many questions wait for the host's resolver; more are dropped")
		}
	}
}

// answerFrom builds the control message that sends an answer from the address that was
// asked: clients drop answers from others (ip(7), ipv6(7)).
func answerFrom(oob []byte) []byte {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range msgs {
		switch {
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16:
			info := unix.Inet6Pktinfo{}
			copy(info.Addr[:], m.Data)
			return unix.PktInfo6(&info)
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 12:
			info := unix.Inet4Pktinfo{}
			copy(info.Spec_dst[:], m.Data[8:12])
			return unix.PktInfo4(&info)
		}
	}
	return nil
}

// Bounds on a TCP connection with questions.
const (
	queryIdle  = 10 * time.Second // RFC 7766, section 6.2.3 leaves it to the server
	maxQueries = 256
)

// serveTCP answers the questions of one connection, one after another.
func (r *resolver) serveTCP(in stream) {
	if destination(in).Addr().IsLoopback() {
		abort(in)
		return
	}
	b := make([]byte, 2+dns.MaxTCP)
	for range maxQueries {
		if in.SetDeadline(time.Now().Add(queryIdle+lookupTime)) != nil {
			return
		}
		if _, err := io.ReadFull(in, b[:2]); err != nil {
			return
		}
		q := b[2 : 2+int(binary.BigEndian.Uint16(b))]
		if _, err := io.ReadFull(in, q); err != nil {
			return
		}
		out := r.answer(q, true)
		if out == nil {
			return
		}
		msg := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(out)), uint16(len(out)))
		if _, err := in.Write(append(msg, out...)); err != nil {
			return
		}
	}
}

// destination is the address that the program meant. It is the connection's local
// address: the namespace of the listener owns every address.
func destination(in net.Conn) netip.AddrPort {
	a, ok := in.LocalAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
