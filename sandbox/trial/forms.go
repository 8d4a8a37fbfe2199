package trial

import (
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"io"
	"slices"
	"strings"
)

// search is one search: the bytes, and their decoded forms, the least encoded first.
type search struct {
	x      *Index
	found  map[int]string
	left   int
	pieces *pieces
	plain  bool // search no decoded forms
	queue  []form
}

// form is bytes that were decoded depth times.
type form struct {
	b     []byte
	how   string
	depth int
}

// asItIs is the form of undecoded bytes.
const asItIs = "as it is"

// in names a form that was found in another.
func (f form) in(name string) string {
	if f.how == asItIs {
		return name
	}
	return name + " in " + f.how
}

func (s *search) note(canary int, how string) {
	if _, known := s.found[canary]; !known {
		s.found[canary] = how
	}
}

// look searches bytes and their decoded forms.
func (s *search) look(b []byte) {
	if !varied(b) {
		return
	}
	s.queue = []form{{b, asItIs, 0}}
	for len(s.queue) > 0 {
		f := s.queue[0]
		s.queue = s.queue[1:]
		s.match(f)
		if f.depth < maxDepth && s.left > 0 && !s.plain {
			s.decode(f)
		}
	}
}

// then queues a decoded form of f. decode makes it from n bytes, if there is work left
// for them.
func (s *search) then(f form, name string, n int, decode func() []byte) {
	if n < gram || s.left < n {
		return
	}
	b := decode()
	s.left -= max(n, len(b))
	if len(b) >= gram {
		s.queue = append(s.queue, form{b, f.in(name), f.depth + 1})
	}
}

// match searches a form for canaries whose characters are all present, in the usual
// orders and disguises of one line of code.
func (s *search) match(f form) {
	note := func(how string) func(spot) {
		return func(at spot) { s.note(at.canary, how) }
	}
	lower := lowered(f.b)
	s.x.plain.each(lower, note(f.how))
	if s.pieces != nil {
		s.x.pieces.each(lower, s.pieces.add)
	}
	s.x.steps.each(steps(f.b), note(f.in("XOR")))
	if words := wordsOf(lower); len(words) < len(lower) {
		s.x.plain.each(words, note(f.in("with other characters between")))
	}
	s.x.plain.each(rotated(lower), note(f.in("ROT13")))
	slices.Reverse(lower)
	s.x.plain.each(lower, note(f.in("written backwards")))
}

// decode tries the encodings that a form may have.
func (s *search) decode(f form) {
	if f.depth == 0 {
		s.then(f, "written backwards", len(f.b), func() []byte {
			back := slices.Clone(f.b)
			slices.Reverse(back)
			return back
		})
	}
	s.escapes(f)
	s.numbers(f)
	s.inflate(f)
	joined := f.b
	if bytes.ContainsAny(f.b, "\r\n") && len(f.b) < chunk+overlap { // base64 in lines
		joined = bytes.ReplaceAll(bytes.ReplaceAll(f.b, []byte("\r"), nil), []byte("\n"), nil)
	}
	for _, run := range runs(joined, &inBase64, 16) {
		s.base64(f, run)
	}
	s.hex(f, "hex", f.b)
	for _, run := range runs(f.b, &inBase32, 20) {
		up := bytes.ToUpper(run)
		for off := range min(8, len(up)) {
			s.then(f, "base32", len(up), func() []byte {
				d := make([]byte, base32.StdEncoding.DecodedLen(len(up)))
				n, _ := base32.StdEncoding.WithPadding(base32.NoPadding).Decode(d, up[off:off+(len(up)-off)/8*8])
				return d[:n]
			})
		}
	}
	if f.depth < 2 {
		s.base85(f, &adobe85)
		s.base85(f, &rfc1924)
	}
}

// marks are the prefixes of a byte's two digits in escapes.
var marks = strings.NewReplacer("%", "", `\\x`, "", `\x`, "", `\\u00`, "", `\u00`, "", "&#x", "", ";", "", ", 0x", "", ",0x", "", " 0x", "", "0x", "")

// escapes undoes the escapes of URLs, of strings in programs and of JSON.
func (s *search) escapes(f form) {
	if bytes.IndexByte(f.b, '%') >= 0 {
		s.then(f, "url-encoded", len(f.b), func() []byte { return unescape(f.b) })
	}
	if bytes.IndexByte(f.b, '\\') >= 0 { // a JSON string inside another
		s.then(form{f.b, f.how, maxDepth - 1}, "a string", len(f.b), func() []byte {
			return bytes.ReplaceAll(bytes.ReplaceAll(f.b, []byte(`\n`), nil), []byte(`\`), nil)
		})
	}
	if bytes.Contains(f.b, []byte(`\u00`)) || bytes.Contains(f.b, []byte(`\x`)) || bytes.Contains(f.b, []byte("0x")) || bytes.Contains(f.b, []byte("&#x")) {
		s.hex(f, "hex", []byte(marks.Replace(string(f.b))))
	}
}

// hex decodes the runs of hex digits.
func (s *search) hex(f form, name string, b []byte) {
	for _, run := range runs(b, &inHex, 2*gram) {
		plain := bytes.ReplaceAll(bytes.ReplaceAll(run, []byte(" "), nil), []byte(":"), nil)
		for off := range min(2, len(plain)) {
			s.then(f, name, len(plain), func() []byte {
				d := make([]byte, hex.DecodedLen(len(plain)-off))
				n, _ := hex.Decode(d, plain[off:off+(len(plain)-off)/2*2])
				return d[:n]
			})
		}
	}
}

// farApart is the largest distance, in characters, between two numbers of one list.
const farApart = 4

// numbers decodes lists of byte values, as of a Buffer in JSON.
func (s *search) numbers(f form) {
	var list []byte
	end := func() {
		got := list
		list = nil
		s.then(f, "numbers", len(got), func() []byte { return got })
	}
	gap := 0
	for i := 0; i < len(f.b); {
		c := f.b[i]
		if c < '0' || c > '9' {
			if gap++; gap > farApart || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
				end()
			}
			i++
			continue
		}
		v, n := 0, 0
		for i < len(f.b) && f.b[i] >= '0' && f.b[i] <= '9' {
			v, n, i = min(256, v*10+int(f.b[i]-'0')), n+1, i+1
		}
		if v > 255 || n > 3 {
			end()
		} else {
			list = append(list, byte(v))
		}
		gap = 0
	}
	end()
}

// alphabet is a set of bytes.
type alphabet [256]bool

func alphabetOf(text string) (a alphabet) {
	for i := range len(text) {
		a[text[i]] = true
	}
	return a
}

// The alphabets of encodings.
var (
	inBase64 = alphabetOf(letters + "+/-_")
	inHex    = alphabetOf("0123456789abcdefABCDEF :")
	inBase32 = alphabetOf("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
)

// maxRuns bounds the runs of one alphabet in a piece.
const maxRuns = 4096

// runs returns the parts of b that consist of one alphabet and have at least the given
// length.
func runs(b []byte, in *alphabet, least int) (out [][]byte) {
	from := 0
	for at := 0; at <= len(b) && len(out) < maxRuns; at++ {
		if at < len(b) && in[b[at]] {
			continue
		}
		if at-from >= least && varied(b[from:at]) {
			out = append(out, b[from:at])
		}
		from = at + 1
	}
	return out
}

// varied reports whether there are as many different characters as in any encoding of
// random bytes.
func varied(b []byte) bool {
	var seen [256]bool
	n := 0
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			if n++; n == 6 {
				return true
			}
		}
	}
	return false
}

// base64 decodes a run of base64 from each possible start of a group of four.
func (s *search) base64(f form, run []byte) {
	std := bytes.ReplaceAll(bytes.ReplaceAll(run, []byte("-"), []byte("+")), []byte("_"), []byte("/"))
	for off := range min(4, len(std)) {
		s.then(f, "base64", len(std), func() []byte {
			d := make([]byte, base64.StdEncoding.DecodedLen(len(std))+3)
			n, _ := base64.RawStdEncoding.Decode(d, std[off:off+rawLen(len(std)-off)])
			return d[:n]
		})
	}
}

// rawLen is the longest valid length, up to n, of base64 without padding.
func rawLen(n int) int {
	if n%4 == 1 {
		return n - 1
	}
	return n
}

// digits85 are the digits of an encoding of four bytes in five characters: their values
// plus one, and 0 for other characters.
type digits85 [256]byte

func digits85Of(text string) (d digits85) {
	for i := range len(text) {
		d[text[i]] = byte(i + 1)
	}
	return d
}

var (
	adobe85 = digits85Of("!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstu")
	rfc1924 = digits85Of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~")
)

// decode decodes whole groups of five.
func (d *digits85) decode(run []byte) []byte {
	out := make([]byte, 0, len(run)/5*4)
	for ; len(run) >= 5; run = run[5:] {
		var v uint32
		for _, c := range run[:5] {
			v = v*85 + uint32(d[c]-1)
		}
		out = append(out, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return out
}

// base85 decodes the runs of one of its alphabets from each possible start of a group
// of five.
func (s *search) base85(f form, digits *digits85) {
	var in alphabet
	for c, v := range digits {
		in[c] = v > 0
	}
	for _, run := range runs(f.b, &in, 5*gram/4+5) {
		for off := range 5 {
			s.then(f, "base85", len(run), func() []byte { return digits.decode(run[off:]) })
		}
	}
}

// inflate decompresses data that begins anywhere in the bytes; data without a magic
// number, only at the very beginning.
func (s *search) inflate(f form) {
	for _, c := range []struct {
		name, magic string
		open        func(io.Reader) (io.Reader, error)
	}{
		{"gzip", "\x1f\x8b\x08", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		{"bzip2", "BZh", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
		{"zlib", "\x78", func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }},
	} {
		for at, tries := 0, 0; tries < 16; tries++ {
			i := bytes.Index(f.b[at:], []byte(c.magic))
			if i < 0 {
				break
			}
			at += i
			if r, err := c.open(bytes.NewReader(f.b[at:])); err == nil {
				s.then(f, c.name, gram, func() []byte { return plainOf(r) })
			}
			at += len(c.magic)
		}
	}
	s.then(f, "deflate", gram, func() []byte { return plainOf(flate.NewReader(bytes.NewReader(f.b))) })
}

// plainOf decompresses as much as possible.
func plainOf(r io.Reader) []byte {
	plain, _ := io.ReadAll(io.LimitReader(r, maxPlain)) // its end may be missing
	return plain
}

// unescape decodes percent-encoding and keeps the rest.
func unescape(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			var d [1]byte
			if _, err := hex.Decode(d[:], b[i+1:i+3]); err == nil {
				out = append(out, d[0])
				i += 2
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}
