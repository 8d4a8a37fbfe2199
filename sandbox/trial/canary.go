package trial

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Canary is a secret that was made for one run and stands in one place of the desk
// alone. Wherever it is seen again, it came from there.
type Canary struct {
	Kind string // "GitHub token", for a person
	File string // or variable, where it stands
	// Given is set for what the program was given to work with: that it sends it
	// somewhere is told, and no theft.
	Given bool
	text  string
}

// Hit is a canary that was found in bytes.
type Hit struct {
	Canary Canary
	How    string // in which form: "as it is", "base64", "base64 in gzip", …
}

// gram is how many characters of a canary in a row give it away. They are random,
// so that twelve of them are nowhere else by chance.
const gram = 12

// Bounds of a search.
const (
	chunk    = 1 << 20   // bytes that are looked at together
	overlap  = 8 << 10   // of them that are looked at again with the next
	maxDepth = 3         // encodings in one another
	maxPlain = 4 << 20   // bytes that one piece may grow to
	minWork  = 256 << 10 // bytes that one search looks at, decoded ones included: so many,
	perByte  = 13        // and so many for each that it is given
)

// Index finds canaries in bytes. It may be used from many goroutines once it is
// complete.
type Index struct {
	all   []Canary
	grams map[string]int // lower case
	sieve []uint64       // a bit for each bucket that a gram is in: most bytes are in none
}

// NewIndex makes an index. What several canaries have in common finds none.
func NewIndex(all []Canary) *Index {
	x := &Index{all: all, grams: map[string]int{}, sieve: make([]uint64, 1<<20/64)}
	shared := map[string]bool{}
	for i, c := range all {
		text := string(lowered([]byte(c.text)))
		for at := 0; at+gram <= len(text); at++ {
			g := text[at : at+gram]
			if j, ok := x.grams[g]; ok && j != i {
				shared[g] = true
			}
			x.grams[g] = i
		}
	}
	for g := range shared {
		delete(x.grams, g)
	}
	for g := range x.grams {
		b := bucket([]byte(g))
		x.sieve[b>>6] |= 1 << (b & 63)
	}
	return x
}

// Find gives the canaries in bytes, each once.
func (x *Index) Find(b []byte) []Hit {
	s := search{x: x, found: map[int]string{}, left: minWork + perByte*len(b)}
	s.look(b, "as it is", 0)
	return s.hits()
}

// FindName gives the canaries in the labels of a name, over which they may be
// spread.
func (x *Index) FindName(name string) []Hit {
	s := search{x: x, found: map[int]string{}, left: minWork}
	s.look([]byte(name), "as it is", 0)
	s.look([]byte(strings.ReplaceAll(name, ".", "")), "spread over labels", 0)
	return s.hits()
}

// search is one search.
type search struct {
	x     *Index
	found map[int]string
	left  int
}

func (s *search) hits() (out []Hit) {
	for i, c := range s.x.all { // in the order in which they were made
		if how, ok := s.found[i]; ok {
			out = append(out, Hit{c, how})
		}
	}
	return out
}

// look looks at bytes, and at what they are when they are decoded.
func (s *search) look(b []byte, how string, depth int) {
	if s.left -= len(b); s.left < 0 || len(b) < gram {
		return
	}
	lower := lowered(b)
	s.match(lower, how)
	if depth == 0 {
		back := slices.Clone(lower)
		slices.Reverse(back)
		s.match(back, "written backwards")
	}
	if depth < maxDepth {
		s.deeper(b, how, depth+1)
	}
}

// match notes the canaries in bytes.
func (s *search) match(lower []byte, how string) {
	for at := 0; at+gram <= len(lower); at++ {
		if b := bucket(lower[at:]); s.x.sieve[b>>6]&(1<<(b&63)) == 0 {
			continue
		}
		if i, ok := s.x.grams[string(lower[at:at+gram])]; ok {
			if _, known := s.found[i]; !known {
				s.found[i] = how
			}
		}
	}
}

// bucket is where in the sieve the beginning of a gram is.
func bucket(b []byte) uint64 { return binary.LittleEndian.Uint64(b) * 0x9e3779b97f4a7c15 >> 44 }

// lowered is bytes with the capitals of ASCII made small: all else stays what it
// is, since it need not be text.
func lowered(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		out[i] = c
	}
	return out
}

func (s *search) deeper(b []byte, how string, depth int) {
	in := func(form string) string {
		if how == "as it is" {
			return form
		}
		return form + " in " + how
	}
	s.inflate(b, in, depth)
	if bytes.IndexByte(b, '%') >= 0 {
		if plain, err := url.PathUnescape(string(b)); err == nil && plain != string(b) {
			s.look([]byte(plain), in("url-encoded"), depth)
		} else if plain := unescape(b); plain != nil {
			s.look(plain, in("url-encoded"), depth)
		}
	}
	if bytes.Contains(b, []byte{'\\'}) { // a string of JSON in another
		s.look(bytes.ReplaceAll(bytes.ReplaceAll(b, []byte(`\n`), nil), []byte(`\`), nil), how, maxDepth)
	}
	joined := b
	if bytes.ContainsAny(b, "\r\n") && len(b) < chunk+overlap { // base64 in lines
		joined = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r"), nil), []byte("\n"), nil)
	}
	for _, run := range runs(joined, &inBase64, 16) {
		s.base64(run, in("base64"), depth)
	}
	for _, run := range runs(b, &inHex, 24) {
		plain := bytes.ReplaceAll(bytes.ReplaceAll(run, []byte(" "), nil), []byte(":"), nil)
		for off := range 2 {
			d := make([]byte, hex.DecodedLen(len(plain)-off))
			if n, _ := hex.Decode(d, plain[off:off+(len(plain)-off)/2*2]); n >= gram/2 {
				s.look(d[:n], in("hex"), depth)
			}
		}
	}
	for _, run := range runs(b, &inBase32, 20) {
		up := bytes.ToUpper(run)
		for off := range min(8, len(up)) {
			d := make([]byte, base32.StdEncoding.DecodedLen(len(up)))
			n, _ := base32.StdEncoding.WithPadding(base32.NoPadding).Decode(d, up[off:off+(len(up)-off)/8*8])
			s.look(d[:n], in("base32"), maxDepth)
		}
	}
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

// runs are the parts of bytes that are of an alphabet alone, if they are so long.
func runs(b []byte, in *alphabet, least int) (out [][]byte) {
	from := 0
	for at := 0; at <= len(b) && len(out) < maxRuns; at++ {
		if at < len(b) && in[b[at]] {
			continue
		}
		if at-from >= least {
			out = append(out, b[from:at])
		}
		from = at + 1
	}
	return out
}

// base64 looks at a run of base64, wherever in it a group of four begins.
func (s *search) base64(run []byte, how string, depth int) {
	std := bytes.ReplaceAll(bytes.ReplaceAll(run, []byte("-"), []byte("+")), []byte("_"), []byte("/"))
	for off := range min(4, len(std)) {
		part := std[off:]
		part = part[:len(part)/4*4]
		d := make([]byte, base64.StdEncoding.DecodedLen(len(part))+3)
		n, _ := base64.RawStdEncoding.Decode(d, std[off:off+rawLen(len(std)-off)])
		s.look(d[:n], how, depth)
	}
}

// rawLen is the longest length up to n that base64 without padding may have.
func rawLen(n int) int {
	if n%4 == 1 {
		return n - 1
	}
	return n
}

// inflate looks at what was compressed, wherever in the bytes that begins.
func (s *search) inflate(b []byte, in func(string) string, depth int) {
	for at, tries := 0, 0; tries < 16; tries++ {
		i := bytes.Index(b[at:], []byte{0x1f, 0x8b, 8})
		if i < 0 {
			break
		}
		at += i
		if r, err := gzip.NewReader(bytes.NewReader(b[at:])); err == nil {
			plain, _ := io.ReadAll(io.LimitReader(r, maxPlain)) // what there is of it
			s.look(plain, in("gzip"), depth)
		}
		at += 3
	}
	if len(b) > 2 && b[0] == 0x78 {
		if r, err := zlib.NewReader(bytes.NewReader(b)); err == nil {
			plain, _ := io.ReadAll(io.LimitReader(r, maxPlain))
			s.look(plain, in("zlib"), depth)
		}
	}
}

// unescape decodes what is percent-encoded and leaves the rest.
func unescape(b []byte) []byte {
	var out []byte
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

// watcher looks at a stream as it comes. It keeps no more than a chunk.
type watcher struct {
	x     *Index
	found func(Hit)

	mu   sync.Mutex
	held []byte
	old  int // bytes of held that were looked at before
	told map[string]bool
}

func (x *Index) watch(found func(Hit)) *watcher {
	return &watcher{x: x, found: found, told: map[string]bool{}}
}

func (w *watcher) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := b; len(rest) > 0; {
		n := min(len(rest), chunk-len(w.held))
		w.held = append(w.held, rest[:n]...)
		rest = rest[n:]
		if len(w.held) == chunk {
			w.look()
		}
	}
	return len(b), nil
}

// Close looks at what is left.
func (w *watcher) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look()
	return nil
}

func (w *watcher) look() {
	if len(w.held) == w.old {
		return
	}
	for _, h := range w.x.Find(w.held) {
		if key := h.Canary.Kind + h.Canary.File; !w.told[key] {
			w.told[key] = true
			w.found(h)
		}
	}
	keep := min(overlap, len(w.held))
	w.held = append(w.held[:0], w.held[len(w.held)-keep:]...)
	w.old = keep
}
