package trial

import "encoding/binary"

// table finds its rows of characters in bytes. All rows have one length, from six to
// sixteen.
type table struct {
	size   int
	rows   map[string]spot
	shared map[string]bool // rows of several canaries
	sieve  []uint64        // a bit for each bucket with a row: most bytes are in none
}

// spot is the position of a row in a canary.
type spot struct{ canary, at int }

func newTable(size int) *table {
	return &table{size: size, rows: map[string]spot{}, shared: map[string]bool{}, sieve: make([]uint64, 1<<20/64)}
}

// add adds the rows of a canary's text.
func (t *table) add(canary int, text []byte) {
	for at := 0; at+t.size <= len(text); at++ {
		row := string(text[at : at+t.size])
		if have, ok := t.rows[row]; ok && have.canary != canary {
			t.shared[row] = true
		}
		t.rows[row] = spot{canary, at}
	}
}

// seal removes the rows that canaries share. Nothing may be added afterwards.
func (t *table) seal() {
	for row := range t.shared {
		delete(t.rows, row)
	}
	t.shared = nil
	for row := range t.rows {
		b := t.bucket(padded([]byte(row)), 0)
		t.sieve[b>>6] |= 1 << (b & 63)
	}
}

// each calls found for every row in padded bytes.
func (t *table) each(b []byte, found func(spot)) {
	for at := 0; at+t.size <= len(b); at++ {
		if k := t.bucket(b, at); t.sieve[k>>6]&(1<<(k&63)) == 0 {
			continue
		}
		if where, ok := t.rows[string(b[at:at+t.size])]; ok {
			found(where)
		}
	}
}

// bucket is the sieve's bucket for the beginning of a row.
func (t *table) bucket(b []byte, at int) uint64 {
	v := binary.LittleEndian.Uint64(b[at : at+8 : cap(b)])
	if t.size < 8 {
		v &= 1<<(8*t.size) - 1
	}
	return v * 0x9e3779b97f4a7c15 >> 44
}

// padded returns bytes with a capacity of eight more.
func padded(b []byte) []byte { return append(make([]byte, 0, len(b)+8), b...) }

// lowered returns bytes, padded, with ASCII capitals in lower case. It changes nothing
// else, since the bytes need not be text.
func lowered(b []byte) []byte {
	out := padded(b)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}

// steps returns the XOR of neighbouring bytes, padded.
func steps(b []byte) []byte {
	out := padded(b)
	for i := range len(out) - 1 {
		out[i] ^= out[i+1]
	}
	return out[:max(0, len(out)-1)]
}

// wordsOf returns the letters and digits of bytes, padded.
func wordsOf(b []byte) []byte {
	out := make([]byte, 0, len(b)+8)
	for _, c := range b {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			out = append(out, c)
		}
	}
	return out
}

// rotated returns lower-case bytes with their letters rotated by half of the alphabet,
// padded.
func rotated(b []byte) []byte {
	out := padded(b)
	for i, c := range out {
		if c >= 'a' && c <= 'z' {
			out[i] = 'a' + (c-'a'+13)%26
		}
	}
	return out
}
