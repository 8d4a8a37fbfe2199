package intercept

import (
	"bufio"
	"crypto/sha1" // RFC 6455 demands it; no security depends on it
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
)

// isWebSocket reports whether an HTTP/1.1 request asks to switch to a WebSocket.
func isWebSocket(r *http.Request) bool {
	return r.ProtoMajor == 1 && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && r.Header.Get("Sec-WebSocket-Key") != ""
}

// webSocket accepts a WebSocket, reads the program's data and answers nothing (RFC
// 6455). It agrees to no extension, so nothing is compressed.
func (n *Internet) webSocket(w http.ResponseWriter, r *http.Request, c Contact) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // the connection is gone
	}
	defer conn.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	if p, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ","); p != "" {
		answer += "Sec-WebSocket-Protocol: " + strings.TrimSpace(p) + "\r\n"
	}
	if _, err := io.WriteString(conn, answer+"\r\n"); err != nil {
		return
	}
	out := n.to.Outgoing(where(c))
	defer out.Close()
	readFrames(rw.Reader, out)
}

// readFrames copies the content of a client's frames, until one asks for the end or the
// bound is reached.
func readFrames(r *bufio.Reader, to io.Writer) {
	for total := int64(0); total < maxDrain; {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		size := int64(head[1] & 0x7f)
		switch size {
		case 126:
			var long [2]byte
			if _, err := io.ReadFull(r, long[:]); err != nil {
				return
			}
			size = int64(binary.BigEndian.Uint16(long[:]))
		case 127:
			var long [8]byte
			if _, err := io.ReadFull(r, long[:]); err != nil {
				return
			}
			if size = int64(binary.BigEndian.Uint64(long[:])); size < 0 {
				return
			}
		}
		var mask [4]byte
		if head[1]&0x80 != 0 {
			if _, err := io.ReadFull(r, mask[:]); err != nil {
				return
			}
		}
		total += size
		if _, err := io.Copy(to, &unmasked{r: io.LimitReader(r, min(size, maxDrain)), mask: mask}); err != nil || head[0]&0x0f == 8 {
			return
		}
	}
}

// unmasked undoes the mask of one frame.
type unmasked struct {
	r    io.Reader
	mask [4]byte
	at   int
}

func (u *unmasked) Read(b []byte) (int, error) {
	n, err := u.r.Read(b)
	for i := range b[:n] {
		b[i] ^= u.mask[(u.at+i)%4]
	}
	u.at = (u.at + n) % 4
	return n, err
}
