// Package flight holds the requests of one side that wait for an answer.
//
// A conversation has two Requests, the client's and the server's, and no other
// component counts them. The guard owns them: it adds a request that it passes on, and
// takes it when it sees the answer or when the request is cancelled. The relay takes
// those that it answers itself, without showing the guard a line.
package flight

import (
	"bytes"
	"container/list"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/rpc"
)

// Bounds on one side's requests. Package rpc bounds their ids.
const (
	Max      = 4096
	maxArgs  = 64 << 10 // bytes of the arguments of one request
	maxAll   = 6 << 20  // bytes of all requests together, without ids
	maxShown = 256      // bytes of a name in Newest
)

// Subscription is the method of a request that stays open as long as the client wishes.
// It is no work in progress, and no answer to it is due.
const Subscription = "subscriptions/listen"

// The errors of Add.
var (
	errInUse = errors.New("a request with this id is being answered")
	ErrFull  = errors.New("too many requests are being answered")
)

// Request is one request in flight. It does not change after Add.
type Request struct {
	ID     []byte // as its sender wrote it
	Method string
	Name   string // of the tool or prompt; the URI of a resource
	Args   []byte // if events carry them
	More   int    // further stored bytes that the sender chose

	// Ended is called once, when the request is no longer in flight, from the goroutine
	// that took it. It may be nil.
	Ended func()

	size int
}

func (r *Request) request() *Request { return r }

// Audit returns the request in the form of an event.
func (r *Request) Audit() *audit.Request {
	return &audit.Request{ID: json.RawMessage(r.ID), Method: r.Method, Name: r.Name, Args: json.RawMessage(r.Args)}
}

// Entry is a *Request, or a pointer to a type that embeds one.
type Entry interface {
	comparable
	request() *Request
}

// Requests are the requests of one side, by id. The zero value is empty and ready. Any
// goroutine may call its methods.
type Requests[E Entry] struct {
	mu            sync.Mutex
	byID          map[string]*list.Element
	order         list.List // of E, oldest first
	subscriptions int
	bytes         int
}

// Add adds a request and copies its slices. It replaces arguments that are too long, or
// for which there is no room, by their length. The error is errInUse or ErrFull; then
// nothing is added and Ended is not called.
func (q *Requests[E]) Add(e E) error {
	r := e.request()
	r.ID = bytes.Clone(r.ID)
	key := rpc.IDKey(r.ID)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.byID[key] != nil {
		return errInUse
	}
	size := func() int { return len(r.Method) + len(r.Name) + len(r.Args) + r.More }
	if len(r.Args) > maxArgs || q.bytes+size() > maxAll {
		r.Args = fmt.Appendf(nil, `"%d bytes, not kept"`, len(r.Args))
	}
	if len(q.byID) >= Max || q.bytes+size() > maxAll {
		return ErrFull
	}
	r.Args, r.size = bytes.Clone(r.Args), size()
	if q.byID == nil {
		q.byID = map[string]*list.Element{}
	}
	q.byID[key] = q.order.PushBack(e)
	q.bytes += r.size
	if r.Method == Subscription {
		q.subscriptions++
	}
	return nil
}

// Take takes the request with an id, or else the one with the same id in the other type
// ("2" for 2). It returns the zero E if none waits.
func (q *Requests[E]) Take(id []byte) (e E) {
	q.mu.Lock()
	el := q.find(id)
	if el != nil {
		e = q.remove(el)
	}
	q.mu.Unlock()
	if el != nil {
		ended(e)
	}
	return e
}

// Drop is Take for a caller that needs only the id, as the sender wrote it; nil if no
// request waits.
func (q *Requests[E]) Drop(id []byte) []byte {
	var none E
	if e := q.Take(id); e != none {
		return e.request().ID
	}
	return nil
}

// DropAll takes every request and returns the ids, oldest first.
func (q *Requests[E]) DropAll() (ids [][]byte) {
	q.mu.Lock()
	var all []E
	for el := q.order.Front(); el != nil; el = q.order.Front() {
		all = append(all, q.remove(el))
	}
	q.mu.Unlock()
	for _, e := range all {
		ids = append(ids, e.request().ID)
		ended(e)
	}
	return ids
}

// ended calls Ended. The caller must not hold q.mu.
func ended[E Entry](e E) {
	if f := e.request().Ended; f != nil {
		f()
	}
}

// find returns the element of an id. The caller must hold q.mu.
func (q *Requests[E]) find(id []byte) *list.Element {
	if len(id) == 0 || len(q.byID) == 0 {
		return nil
	}
	if el := q.byID[rpc.IDKey(id)]; el != nil {
		return el
	}
	return q.byID[string(rpc.OtherID(id))]
}

// remove removes an element. The caller must hold q.mu.
func (q *Requests[E]) remove(el *list.Element) E {
	e := q.order.Remove(el).(E)
	r := e.request()
	delete(q.byID, rpc.IDKey(r.ID))
	q.bytes -= r.size
	if r.Method == Subscription {
		q.subscriptions--
	}
	return e
}

// Find returns the request that Take would take. It stays in flight.
func (q *Requests[E]) Find(id []byte) (e E) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if el := q.find(id); el != nil {
		e = el.Value.(E)
	}
	return e
}

// Own returns the id of the request that Take would take, as its sender wrote it; nil
// if none waits.
func (q *Requests[E]) Own(id []byte) []byte {
	var none E
	if e := q.Find(id); e != none {
		return e.request().ID
	}
	return nil
}

// Only returns the id of the single request in flight, subscriptions included, or nil.
func (q *Requests[E]) Only() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.order.Len() != 1 {
		return nil
	}
	return q.order.Front().Value.(E).request().ID
}

// Waiting reports whether an answer is due.
func (q *Requests[E]) Waiting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.order.Len() > q.subscriptions
}

// Oldest returns the request that has waited longest for an answer, or the zero E.
func (q *Requests[E]) Oldest() (e E) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for el := q.order.Front(); el != nil; el = el.Next() {
		if e := el.Value.(E); e.request().Method != Subscription {
			return e
		}
	}
	return e
}

// Last returns the request that was added last, and the number of others that wait for
// an answer; the zero E if none does.
func (q *Requests[E]) Last() (e E, others int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for el := q.order.Back(); el != nil; el = el.Prev() {
		if e := el.Value.(E); e.request().Method != Subscription {
			return e, q.order.Len() - q.subscriptions - 1
		}
	}
	return e, 0
}

// Newest returns Last in the form of an event, with a long name cut; nil if none waits.
func (q *Requests[E]) Newest() *audit.Request {
	var none E
	e, others := q.Last()
	if e == none {
		return nil
	}
	a := e.request().Audit()
	if len(a.Name) > maxShown {
		a.Name = strings.Clone(a.Name[:maxShown])
	}
	a.Others = others
	return a
}

// Subscriptions returns the open subscriptions, oldest first.
func (q *Requests[E]) Subscriptions() (all []E) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for el := q.order.Front(); el != nil; el = el.Next() {
		if e := el.Value.(E); e.request().Method == Subscription {
			all = append(all, e)
		}
	}
	return all
}
