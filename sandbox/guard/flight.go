package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/rpc"
)

// Bounds of what is kept of the requests of one direction that wait for an answer.
// Ids are bounded by package rpc.
const (
	maxFlight    = 4096
	maxMethod    = 128      // bytes of a method
	maxLevel     = 32       // of a log level
	maxParam     = 64 << 10 // of the name, the URI or the cursor of a request
	maxArgs      = 64 << 10 // of a call's arguments, where events carry them
	maxFlightAll = 6 << 20  // of all together, ids apart
)

// request is one request that waits for its answer.
type request struct {
	id      []byte
	method  string
	name    string // of the tool or prompt; the URI of a resource
	args    []byte // where events carry them
	cursor  string // of a list
	modern  bool
	offers  offers   // of a modern client
	level   string   // from which on a modern client wants to be sent messages; "" for none
	informs bool     // the client takes messages about it
	listen  listen   // of subscriptions/listen
	rules   []*usage // whose concurrency it counts in

	seq uint64
}

// flight holds requests by id. It has a lock of its own, held for moments only.
type flight struct {
	mu    sync.Mutex
	byID  map[string]*request
	seq   uint64
	bytes int
}

// add notes a request, whose slices it copies. It reports false where the id is
// in use or too many wait.
func (f *flight) add(r *request) (ok bool, why string) {
	r.id = bytes.Clone(r.id)
	key := rpc.IDKey(r.id)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byID[key] != nil {
		return false, "a request with this id is being answered"
	}
	if len(r.args) > maxArgs || f.bytes+r.size() > maxFlightAll {
		r.args = fmt.Appendf(nil, `"%d bytes, not kept"`, len(r.args))
	}
	if len(f.byID) >= maxFlight || f.bytes+r.size() > maxFlightAll {
		return false, tooMany
	}
	r.args = bytes.Clone(r.args)
	f.bytes += r.size()
	if f.byID == nil {
		f.byID = map[string]*request{}
	}
	f.seq++
	r.seq = f.seq
	f.byID[key] = r
	return true, ""
}

// size is what a request takes that its sender chooses.
func (r *request) size() int {
	return len(r.method) + len(r.name) + len(r.args) + len(r.cursor) + len(r.level)
}

const tooMany = "too many requests are being answered"

// oldest is the id of the request that has waited longest, subscriptions apart.
func (f *flight) oldest() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	var first *request
	for _, r := range f.byID {
		if r.method != methodListen && (first == nil || r.seq < first.seq) {
			first = r
		}
	}
	if first == nil {
		return nil
	}
	return first.id
}

// take removes the request with an id and returns it, or nil.
func (f *flight) take(id []byte) *request {
	if id == nil {
		return nil
	}
	f.mu.Lock()
	key := f.key(id)
	r := f.byID[key]
	if r != nil {
		f.bytes -= r.size()
	}
	delete(f.byID, key)
	f.mu.Unlock()
	if r != nil {
		for _, u := range r.rules {
			u.done()
		}
	}
	return r
}

// key is that of the request with an id, or else with the same id as the other
// type; f.mu is held.
func (f *flight) key(id []byte) string {
	key := rpc.IDKey(id)
	if f.byID[key] != nil {
		return key
	}
	if other := rpc.OtherID(id); other != nil && f.byID[string(other)] != nil {
		return string(other)
	}
	return key
}

// is reports whether a request with an id and a method waits.
func (f *flight) is(id []byte, method string) bool {
	if id == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.byID[f.key(id)]
	return r != nil && r.method == method
}

func (f *flight) newest() *audit.Request {
	last, others := f.last()
	if last == nil {
		return nil
	}
	a := last.audit()
	a.Others = others
	return a
}

// last is the newest request, or nil, and how many others there are. The request
// is only to be read.
func (f *flight) last() (last *request, others int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	others = -1
	for _, r := range f.byID {
		if r.method == methodListen {
			continue // open for as long as the client is, and nobody's work
		}
		if others++; last == nil || r.seq > last.seq {
			last = r
		}
	}
	return last, others
}

// listens are the subscriptions that are open, oldest first.
func (f *flight) listens() []*request {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*request
	for _, r := range f.byID {
		if r.method == methodListen {
			all = append(all, r)
		}
	}
	return all
}

func (r *request) audit() *audit.Request {
	return &audit.Request{ID: json.RawMessage(r.id), Method: r.method, Name: r.name, Args: json.RawMessage(r.args)}
}
