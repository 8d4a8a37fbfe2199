package finding

import (
	"sync"
	"sync/atomic"

	"mcpen/sandbox/definition"
)

// Page scans the definitions of one page, which may mention one another.
type Page struct {
	kind    definition.Kind
	scanner func() *Scanner
	spent   atomic.Int64 // by all readers together
}

// Reader returns a scan function for one goroutine. It stops when the page's effort is
// used up.
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

// All scans definitions one after another.
func (p *Page) All(raws [][]byte) [][]Finding {
	findings := p.Reader()
	found := make([][]Finding, len(raws))
	for i, raw := range raws {
		found[i] = findings(raw)
	}
	return found
}

// NewPage makes a Page for a server with these tool names. It calls among when it first
// needs the scanner.
func NewPage(kind definition.Kind, own map[string]bool, among func() *Scanner) *Page {
	return &Page{kind: kind, scanner: sync.OnceValue(func() *Scanner {
		s := among().fork()
		s.own = own
		return s
	})}
}
