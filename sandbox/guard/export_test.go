package guard

import (
	"fmt"

	"mcpen/sandbox/internal/rpc"
)

// Client decides about a line of the client's, as the relay has it decided. The relay
// itself refuses a line without a view and a batch, so Client panics for them.
func (g *Guard) Client(line []byte) Ruling { return g.ClientMessage(line, view(line)) }

// Server decides about a line of the server's, likewise.
func (g *Guard) Server(line []byte) Ruling { return g.ServerMessage(line, view(line)) }

func view(line []byte) rpc.Message {
	m, err := rpc.View(line)
	if err != nil || m.Kind == rpc.Batch {
		panic(fmt.Sprintf("the guard does not see %.80q: %v", line, err))
	}
	return m
}
