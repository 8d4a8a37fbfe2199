package relay

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/rpc"
)

func (r *Relay) fromClient() {
	defer close(r.clientDone)
	r.carry(Client, newLines(r.Ends.ClientIn, int(r.MaxLine)))
}

func (r *Relay) fromServer() {
	defer close(r.serverDone)
	r.carry(Server, newLines(r.Ends.ServerOut, int(r.MaxLine)))
}

// carry handles every line from one side until there are no more. It continues to read
// when nobody takes the lines any more: the client must not block on a server that is
// being ended, nor the server on a client that is gone.
func (r *Relay) carry(from Side, l *lines) {
	defer l.close()
	for first := true; ; first = false {
		f, err := l.next()
		if err != nil {
			return
		}
		if first {
			f.unmark()
		}
		if from == Server {
			r.motion.begin(l.n - l.at)
		}
		r.frame(from, f)
		if from == Server {
			r.motion.end()
		}
	}
}

// frame handles one frame from lines.
func (r *Relay) frame(from Side, f frame) {
	switch {
	case f.long != nil:
		r.tooLong(from, f.long)
	case blank(f.line):
		// Some clients report a blank line from a server as an error to the person.
		if from == Client {
			r.pass(from, f.raw)
		}
	default:
		r.line(from, f)
	}
}

// blank reports whether a line contains only JSON white space.
func blank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

// line decides on one line and carries the decision out.
func (r *Relay) line(from Side, f frame) {
	m, err := rpc.View(f.line)
	if err != nil {
		r.ambiguous(from, f, m, err)
		return
	}
	if m.Kind == rpc.Batch {
		r.batch(from, f)
		return
	}
	var own []byte // the id under which the client waits for this answer
	if from == Server && answers(m) {
		own = r.Requests.Own(m.ID)
	}
	v := r.Inspect(from, f.line, m)
	for _, e := range v.Events {
		r.record(e)
	}
	r.follow(from, f, m, own, v)
}

// follow carries a verdict out. own is the id of the client's request that the line
// answers, or nil.
func (r *Relay) follow(from Side, f frame, m rpc.Message, own []byte, v Delivery) {
	if v.Forward != nil {
		if own != nil && rpc.IDKey(own) != rpc.IDKey(m.ID) {
			r.otherID.Do(func() { r.reportOtherID(own, m.ID) })
		}
		if err := r.forward(from, f, v.Forward); err != nil && m.Kind == rpc.Request {
			r.fail(from, m, "cannot be reached any more")
		}
	}
	r.toClient.slip(v.ToClient...)
	if v.Reply != nil { // last: messages about a request come before its answer
		r.outlet(from).slip(v.Reply)
	}
	const refused = "refused by the sandbox"
	switch {
	case v.Forward != nil || m.Kind == rpc.Request && v.Reply != nil:
	case from == Server && answers(m):
		if own != nil && !slices.ContainsFunc(v.ToClient, func(line []byte) bool { return isAnswer(line, own) }) {
			r.replace(own, refused)
		}
	default:
		r.answer(from, m, rpc.CodeInvalidRequest, refused)
	}
}

// isAnswer reports whether a line answers the request with an id.
func isAnswer(line, id []byte) bool {
	m, err := rpc.View(line)
	return err == nil && answers(m) && rpc.IDKey(m.ID) == rpc.IDKey(id)
}

// forward writes a line to the other side; an unchanged line goes as received.
func (r *Relay) forward(from Side, f frame, line []byte) error {
	if len(line) > 0 && len(line) == len(f.line) && &line[0] == &f.line[0] {
		return r.pass(from, f.raw)
	}
	return r.pass(from, line, f.raw[len(f.line):])
}

// pass writes the parts of one line to the other side.
func (r *Relay) pass(from Side, parts ...[]byte) error {
	err := r.outlet(other(from)).forward(parts...)
	if err != nil && from == Server {
		r.lostClient()
	}
	return err
}

// reportOtherID reports once that a server answers with ids of another type: a client
// that treats them as different waits in vain.
func (r *Relay) reportOtherID(asked, answered []byte) {
	detail := fmt.Sprintf("the server answers the request %s as %s, which some clients do not take for the same", asked, answered)
	r.chat.report(audit.Event{Kind: audit.KindLine, Verdict: audit.Observed, Subject: "an id of another type", Detail: detail}, "mcpen: "+audit.Visible(detail), r.emit)
}

// fail answers a request that could not be written to the other side.
func (r *Relay) fail(from Side, m rpc.Message, why string) {
	if r.requests(from).Drop(m.ID) == nil {
		return // already answered
	}
	r.outlet(from).slip(rpc.ErrorReply(m.ID, rpc.CodeInternal, other(from).String()+" "+why))
}

// requests returns the requests of a side.
func (r *Relay) requests(of Side) Requests {
	if of == Client {
		return r.Requests
	}
	return r.Asked
}

// answer makes sure that nobody waits because the line m from one side was not passed
// on and Inspect did not see it: the sender of a request gets an error; if m is an
// answer, the side that waits for it does.
func (r *Relay) answer(from Side, m rpc.Message, code int, message string) {
	switch {
	case m.Kind == rpc.Request:
		r.outlet(from).slip(rpc.ErrorReply(m.ID, code, message))
	case !answers(m) || m.ID == nil || m.ID[0] == 'n':
	case from == Server:
		if own := r.Requests.Drop(m.ID); own != nil {
			r.replace(own, message)
		}
	default:
		r.Asked.Drop(m.ID)
		r.toServer.slip(rpc.ErrorReply(m.ID, rpc.CodeInternal, "the client's answer was not passed on: "+message))
	}
}

// replace answers the client's request with an id in the server's place.
func (r *Relay) replace(own []byte, why string) {
	r.toClient.slip(rpc.ErrorReply(own, rpc.CodeInternal, "the server's answer was not passed on: "+why))
}

// ambiguous refuses a line that has no view.
func (r *Relay) ambiguous(from Side, f frame, m rpc.Message, err error) {
	code := rpc.CodeInvalidRequest
	noJSON := reason(err) == rpc.Syntax || reason(err) == rpc.NotObject
	if noJSON {
		code = rpc.CodeParse
	}
	if from == Server && reason(err) == rpc.Syntax {
		m = r.broken(f.line, m)
	}
	if from == Server && noJSON && m.ID == nil {
		r.chat.say(audit.KindStdout, f)
		return
	}
	r.refused(from, m, string(reason(err)),
		fmt.Sprintf("a line of %d bytes from %s was not passed on: %v", len(f.line), from, err))
	if from == Client && m.Kind == rpc.Invalid {
		m.Kind = rpc.Request // an id of null says that the id is unknown
	}
	r.answer(from, m, code, err.Error())
	if reason(err) == rpc.Trailing {
		for _, m := range glued(f.line, err) {
			r.answer(from, m, code, err.Error())
		}
	}
}

// broken finds the request that an invalid line answers: one with NaN, a control
// character, a missing end. m is the view up to the fault. Text from a server is
// nobody's answer.
func (r *Relay) broken(line []byte, m rpc.Message) rpc.Message {
	if m.Kind != rpc.Invalid {
		return m
	}
	l := long{head: sample(line, false), tail: sample(line, true)}
	seen := l.peek()
	switch {
	case seen.Kind != rpc.Invalid:
		return seen
	case !bytes.Contains(l.head, []byte(`"jsonrpc"`)):
	case bytes.Contains(l.head, []byte(`"result"`)) || bytes.Contains(l.head, []byte(`"error"`)):
		// One request is in flight and no id is visible: the line can only be its
		// answer.
		return rpc.Message{Kind: rpc.Response, ID: r.Requests.Only()}
	}
	return m
}

// glued returns the messages after the first one on a line, without line ends between
// them, up to the first invalid one.
func glued(line []byte, err error) (all []rpc.Message) {
	for len(all) < maxBatch {
		var refusal *rpc.Refusal
		if !errors.As(err, &refusal) || refusal.Reason != rpc.Trailing {
			return all
		}
		line = line[refusal.Offset:]
		var m rpc.Message
		m, err = rpc.View(line)
		all = append(all, m)
	}
	return all
}

// refused records and shows that a line was not passed on: with the request it is, or
// else, if the server sent it, with the request that the server works on.
func (r *Relay) refused(from Side, m rpc.Message, subject, detail string) {
	e := audit.Event{Kind: audit.KindLine, Verdict: audit.Refused, Subject: subject, Detail: detail}
	record := r.emit
	if from == Client {
		record = r.record
		if m.ID != nil && m.Kind == rpc.Request {
			e.Request = &audit.Request{ID: m.ID, Method: m.Method}
		}
	}
	r.chat.report(e, "mcpen: "+detail, record)
}

// reason returns the reason of a refusal, or "" for any other error.
func reason(err error) rpc.Reason {
	var refusal *rpc.Refusal
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return ""
}

func answers(m rpc.Message) bool { return m.Kind == rpc.Response || m.Kind == rpc.Error }

func other(s Side) Side {
	if s == Client {
		return Server
	}
	return Client
}

// outlet returns the outlet to a side.
func (r *Relay) outlet(to Side) *outlet {
	if to == Client {
		return r.toClient
	}
	return r.toServer
}
