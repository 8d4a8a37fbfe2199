package guard

import (
	"mcpen/sandbox/definition"
	"mcpen/sandbox/internal/flight"
)

// Bounds of a stored request, in bytes. Package flight bounds the rest.
const (
	maxMethod = 128
	maxLevel  = 32       // of a log level
	maxParam  = 64 << 10 // of the name, the URI or the cursor of a request
)

// request is one request that waits for its answer.
type request struct {
	flight.Request
	cursor  string // of a list
	modern  bool
	offers  offers   // of a modern client
	level   string   // from which on a modern client wants to be sent messages; "" for none
	informs bool     // the client takes messages about it
	listen  listen   // of subscriptions/listen
	rules   []*usage // whose concurrency it counts in
}

// release gives back the counts that the request took.
func (r *request) release() {
	for _, u := range r.rules {
		u.done()
	}
}

// listen has the subscriptions of a modern client.
type listen struct{ tools, prompts, resources bool }

func (l listen) wants(k definition.Kind) bool {
	switch k {
	case definition.KindTool:
		return l.tools
	case definition.KindPrompt:
		return l.prompts
	default:
		return l.resources
	}
}

// Requests are the requests of one side in flight. The carrier of the lines removes the
// requests that it answers itself.
type Requests = flight.Requests[*request]

// Requests are those of the client that the server has not answered.
func (g *Guard) Requests() *Requests { return &g.flight }

// Asked are the requests of the server that the client has not answered.
func (g *Guard) Asked() *Requests { return &g.asked }
