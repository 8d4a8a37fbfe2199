package relay

import (
	"bytes"
	"encoding/json"
	"fmt"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/rpc"
)

const (
	tailSearch = 512  // bytes at the end of a line that are searched for an id
	maxBatch   = 1000 // messages of a batch that are answered one by one
)

// tooLong refuses a line over the limit and makes sure that nobody waits for it.
func (r *Relay) tooLong(from Side, l *long) {
	m := l.peek()
	message := fmt.Sprintf("a line of %d bytes is over the limit of %d", l.size, r.MaxLine)
	r.refused(from, m, "too long", fmt.Sprintf("%s from %s was not passed on: %s", what(m), from, message))
	switch {
	case from == Server && m.ID == nil && m.Kind != rpc.Notification:
		// One request is in flight and no id is visible: the line can only be its
		// answer.
		m = rpc.Message{Kind: rpc.Response, ID: r.Requests.Only()}
	case from == Server && m.Kind == rpc.Invalid:
		m.Kind = rpc.Response
	case from == Client && (m.Kind == rpc.Invalid || m.Kind == rpc.Batch):
		m = rpc.Message{Kind: rpc.Request} // answered with an id of null
	}
	r.answer(from, m, rpc.CodeInvalidRequest, message)
}

func what(m rpc.Message) string {
	if m.Kind == rpc.Invalid {
		return "a line"
	}
	return "the " + m.Kind.String()
}

// peek extracts as much as possible from the two ends of a line. In doubt the kind is
// Invalid and the id nil.
func (l *long) peek() rpc.Message {
	front, _ := rpc.View(l.head) // never complete: it reports the members so far
	m := rpc.Message{Kind: front.Kind, ID: front.ID}
	if m.ID != nil && rpc.Offset(l.head, m.ID)+len(m.ID) == len(l.head) {
		m.ID = nil // a number that may continue
	}
	back, ok := l.back()
	if ok {
		switch {
		case m.ID == nil:
			m.ID = back.ID
		case back.ID != nil && rpc.IDKey(m.ID) != rpc.IDKey(back.ID):
			return rpc.Message{}
		}
		if m.Kind == rpc.Invalid || m.Kind == rpc.Notification && back.Kind != rpc.Invalid {
			m.Kind = back.Kind
		}
	}
	switch method := m.Kind == rpc.Request || m.Kind == rpc.Notification; {
	case method && m.ID != nil:
		m.Kind = rpc.Request
	case method:
		m.Kind = rpc.Notification
	case m.ID != nil && (bytes.Contains(l.head, []byte(`"result"`)) || bytes.Contains(l.head, []byte(`"error"`))):
		m.Kind = rpc.Response
	}
	return m
}

// back reads the last members of a line as if the object began with them. The braces
// must balance, so members of an inner object do not count as the message's. If the
// reading began inside a string, quotes and names are swapped, which is not JSON.
func (l *long) back() (rpc.Message, bool) {
	tail := bytes.TrimRight(l.tail, " \t\r")
	tail = tail[max(0, len(tail)-tailSearch):]
search:
	for i, c := range tail {
		if c != ',' {
			continue
		}
		m, err := rpc.View(append([]byte{'{'}, tail[i+1:]...))
		switch reason(err) {
		case rpc.Syntax, rpc.NotObject, rpc.Trailing:
			continue
		case "", rpc.BadVersion, rpc.NoMember, rpc.NoID: // the front has them
			return m, true
		default: // complete, but in doubt
			break search
		}
	}
	return rpc.Message{}, false
}

// batch refuses an array of messages and answers each message in it separately. Only
// revision 2025-03-26 had batches, and no client in use sends any. A line that begins
// with a bracket and is not an array of objects is text, such as "[info] ready".
func (r *Relay) batch(from Side, f frame) {
	const message = "batches are not supported"
	parts, ok := elements(f.line)
	if !ok && from == Server {
		r.chat.say(audit.KindStdout, f)
		return
	}
	r.refused(from, rpc.Message{Kind: rpc.Batch}, "batch",
		fmt.Sprintf("a batch of %d bytes from %s was not passed on: %s", len(f.line), from, message))
	if !ok { // from the client
		r.toClient.slip(rpc.ErrorReply(nil, rpc.CodeInvalidRequest, message))
	}
	for _, part := range parts {
		m, _ := rpc.View(part)
		r.answer(from, m, rpc.CodeInvalidRequest, message)
	}
}

// elements returns the first maxBatch elements of an array of objects.
func elements(line []byte) (parts []json.RawMessage, ok bool) {
	d := json.NewDecoder(bytes.NewReader(line))
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	for len(parts) < maxBatch && d.More() {
		var part json.RawMessage
		if err := d.Decode(&part); err != nil || !rpc.IsObject(part) {
			return nil, false
		}
		parts = append(parts, part)
	}
	return parts, len(parts) > 0
}
