package writes

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"mcpen/sandbox/internal/notify"
)

// queue is the test's listener.
type queue struct {
	calls   chan string
	waiting atomic.Int32
}

func (q *queue) next(r *notify.Request) error {
	q.waiting.Add(1)
	name, ok := <-q.calls
	q.waiting.Add(-1)
	if !ok {
		return notify.ErrOver
	}
	r.Name = name
	return nil
}

// If one of a server's threads waits for a slow disk, its other threads must not wait
// with it.
func TestOneSlowCallKeepsNoOtherWaiting(t *testing.T) {
	q := &queue{calls: make(chan string)}
	served, slow := make(chan string, 100), make(chan struct{})
	c := newCrew(q.next, func(c *call) {
		if c.r.Name == "slow" {
			<-slow
		}
		served <- c.r.Name
	})
	end := make(chan error)
	go func() { end <- c.run() }()
	for range maxWorkers - 1 {
		q.calls <- "slow"
	}
	for range 50 {
		q.calls <- "quick"
		select {
		case name := <-served:
			if name != "quick" {
				t.Fatalf("%s was served", name)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("a call waits for others that are slow")
		}
	}
	close(slow)
	for range maxWorkers - 1 {
		<-served
	}
	close(q.calls)
	if err := <-end; err != nil {
		t.Error(err)
	}
}

// Each waiting worker is woken for each call: one is enough while calls are quick.
func TestOneWaitsWhileCallsAreQuick(t *testing.T) {
	q := &queue{calls: make(chan string)}
	c := newCrew(q.next, func(*call) {})
	end := make(chan error)
	go func() { end <- c.run() }()
	// On a busy machine a quick call may look slow, and a second worker may stay for a
	// while.
	for deadline := time.Now().Add(20 * time.Second); ; {
		for range 100 {
			q.calls <- "quick"
		}
		time.Sleep(10 * time.Millisecond)
		if q.waiting.Load() == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait", q.waiting.Load())
		}
	}
	close(q.calls)
	if err := <-end; err != nil {
		t.Error(err)
	}
}

// A failing listener ends the mediator, and with it the server.
func TestCrewEndsWithItsListener(t *testing.T) {
	broken := errors.New("broken")
	c := newCrew(func(*notify.Request) error { return broken }, nil)
	if err := c.run(); err != broken {
		t.Errorf("ended in %v", err)
	}
}
