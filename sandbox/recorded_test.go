package sandbox_test

import (
	"slices"
	"sync"

	"mcpen/sandbox/audit"
)

// events keeps a run's reports.
type events struct {
	mu   sync.Mutex
	list []audit.Event
}

func (e *events) sink(ev audit.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
	return nil
}

func (e *events) all() []audit.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}
