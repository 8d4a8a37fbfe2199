package sandbox

import (
	"os"
	"sync"
	"syscall"

	"mcpen/sandbox/internal/child"
)

// process is the first process of a sandbox with the socket to it. Its methods may be
// called from any goroutine.
type process struct {
	control *child.Control
	body    body // nil: it was not started

	// A sender holds mu for reading; mu is held for writing to end sending for good:
	// afterwards the descriptor's number may belong to another file.
	mu   sync.RWMutex
	gone bool
}

// signal sends a signal to the server. The error is os.ErrProcessDone where nothing
// is left to get it.
func (p *process) signal(s syscall.Signal) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.gone {
		return os.ErrProcessDone
	}
	return p.control.Send(child.Message{Kind: child.Signal, Signal: int(s)})
}

// acknowledge lets pid 1 go, which waits for that behind the server's end.
func (p *process) acknowledge() { _ = p.signal(0) } // an error: it is gone

// kill ends the sandbox at once. pid 1 dies, and the kernel ends the rest.
func (p *process) kill() {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.gone || p.body == nil {
		return
	}
	p.control.Shutdown()
	p.body.kill()
}

// hangUp closes the socket. Nothing is sent any more.
func (p *process) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	if p.control != nil {
		p.control.Close()
	}
}
