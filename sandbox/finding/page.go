package finding

import (
	"sync"
	"sync/atomic"

	"mcpen/sandbox/definition"
)

// Page looks for findings in the definitions of one page, which may speak of
// one another.
type Page struct {
	kind    definition.Kind
	scanner func() *Scanner
	spent   atomic.Int64 // by all readers together
}

// Reader is for one goroutine. It stops when what may be spent on a page is.
func (p *Page) Reader() func(raw []byte) []Finding {
	fork := sync.OnceValue(func() *Scanner { return p.scanner().fork() })
	return func(raw []byte) []Finding {
		if p.spent.Load() > pageEffort {
			return []Finding{tooMuch}
		}
		s := fork()
		found := s.definition(p.kind, raw)
		p.spent.Add(s.spent)
		return found
	}
}

// All reads definitions one after another.
func (p *Page) All(raws [][]byte) [][]Finding {
	findings := p.Reader()
	found := make([][]Finding, len(raws))
	for i, raw := range raws {
		found[i] = findings(raw)
	}
	return found
}

// NewPage is for a page of a server with these names. The scanner is asked for when
// it is needed first.
func NewPage(kind definition.Kind, own map[string]bool, among func() *Scanner) *Page {
	return &Page{kind: kind, scanner: sync.OnceValue(func() *Scanner {
		s := among().fork()
		s.own = own
		return s
	})}
}
