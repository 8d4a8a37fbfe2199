package guard

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"mcpen/sandbox/internal/rpc"
)

// Bounds of what is kept of lists.
const (
	maxNames  = 20_000  // definitions of one kind
	maxChains = 16      // lists that are being read page by page
	maxPages  = 64      // answers that are kept to be recognised
	maxKept   = 4 << 20 // bytes of one that is kept
)

// list is what the guard knows of one kind of definitions.
type list struct {
	entries map[string]*entry // as last listed, by name
	twice   map[string]bool   // names with two definitions in the last whole list or the one being read
	chains  map[string]*chain // by the cursor of the page to come
	pages   map[string]*page  // the last answer, by the cursor that asked for it
}

// chain is what was read of one list so far, page by page.
type chain struct {
	hashes map[string]string
	twice  map[string]bool
}

// page is one answer and what was made of it.
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
}

// edit replaces n bytes at at by text.
type edit struct {
	at, n int
	text  []byte
}

// itemKeys are the members of results that hold lists.
var itemKeys = map[Kind]string{KindTool: "tools", KindPrompt: "prompts", KindResource: "resources", KindTemplate: "resourceTemplates"}

func (g *Guard) list(kind Kind) *list {
	l := g.lists[kind]
	if l == nil {
		l = &list{entries: map[string]*entry{}, twice: map[string]bool{}, chains: map[string]*chain{}, pages: map[string]*page{}}
		g.lists[kind] = l
	}
	return l
}

// listed decides about the answer to a request for a list, and returns what must
// be changed in it. A page that the server sends again costs a comparison.
func (g *Guard) listed(v *Verdict, r *request, kind Kind, result []byte) ([]edit, error) {
	l := g.list(kind)
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
		if name != "" {
			l.entries[name] = p.entries[i]
		}
	}
	if fresh || len(l.twice) > 0 {
		g.edit(l, p, result)
		g.report(v, r, kind, l, p)
		kept := sync.OnceValue(func() []byte { return bytes.Clone(result) })
		if fresh {
			v.Later = g.later(r, kind, p, kept)
		}
		if len(l.twice) > 0 {
			clear(l.pages)
		} else if len(result) <= maxKept && (len(l.pages) < maxPages || l.pages[r.cursor] != nil) {
			p.result = kept()
			l.pages[r.cursor] = p
		}
	}
	if !p.more {
		l.twice = c.twice
		g.gone(v, r, kind, c)
	}
	return p.edits, nil
}

// read takes a page apart and judges each definition.
func (g *Guard) read(kind Kind, result []byte) (*page, error) {
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
	for _, j := range g.judgeAll(kind, all) {
		if j.form != nil && len(g.seen) == 0 {
			g.seen = make(map[nameKey]sighting, len(all))
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
	if p.more {
		if len(l.chains) >= maxChains {
			clear(l.chains)
		}
		l.chains[p.next] = c
	}
	for i, name := range p.names {
		if name == "" {
			continue
		}
		if h, ok := c.hashes[name]; ok && h != p.entries[i].hash {
			c.twice[name], l.twice[name] = true, true
		}
		c.hashes[name] = p.entries[i].hash
	}
	if len(c.hashes) > maxNames || len(l.entries) > 2*maxNames {
		return nil, fmt.Errorf("it has more than %d entries", maxNames)
	}
	return c, nil
}

// edit works out what must be changed in a page.
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
