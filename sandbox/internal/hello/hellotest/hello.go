// Package hellotest makes ClientHellos of TLS for tests.
package hellotest

import "encoding/binary"

// Ext is one extension of a ClientHello.
type Ext struct {
	Kind uint16
	Body []byte
}

// SNI is the server_name extension with these names.
func SNI(names ...string) Ext {
	var list []byte
	for _, n := range names {
		list = append(list, 0)
		list = binary.BigEndian.AppendUint16(list, uint16(len(n)))
		list = append(list, n...)
	}
	return Ext{0, append(binary.BigEndian.AppendUint16(nil, uint16(len(list))), list...)}
}

// Build makes a ClientHello in records of at most size bytes.
func Build(size int, exts ...Ext) []byte {
	var e []byte
	for _, x := range exts {
		e = binary.BigEndian.AppendUint16(e, x.Kind)
		e = binary.BigEndian.AppendUint16(e, uint16(len(x.Body)))
		e = append(e, x.Body...)
	}
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0, 2, 0x13, 0x01, 1, 0)
	body = binary.BigEndian.AppendUint16(body, uint16(len(e)))
	body = append(body, e...)
	msg := append([]byte{1, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
	var out []byte
	for len(msg) > 0 {
		n := min(size, len(msg))
		out = append(out, 22, 3, 1)
		out = binary.BigEndian.AppendUint16(out, uint16(n))
		out = append(out, msg[:n]...)
		msg = msg[n:]
	}
	return out
}
