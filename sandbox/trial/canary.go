package trial

import (
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

// Characters of a canary in a row. They are random: the longer rows are nowhere else by
// chance, and of the shorter ones it takes so many that all but a third of it is there.
const (
	gram  = 12
	piece = 6
	// leastInPieces is how long a canary is that is found in pieces.
	leastInPieces = 18
)

// Bounds of a search.
const (
	chunk    = 1 << 20   // bytes that are looked at together
	overlap  = 8 << 10   // of them that are looked at again with the next
	maxDepth = 3         // encodings in one another
	maxPlain = 4 << 20   // bytes that one piece may grow to
	minWork  = 256 << 10 // bytes that one search looks at, decoded ones included: so many,
	perByte  = 20        // and so many for each that it is given
)

// Index finds canaries in bytes. It may be used from many goroutines once it is
// complete.
type Index struct {
	all    []Canary
	plain  *table // lower case
	steps  *table // what two neighbours differ in: the same whatever byte all are XORed with
	pieces *table // lower case
}

// NewIndex makes an index. What several canaries have in common finds none.
func NewIndex(all []Canary) *Index {
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

// Find gives the canaries in bytes, each once.
func (x *Index) Find(b []byte) []Hit { return x.search(b, nil, false) }

// FindName gives the canaries in the labels of a name, over which they may be
// spread.
func (x *Index) FindName(name string) []Hit { return x.searchName(name, nil) }

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

// search looks through bytes. What is known of pieces that came before is in p, and
// goes there; nil: pieces are not looked for. With plain only what takes no decoding is
// found.
func (x *Index) search(b []byte, p *pieces, plain bool) []Hit {
	s := search{x: x, found: map[int]string{}, left: minWork + perByte*len(b), pieces: p, plain: plain}
	s.look(b)
	for _, i := range p.whole(x) {
		s.note(i, "in pieces")
	}
	var out []Hit
	for i, c := range x.all { // in the order in which they were made
		if how, ok := s.found[i]; ok {
			out = append(out, Hit{c, how})
		}
	}
	return out
}

// pieces are parts of canaries that went one way, over many messages. Its methods may
// be called from many goroutines; those of nil do nothing.
type pieces struct {
	mu   sync.Mutex
	seen map[int][]bool // by canary: which characters of it
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

// whole are the canaries of which no more than a third is missing.
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

// watcher looks at a stream as it comes. It keeps no more than a chunk.
type watcher struct {
	x      *Index
	found  func(Hit)
	pieces *pieces

	mu   sync.Mutex
	held []byte
	old  int // bytes of held that were looked at before
	told map[string]bool
	// most is after how many bytes only what takes no decoding is found; 0: always all.
	most, looked int64
}

// watch looks at one stream of those whose pieces are looked at together.
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
