package trial

import (
	"slices"
	"strings"
	"sync"
)

// Canary is a secret made for one run, which exists in exactly one place of the desk.
// Wherever it appears again, it came from there.
type Canary struct {
	Kind string // "GitHub token", for a person
	File string // or variable, that contains it
	// Given is set for a secret that the program got for its work: sending it somewhere
	// is reported, but is not theft.
	Given bool
	text  string
}

// Hit is a canary found in bytes.
type Hit struct {
	Canary Canary
	How    string // its form: "as it is", "base64", "base64 in gzip", …
}

// Lengths of the character rows to search for. They are random: a long row occurs
// nowhere else by chance. Short rows count only if they cover all but a third of the
// canary.
const (
	gram  = 12
	piece = 6
	// leastInPieces is the length of the shortest canary that can be found in pieces.
	leastInPieces = 18
)

// Bounds on a search.
const (
	chunk    = 1 << 20   // bytes searched together
	overlap  = 8 << 10   // of these, bytes searched again with the next chunk
	maxDepth = 3         // nested encodings
	maxPlain = 4 << 20   // largest decoded size of one piece, in bytes
	minWork  = 256 << 10 // bytes that one search covers, decoded ones included: this many,
	perByte  = 20        // and this many for each given byte
)

// Index finds canaries in bytes. Once it is complete, many goroutines may use it.
type Index struct {
	all    []Canary
	plain  *table // lower case
	steps  *table // the XOR of neighbours, which is the same whatever byte all of them are XORed with
	pieces *table // lower case
}

// newIndex makes an index. Rows that several canaries share find none of them.
func newIndex(all []Canary) *Index {
	x := &Index{all: all, plain: newTable(gram), steps: newTable(gram - 1), pieces: newTable(piece)}
	for i, c := range all {
		text := lowered([]byte(c.text))
		x.plain.add(i, text)
		x.plain.add(i, wordsOf(text))
		x.steps.add(i, steps([]byte(c.text)))
		if len(c.text) >= leastInPieces && len(wordsOf(text)) == len(text) {
			x.pieces.add(i, text)
		}
	}
	x.plain.seal()
	x.steps.seal()
	x.pieces.seal()
	return x
}

// Find returns the canaries in bytes, each once.
func (x *Index) Find(b []byte) []Hit { return x.search(b, nil, false) }

// searchName returns the canaries in the labels of a name, across which they may be
// spread. p is that of search.
func (x *Index) searchName(name string, p *pieces) []Hit {
	found := x.search([]byte(name), p, false)
	for _, h := range x.search([]byte(strings.ReplaceAll(name, ".", "")), p, false) {
		if !slices.ContainsFunc(found, func(have Hit) bool { return have.Canary == h.Canary }) {
			if h.How == asItIs {
				h.How = "spread over labels"
			}
			found = append(found, h)
		}
	}
	return found
}

// search searches bytes. p holds the earlier pieces and receives new ones; nil: pieces
// are not searched for. If plain is set, search decodes nothing.
func (x *Index) search(b []byte, p *pieces, plain bool) []Hit {
	s := search{x: x, found: map[int]string{}, left: minWork + perByte*len(b), pieces: p, plain: plain}
	s.look(b)
	for _, i := range p.whole(x) {
		s.note(i, "in pieces")
	}
	var out []Hit
	for i, c := range x.all { // in the order of their creation
		if how, ok := s.found[i]; ok {
			out = append(out, Hit{c, how})
		}
	}
	return out
}

// pieces records the parts of canaries that went one way, over many messages. Many
// goroutines may call its methods; on nil they do nothing.
type pieces struct {
	mu   sync.Mutex
	seen map[int][]bool // by canary: the characters seen
}

func (p *pieces) add(at spot) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[int][]bool{}
	}
	seen := p.seen[at.canary]
	for len(seen) < at.at+piece {
		seen = append(seen, false)
	}
	for i := range piece {
		seen[at.at+i] = true
	}
	p.seen[at.canary] = seen
}

// whole returns the canaries of which at most a third is missing.
func (p *pieces) whole(x *Index) (out []int) {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, seen := range p.seen {
		n := 0
		for _, ok := range seen {
			if ok {
				n++
			}
		}
		if 3*n >= 2*len(x.all[i].text) {
			out = append(out, i)
		}
	}
	return out
}

// watcher searches a stream as it arrives. It keeps at most a chunk.
type watcher struct {
	x      *Index
	found  func(Hit)
	pieces *pieces

	mu   sync.Mutex
	held []byte
	old  int // bytes of held that were searched before
	told map[string]bool
	// most is the number of bytes after which nothing is decoded any more; 0: no limit.
	most, looked int64
}

// watch searches one of the streams that share their pieces.
func (x *Index) watch(p *pieces, found func(Hit)) *watcher {
	return &watcher{x: x, pieces: p, found: found, told: map[string]bool{}}
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

// Close searches the rest.
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
	w.looked += int64(len(w.held) - w.old)
	for _, h := range w.x.search(w.held, w.pieces, w.most > 0 && w.looked > w.most) {
		if key := h.Canary.Kind + h.Canary.File; !w.told[key] {
			w.told[key] = true
			w.found(h)
		}
	}
	keep := min(overlap, len(w.held))
	w.held = append(w.held[:0], w.held[len(w.held)-keep:]...)
	w.old = keep
}
