package guard

import (
	"runtime"
	"sync"
	"sync/atomic"

	"mcpen/sandbox/internal/rpc"
)

// atOnce is how many bytes of definitions are worth another goroutine.
const atOnce = 32 << 10

// judgeAll judges the definitions of a page, on as many processors as there are:
// the first list is what a client waits for longest.
func (g *Guard) judgeAll(kind Kind, all [][]byte) []judged {
	out := make([]judged, len(all))
	size := 0
	for _, raw := range all {
		size += len(raw)
	}
	// What was approved needs no scanner, and so not what other servers define.
	scanner := sync.OnceValue(func() *scanner {
		s := g.scan()
		if kind == KindTool {
			for _, raw := range all {
				name, _ := rpc.Text(rpc.Get(raw, "name"))
				s.knows(name)
			}
		}
		return s
	})
	var next, spent atomic.Int64
	work := func() {
		fork := sync.OnceValue(func() *scannerFork { return &scannerFork{scanner().fork(), &spent} })
		for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
			out[i] = g.judge(kind, all[i], func(raw []byte) []Finding { return fork().definition(kind, raw) })
		}
	}
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 1+size/atOnce) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
	return out
}

// scannerFork is the scanner of one goroutine, which stops when all of them
// together have spent what may be spent on a page.
type scannerFork struct {
	*scanner
	spent *atomic.Int64
}

func (f *scannerFork) definition(kind Kind, raw []byte) []Finding {
	if f.spent.Load() > pageEffort {
		return []Finding{tooMuch}
	}
	found := f.scanner.definition(kind, raw)
	f.spent.Add(f.scanner.spent)
	return found
}
