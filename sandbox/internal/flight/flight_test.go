package flight

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func add(q *Requests[*Request], id, method, args string) error {
	r := &Request{ID: []byte(id), Method: method}
	if args != "" {
		r.Args = []byte(args)
	}
	return q.Add(r)
}

// A request is found by either type of its id, and a subscription is no work in
// progress: a client with an open one is not waited for at its end.
func TestWhatIsInFlight(t *testing.T) {
	q := &Requests[*Request]{}
	if q.Only() != nil || q.Waiting() || q.Newest() != nil || q.Oldest() != nil || q.Take(nil) != nil || q.Drop([]byte("1")) != nil || q.Own(nil) != nil || q.DropAll() != nil {
		t.Error("something is in flight of nothing")
	}
	add(q, "1", Subscription, "")
	if q.Waiting() || string(q.Only()) != "1" || q.Newest() != nil || q.Oldest() != nil || len(q.Subscriptions()) != 1 {
		t.Errorf("a subscription is waited for: %v; the only one is %s", q.Waiting(), q.Only())
	}
	add(q, `"2"`, "ping", "")
	if !q.Waiting() || q.Only() != nil {
		t.Errorf("waiting %v, only %s", q.Waiting(), q.Only())
	}
	if own, got := q.Own([]byte("2")), q.Drop([]byte("2")); string(got) != `"2"` || string(own) != `"2"` {
		t.Errorf("the request %q is known by its number as %s and %s", "2", own, got)
	}
	add(q, `3`, "ping", "")
	if got := q.Drop([]byte(`"3"`)); string(got) != "3" {
		t.Errorf("the request 3 is known by its text as %s", got)
	}
	add(q, `3`, "ping", "")
	add(q, `"3"`, "ping", "")
	if got := q.Drop([]byte(`3`)); string(got) != "3" {
		t.Errorf("of two the one of the same type: %s", got)
	}
	// An id in use is refused: it would be unclear whose answer the next one is.
	if err := add(q, `"3"`, "other", ""); err != errInUse || q.Newest().Method != "ping" {
		t.Errorf("the same again: %v; %+v", err, q.Newest())
	}
	if err := add(q, `"\u0033"`, "other", ""); err != errInUse {
		t.Errorf("the same, written otherwise: %v", err)
	}
	add(q, "4", "other", "")
	if r := q.Newest(); r.Method != "other" || r.Others != 1 || string(q.Oldest().ID) != `"3"` {
		t.Errorf("the newest is %+v, the oldest %s", r, q.Oldest().ID)
	}
	if ids := q.DropAll(); fmt.Sprintf("%s", ids) != `[1 "3" 4]` || q.Waiting() || len(q.Subscriptions()) != 0 || q.Drop([]byte("1")) != nil || q.bytes != 0 || len(q.byID) != 0 {
		t.Errorf("%s", ids)
	}
}

// A client cannot make mcpen store without bound, in requests or in bytes, whatever it
// sends.
func TestRequestsAreBounded(t *testing.T) {
	q := &Requests[*Request]{}
	for i := range Max {
		if err := add(q, fmt.Sprint(i), "ping", ""); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := add(q, `"one more"`, "ping", ""); err != ErrFull || len(q.byID) != Max || q.order.Len() != Max || string(q.Oldest().ID) != "0" {
		t.Errorf("one more: %v, %d and %d are remembered", err, len(q.byID), q.order.Len())
	}
	q.Drop([]byte("0"))
	if err := add(q, `"one more"`, "ping", ""); err != nil {
		t.Errorf("where one ended: %v", err)
	}
	for _, long := range []func(*Request){
		func(r *Request) { r.Name = strings.Repeat("n", 64<<10) },
		func(r *Request) { r.Args = bytes.Repeat([]byte("a"), 64<<10) },
		func(r *Request) { r.More = 64 << 10 },
	} {
		q := &Requests[*Request]{}
		full := 0
		for i := range Max {
			r := &Request{ID: fmt.Append(nil, i), Method: "m"}
			if long(r); q.Add(r) == ErrFull {
				full++
			}
		}
		kept := 0
		for el := q.order.Front(); el != nil; el = el.Next() {
			r := el.Value.(*Request)
			kept += len(r.Method) + len(r.Name) + len(r.Args) + r.More
		}
		if kept > maxAll || kept != q.bytes || kept < maxAll/2 {
			t.Errorf("%d bytes are kept of %d requests, and %d counted; %d were refused", kept, q.order.Len(), q.bytes, full)
		}
		q.DropAll()
		if add(q, "1", "tools/call", `{"a":1}`); string(q.Newest().Args) != `{"a":1}` {
			t.Errorf("the arguments of an ordinary call are %s", q.Newest().Args)
		}
	}
}

// The arguments of each request, and of all, are bounded, and a finished request makes
// room.
func TestArgumentsAreBounded(t *testing.T) {
	args := func(n int) string { return strings.Repeat("x", n) }
	for n, kept := range map[int]bool{maxArgs: true, maxArgs + 1: false} {
		q := &Requests[*Request]{}
		add(q, "1", "", args(n))
		if r := q.Newest(); (len(r.Args) == n) != kept || !kept && string(r.Args) != fmt.Sprintf(`"%d bytes, not kept"`, n) || q.bytes != len(r.Args) {
			t.Errorf("%d bytes of arguments: %.40s", n, r.Args)
		}
	}
	q := &Requests[*Request]{}
	room := 50
	for i := range maxAll / maxArgs {
		n := maxArgs
		if i == 0 {
			n -= room
		}
		add(q, fmt.Sprint(i), "", args(n))
	}
	if q.bytes != maxAll-room || len(q.Newest().Args) != maxArgs {
		t.Errorf("%d bytes of all arguments", q.bytes)
	}
	if add(q, `"one more"`, "", args(100)); string(q.Newest().Args) != `"100 bytes, not kept"` {
		t.Errorf("one more: %s", q.Newest().Args)
	}
	q.Drop([]byte("0"))
	if add(q, `"and again"`, "", args(100)); len(q.Newest().Args) != 100 {
		t.Errorf("where there is room again: %s", q.Newest().Args)
	}
}

// A stored request keeps no line alive, and a long name is not repeated in every event.
func TestRequestsAreCopied(t *testing.T) {
	q := &Requests[*Request]{}
	line := []byte(`7{"a":1}`)
	q.Add(&Request{ID: line[:1], Args: line[1:], Name: strings.Repeat("n", maxShown+1)})
	clear(line)
	if r := q.Newest(); string(r.ID) != "7" || string(r.Args) != `{"a":1}` || len(r.Name) != maxShown {
		t.Errorf("%+v", r)
	}
	if q.Drop([]byte("7")) == nil {
		t.Error("the request is lost")
	}
}

// A request's resources are released once, whichever method takes it and however many
// try.
func TestEndedIsCalledOnce(t *testing.T) {
	for name, take := range map[string]func(q *Requests[*Request]){
		"Take": func(q *Requests[*Request]) { q.Take([]byte("1")) }, "Drop": func(q *Requests[*Request]) { q.Drop([]byte("1")) }, "DropAll": func(q *Requests[*Request]) { q.DropAll() },
	} {
		var mu sync.Mutex
		calls := 0
		q := &Requests[*Request]{}
		r := &Request{ID: []byte("1"), Ended: func() { mu.Lock(); defer mu.Unlock(); calls++; q.Waiting() }}
		q.Add(r)
		if q.Add(&Request{ID: []byte("1"), Ended: r.Ended}); calls != 0 {
			t.Errorf("%s: a request that was not noted ended", name)
		}
		q.Find([]byte("1"))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { take(q) })
		}
		if all.Wait(); calls != 1 {
			t.Errorf("%s: ended %d times", name, calls)
		}
	}
}
