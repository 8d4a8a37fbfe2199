package relay

import (
	"bytes"
	"container/list"
	"fmt"
	"strings"
	"sync"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/rpc"
)

// Bounds of what is remembered of requests in flight, in requests and in bytes.
// Ids are bounded by package rpc.
const (
	maxFlight  = 4096
	maxName    = 256
	maxMethod  = 128
	maxArgs    = 64 << 10 // of one request
	maxAllArgs = 4 << 20  // of all together
)

// flight holds the client's requests that were not answered yet, oldest first.
// When there are more than maxFlight, the oldest is forgotten: a client that
// has given up thousands of requests without cancelling them does not wait.
type flight struct {
	mu    sync.Mutex
	byID  map[string]*list.Element
	order list.List
	args  int // bytes of all arguments
}

type pending struct {
	key string
	req audit.Request
}

// add notes a request that goes to the server. Arguments are kept when args is
// true. The same id again replaces the first.
func (f *flight) add(m rpc.Message, args bool) {
	req := audit.Request{ID: bytes.Clone(m.ID), Method: cut(m.Method, maxMethod)}
	var arguments []byte
	req.Name, arguments = subject(m, args)
	key := rpc.IDKey(m.ID)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byID == nil {
		f.byID = map[string]*list.Element{}
	}
	f.remove(key)
	if f.order.Len() >= maxFlight {
		f.remove(f.order.Front().Value.(*pending).key)
	}
	if len(arguments) > maxArgs || f.args+len(arguments) > maxAllArgs {
		arguments = fmt.Appendf(nil, `"%d bytes, not kept"`, len(arguments))
	}
	req.Args = bytes.Clone(arguments)
	f.args += len(arguments)
	f.byID[key] = f.order.PushBack(&pending{key, req})
}

// cut is the beginning of a text, in its own memory where the text is longer.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.Clone(text[:most])
}

// subject is the name of what a request is about, and its arguments, which are a
// part of the line.
func subject(m rpc.Message, args bool) (name string, arguments []byte) {
	var key string
	switch m.Method {
	case "tools/call", "prompts/get":
		key = "name"
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		key = "uri"
	default:
		return "", nil
	}
	name, _ = rpc.Text(rpc.Get(m.Params, key))
	if args && key == "name" {
		arguments = rpc.Get(m.Params, "arguments")
	}
	return cut(name, maxName), arguments
}

// done forgets a request and reports whether it was in flight.
func (f *flight) done(id []byte) bool { return f.take(id) != nil }

// take forgets the request with an id, or else with the same id as the other type,
// and returns the id that the client gave it; nil where there is none.
func (f *flight) take(id []byte) (own []byte) {
	if len(id) == 0 {
		return nil
	}
	key := rpc.IDKey(id)
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.byID[key]
	if !ok {
		if e, ok = f.byID[string(rpc.OtherID(id))]; !ok {
			return nil
		}
	}
	own = e.Value.(*pending).req.ID
	f.remove(e.Value.(*pending).key)
	return own
}

func (f *flight) remove(key string) bool {
	e, ok := f.byID[key]
	if ok {
		f.args -= len(e.Value.(*pending).req.Args)
		f.order.Remove(e)
		delete(f.byID, key)
	}
	return ok
}

// newest is the request that was added last, with the number of the others, or
// nil when nothing is in flight.
func (f *flight) newest() *audit.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.order.Back()
	if e == nil {
		return nil
	}
	req := e.Value.(*pending).req
	req.Others = f.order.Len() - 1
	return &req
}

// asked reports whether the client waits for an answer. A subscription has none
// until it ends.
func (f *flight) asked() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for e := f.order.Front(); e != nil; e = e.Next() {
		if e.Value.(*pending).req.Method != "subscriptions/listen" {
			return true
		}
	}
	return false
}

// only is the id of the single request in flight, or nil.
func (f *flight) only() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.order.Len() != 1 {
		return nil
	}
	return f.order.Front().Value.(*pending).req.ID
}

// takeAll forgets every request and returns their ids, oldest first.
func (f *flight) takeAll() [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids [][]byte
	for e := f.order.Front(); e != nil; e = e.Next() {
		ids = append(ids, e.Value.(*pending).req.ID)
	}
	f.order.Init()
	f.args = 0
	clear(f.byID)
	return ids
}
