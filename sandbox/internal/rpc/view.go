package rpc

import (
	"bytes"
	"strconv"
)

// View reads one line, with or without its line end.
//
// An error is always a *Refusal. The Message then holds the Kind and the ID, if they
// are beyond doubt, so that the caller can answer a refused request; its other fields
// are empty. A line that begins with an array is a Batch without an error: View has not
// read it, and the caller must not forward it.
func View(line []byte) (Message, error) {
	if len(line) > maxLine {
		return Message{}, &Refusal{TooLong, maxLine}
	}
	s := newScanner(line)
	defer s.release()
	i := s.space(0)
	if i < len(line) && line[i] == '[' {
		return Message{Kind: Batch}, nil
	}
	if i >= len(line) || line[i] != '{' {
		return Message{}, &Refusal{NotObject, i}
	}
	if i = s.value(i); i >= 0 {
		if i = s.space(i); i < len(line) {
			s.soft(Trailing, i)
		}
	}
	m := s.message()
	if s.reason != "" {
		return Message{Kind: m.Kind, ID: m.ID}, &Refusal{s.reason, s.offset}
	}
	return m, nil
}

// message builds a Message from the members found, and refuses violations of JSON-RPC.
func (s *scanner) message() Message {
	m := Message{ID: s.id(), Params: s.members[topParams], Result: s.members[topResult], Error: s.members[topError]}
	if string(s.members[topVersion]) != `"2.0"` {
		s.soft(BadVersion, 0)
	}
	if m.Result != nil && m.Error != nil {
		s.soft(ResultAndError, 0)
	}
	method := s.members[topMethod]
	switch {
	case method != nil:
		if m.Result != nil || m.Error != nil {
			s.soft(MethodAndAnswer, 0)
			return m
		}
		s.request(&m, method)
	case m.Error != nil:
		m.Kind = Error
		if m.Error[0] != '{' {
			s.soft(BadError, s.at(m.Error))
		}
	case m.Result != nil:
		m.Kind = Response
		if m.ID == nil || m.ID[0] == 'n' {
			s.soft(NoID, 0)
		}
	default:
		s.soft(NoMember, 0)
	}
	return m
}

func (s *scanner) request(m *Message, method []byte) {
	m.Kind = Request
	if s.members[topID] == nil {
		m.Kind = Notification
	} else if m.ID != nil && m.ID[0] == 'n' {
		s.soft(BadID, s.at(m.ID))
	}
	if method[0] != '"' {
		s.soft(BadMethod, s.at(method))
		return
	}
	m.Method = methodName(method)
	if m.Params != nil && m.Params[0] != '{' && m.Params[0] != '[' && m.Params[0] != 'n' {
		s.soft(BadParams, s.at(m.Params))
	}
}

// id returns the id; nil if there is none or there are two.
func (s *scanner) id() []byte {
	id := s.members[topID]
	if id == nil || s.twice[topID] {
		return nil
	}
	if len(id) > maxID {
		s.soft(LongID, s.at(id))
		return nil
	}
	switch c := id[0]; {
	case c == 'n', c == '"' && s.reason == "":
		return id
	case c == '"': // the refused part may be in the id itself
		t := newScanner(id)
		defer t.release()
		if t.text(0); t.reason != "" {
			return nil
		}
		return id
	case c == '-' || c-'0' < 10:
		// Some peers return 1.0, 1e0 and -0 as 1 and 0.
		if !bytes.ContainsAny(id, ".eE") && string(id) != "-0" {
			return id
		}
	}
	s.soft(BadID, s.at(id))
	return nil
}

func (s *scanner) at(part []byte) int { return Offset(s.line, part) }

// Offset is the offset in a line of a part that this package returned. The part must be
// a slice of the line.
func Offset(line, part []byte) int { return cap(line) - cap(part) }

// methodName returns the string; for MCP's methods it does not allocate.
func methodName(raw []byte) string {
	if bytes.IndexByte(raw, '\\') >= 0 {
		return string(appendText(nil, raw[1:len(raw)-1]))
	}
	if name, ok := methods[string(raw[1:len(raw)-1])]; ok {
		return name
	}
	return string(raw[1 : len(raw)-1])
}

// methods holds the frequent methods, so that naming one does not allocate.
var methods = func() map[string]string {
	m := map[string]string{}
	for _, name := range []string{
		"initialize", "ping", "server/discover", "subscriptions/listen",
		"tools/list", "tools/call", "prompts/list", "prompts/get",
		"resources/list", "resources/templates/list", "resources/read", "resources/subscribe", "resources/unsubscribe",
		"completion/complete", "logging/setLevel", "roots/list", "sampling/createMessage", "elicitation/create",
		"tasks/get", "tasks/list", "tasks/result", "tasks/cancel", "tasks/update",
		"notifications/initialized", "notifications/cancelled", "notifications/progress", "notifications/message",
		"notifications/tools/list_changed", "notifications/prompts/list_changed", "notifications/resources/list_changed",
		"notifications/resources/updated", "notifications/roots/list_changed", "notifications/subscriptions/acknowledged",
	} {
		m[name] = name
	}
	return m
}()

// ErrorReply returns the line, without its line end, that answers the request id with
// an error. A nil id becomes null. A code from MCP's reserved range, -32020 to -32099,
// becomes CodeInternal.
func ErrorReply(id []byte, code int, message string) []byte {
	if code <= -32020 && code >= -32099 {
		code = CodeInternal
	}
	if id == nil {
		id = []byte("null")
	}
	b := make([]byte, 0, len(id)+len(message)+64)
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	b = append(b, id...)
	b = append(b, `,"error":{"code":`...)
	b = strconv.AppendInt(b, int64(code), 10)
	b = append(b, `,"message":`...)
	b = AppendString(b, message)
	return append(b, `}}`...)
}
