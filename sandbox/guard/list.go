package guard

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/internal/rpc"
)

// Bounds of the stored lists.
const (
	maxNames  = 20_000  // definitions of one kind
	maxChains = 16      // lists that are being read page by page
	maxPages  = 64      // stored answers, to recognise them
	maxKept   = 2 << 20 // bytes of all stored answers of one kind
)

// list has the definitions of one kind, as far as the guard knows them.
type list struct {
	entries map[string]*entry // as last listed, by name
	twice   map[string]bool   // names with two definitions in the last whole list or the one being read
	chains  map[string]*chain // by the cursor of the page to come
	pages   map[string]*page  // the last answer, by the cursor that asked for it
	kept    int               // bytes of pages
}

// chain is the part of one list that was read so far, page by page.
type chain struct {
	hashes map[string]string
	twice  map[string]bool
	bytes  int // of its stored part
}

// page is one answer and its assessment.
type page struct {
	result  []byte // a copy
	names   []string
	raw     []edit // where the definitions stand
	entries []*entry
	edits   []edit
	array   edit
	ttl     edit
	next    string
	more    bool
	size    int // its count of bytes while it is stored
}

// edit replaces n bytes at at by text.
type edit struct {
	at, n int
	text  []byte
}

// itemKeys are the members of results that hold lists.
var itemKeys = map[definition.Kind]string{definition.KindTool: "tools", definition.KindPrompt: "prompts", definition.KindResource: "resources", definition.KindTemplate: "resourceTemplates"}

func (g *Guard) list(kind definition.Kind) *list {
	l := g.lists[kind]
	if l == nil {
		l = &list{entries: map[string]*entry{}, twice: map[string]bool{}, chains: map[string]*chain{}, pages: map[string]*page{}}
		g.lists[kind] = l
	}
	return l
}

// listed decides about the answer to a request for a list, and returns the edits to
// make in it. A page that the server sends again costs a comparison.
func (g *Guard) listed(v *Ruling, r *request, kind definition.Kind, result []byte) ([]edit, error) {
	l := g.list(kind)
	if s := g.sight(kind); r.cursor == "" && s.begun {
		s.open = false
	}
	p := l.pages[r.cursor]
	fresh := p == nil || !bytes.Equal(p.result, result)
	if fresh {
		var err error
		if p, err = g.read(kind, result); err != nil {
			return nil, err
		}
	}
	if p.array.n == 0 {
		return nil, nil // no list: a result that asks for something first
	}
	c, err := l.follow(r.cursor, p)
	if err != nil {
		return nil, err
	}
	if len(l.entries) == 0 {
		l.entries = make(map[string]*entry, len(p.names))
	}
	for i, name := range p.names {
		if name != "" && !g.put(l, name, p.entries[i]) {
			return nil, errTooMuch
		}
	}
	if len(p.names) > 0 {
		g.begin(kind)
	}
	if fresh || len(l.twice) > 0 {
		g.edit(l, p, result)
		g.report(v, r, kind, l, p)
		kept := sync.OnceValue(func() []byte { return bytes.Clone(result) })
		if fresh {
			g.look(v, r, kind, p, result, kept)
		}
		if len(l.twice) > 0 {
			l.forget()
		} else {
			l.keep(r.cursor, p, len(result), kept)
		}
	}
	if !p.more {
		l.twice = c.twice
		g.gone(v, r, kind, c)
		if s := g.sight(kind); s.begun {
			s.open = false
		}
	}
	return p.edits, nil
}

// errTooMuch is why a list is refused.
var errTooMuch = errors.New("it has more, or longer names, than mcpen keeps")

// forget drops the stored answers.
func (l *list) forget() { l.pages, l.kept = map[string]*page{}, 0 }

// keep keeps an answer to recognise it later, if there is room.
func (l *list) keep(cursor string, p *page, size int, result func() []byte) {
	size += len(cursor) + perEntry*len(p.entries)
	for _, e := range p.edits {
		size += len(e.text)
	}
	if old := l.pages[cursor]; old != nil {
		l.kept -= old.size
		delete(l.pages, cursor)
	}
	if size > maxKept || len(cursor) > maxCursor {
		return
	}
	if l.kept+size > maxKept || len(l.pages) >= maxPages {
		l.forget()
	}
	p.result, p.size = result(), size
	l.pages[cursor] = p
	l.kept += size
}

// read takes a page apart and judges each definition.
func (g *Guard) read(kind definition.Kind, result []byte) (*page, error) {
	var f [3][]byte
	all, err := rpc.FieldsOf(result, []string{"nextCursor", "ttlMs", itemKeys[kind]}, f[:], maxNames)
	if err != nil {
		return nil, err
	}
	next, ttl, items := f[0], f[1], f[2]
	p := &page{}
	if p.next, p.more = rpc.Text(next); next != nil && !p.more && string(next) != "null" {
		return nil, errors.New("its nextCursor is not a string")
	}
	if len(p.next) > maxCursor {
		return nil, fmt.Errorf("its nextCursor has more than %d bytes", maxCursor)
	}
	if ttl != nil {
		p.ttl = edit{at: rpc.Offset(result, ttl), n: len(ttl), text: []byte("0")}
	}
	if items == nil {
		return p, nil
	}
	if all == nil {
		return nil, fmt.Errorf("its %s are not an array", itemKeys[kind])
	}
	if len(all) > maxNames {
		return nil, fmt.Errorf("it has more than %d entries", maxNames)
	}
	p.array = edit{at: rpc.Offset(result, items), n: len(items)}
	p.raw = make([]edit, len(all))
	for i, raw := range all {
		p.raw[i] = edit{at: rpc.Offset(result, raw), n: len(raw)}
	}
	p.names, p.entries = make([]string, 0, len(all)), make([]*entry, 0, len(all))
	for _, j := range g.assessPage(kind, all) {
		if j.form != nil && len(g.seen) == 0 {
			g.seen = make(map[seenKey]sighting, len(all))
		}
		p.names = append(p.names, j.name)
		p.entries = append(p.entries, j.entry)
		g.keep(kind, j)
	}
	return p, nil
}

// follow adds a page to the list that it continues, and notes names that have
// two definitions in it.
func (l *list) follow(cursor string, p *page) (*chain, error) {
	c := l.chains[cursor]
	if c == nil || cursor == "" {
		c = &chain{hashes: make(map[string]string, len(p.names)), twice: map[string]bool{}}
	}
	delete(l.chains, cursor)
	for i, name := range p.names {
		if name == "" {
			continue
		}
		h, ok := c.hashes[name]
		if ok && h != p.entries[i].hash {
			c.twice[name], l.twice[name] = true, true
		}
		if !ok {
			c.bytes += len(name) + perHash
		}
		c.hashes[name] = p.entries[i].hash
	}
	if len(c.hashes) > maxNames || len(l.entries) > 2*maxNames || c.bytes > maxChained {
		return nil, errTooMuch
	}
	if p.more {
		l.begin(p.next, c)
	}
	return c, nil
}

// begin waits for the next page of a list. Others that wait are forgotten where
// there is no room for all.
func (l *list) begin(next string, c *chain) {
	all := c.bytes
	for _, o := range l.chains {
		all += o.bytes
	}
	if len(l.chains) >= maxChains || all > maxChained {
		clear(l.chains)
	}
	l.chains[next] = c
}

// edit works out the edits of a page.
func (g *Guard) edit(l *list, p *page, result []byte) {
	p.edits = nil
	waits, hides := false, false
	hidden := make([]bool, len(p.entries))
	for i, e := range p.entries {
		waits = waits || g.waits(e)
		hidden[i] = l.twice[p.names[i]] || g.hides(e) != ""
		hides = hides || hidden[i]
	}
	if hides {
		kept := []byte{'['}
		for i, raw := range p.raw {
			if hidden[i] {
				continue
			}
			if len(kept) > 1 {
				kept = append(kept, ',')
			}
			kept = append(kept, result[raw.at:raw.at+raw.n]...)
		}
		p.edits = append(p.edits, edit{p.array.at, p.array.n, append(kept, ']')})
	}
	if waits && p.ttl.n > 0 {
		p.edits = append(p.edits, p.ttl)
	}
	sortEdits(p.edits)
}

// apply makes the edits, which are in order, in a part of a line.
func apply(line, part []byte, edits []edit) []byte {
	if len(edits) == 0 {
		return line
	}
	from := rpc.Offset(line, part)
	size := len(line)
	for _, e := range edits {
		size += len(e.text) - e.n
	}
	out := make([]byte, 0, size)
	done := 0
	for _, e := range edits {
		out = append(out, line[done:from+e.at]...)
		out = append(out, e.text...)
		done = from + e.at + e.n
	}
	return append(out, line[done:]...)
}
