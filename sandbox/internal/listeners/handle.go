// Package listeners opens the sandbox's side of the way out: the sockets at which every
// connection and every name of the server ends.
//
// Pid 1 calls Listen, which arranges the sandbox's network so that a connection to any
// address ends at a listener, one for each port of the plan, and a DNS question to any
// address at a socket on port 53. Where it can, a gate stands before the listeners: it
// holds an opening packet until the connection outside is made. Listen opens these
// sockets and decides nothing; their files go to the launcher, whose package egress
// serves them.
package listeners

import "os"

// Kind is the kind of socket behind a handle.
type Kind string

// The kinds of handles. The empty kind is an error.
const (
	KindTCP      Kind = "tcp"      // a listener on Port of every address except the sandbox's loopback
	KindResolver Kind = "resolver" // the datagram socket on port 53
	KindQueries  Kind = "queries"  // the listener on port 53, for answers too long for a datagram
	KindLocal    Kind = "local"    // a listener on Port of the sandbox's loopback, which leads to the host's loopback
	KindUnix     Kind = "unix"     // a listener at Path inside, which leads to the host's socket at Path
	KindGate     Kind = "gate"     // a raw socket that receives opening packets, and refuses them
	KindSpare    Kind = "spare"    // an unused socket; the launcher makes it listen when a trial's program is about to connect
	KindBack     Kind = "back"     // the socket that resends the opening packets of the gate before it
)

// Handle is one socket that Listen opened. Its JSON contains everything but the file,
// which is sent beside it.
type Handle struct {
	Kind Kind   `json:"kind"`
	Port uint16 `json:"port,omitempty"`
	Path string `json:"path,omitempty"`
	// Shared reports that the socket lives in the server's own network namespace,
	// because this machine cannot give the listeners one of their own. Then the server
	// cannot listen on the plan's ports, and a connection to one of them on its
	// loopback is reset instead of refused.
	Shared bool `json:"shared,omitempty"`

	// Gated reports that a gate lets connections through to this socket.
	Gated bool `json:"gated,omitempty"`

	File *os.File `json:"-"` // the holder of the handle must close it
}

// Close closes every file of hs.
func Close(hs []Handle) {
	for _, h := range hs {
		if h.File != nil {
			_ = h.File.Close() // an unused socket has nothing to lose
		}
	}
}
