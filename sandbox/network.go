package sandbox

import (
	"context"
	"encoding/json"
	"fmt"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/child"
	"mcpen/sandbox/internal/egress"
)

// serve starts the egress on the sockets that pid 1 made.
func (b *Box) serve(m child.Message) error {
	var handles []egress.Handle
	if err := json.Unmarshal(m.Data, &handles); err != nil {
		return fmt.Errorf("internal error: cannot decode the listeners: %w", err)
	}
	if len(handles) != len(m.Files) {
		return fmt.Errorf("internal error: %d listeners with %d descriptors", len(handles), len(m.Files))
	}
	for i := range handles {
		handles[i].File = m.Files[i]
	}
	e, err := egress.Serve(context.Background(), handles, egress.Config{
		Network:  b.plan.Network,
		Sink:     func(e audit.Event) error { return b.recorded(e) },
		Tell:     func(line string) { b.say(b.plan.Name + ": " + line) },
		InFlight: b.carrier.inFlight,
	})
	if err != nil {
		return &Lack{Step: "serve the server's connections", Err: err}
	}
	b.egress = append(b.egress, e)
	return nil
}

// closeEgress ends what is still connected.
func (b *Box) closeEgress() {
	for _, e := range b.egress {
		if err := e.Close(); err != nil && b.err == nil {
			b.err = fmt.Errorf("cannot end the server's connections: %w", err)
		}
	}
}
