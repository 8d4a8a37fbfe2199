package sandbox

import (
	"context"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/internal/relay"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// If a profile gives a server ten seconds to save its data, the server must have them
// however it ends. Without a word in the profile the end stays quick, because clients
// kill half a second after their first signal.
func TestLadderIsThePlans(t *testing.T) {
	w := policy.Closed("x").Wire
	usual := ladder(plan.Relay{Finish: w.Finish.Milliseconds(), Grace: w.Grace.Milliseconds(), Rush: w.Rush.Milliseconds()})
	if usual != relay.DefaultLadder {
		t.Errorf("without a profile: %+v, want %+v", usual, relay.DefaultLadder)
	}
	given := ladder(plan.Relay{Finish: 60_000, Grace: 10_000, Rush: 10_000})
	if given.Finish != time.Minute || given.Grace != 10*time.Second || given.Rush != 10*time.Second || given.Term < 10*time.Second {
		t.Errorf("with grace = \"10s\": %+v", given)
	}
}

// A raw conversation passes bytes as they are, ends with the server, and records that
// after the last byte.
func TestRawConversation(t *testing.T) {
	clientIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, clientOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { clientIn.Close(); in.Close(); out.Close(); clientOut.Close() }()
	c, err := newConversation(Stdio{In: clientIn, Out: clientOut, Err: clientOut}, true)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	var steps []string
	err = c.begin(plan.Plan{}, nil, around{process: relay.Process{Done: gone}, last: func() { steps = append(steps, "last") },
		ended: func(step relay.Step) error { steps = append(steps, step.String()); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	killed := make(chan struct{})
	go c.run(ctx, func() { close(killed) })
	const text = "no \xff message, and no end"
	in.WriteString(text)
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c.inside[0], got); err != nil || string(got) != text {
		t.Fatalf("the server got %q (%v)", got, err)
	}
	c.inside[1].WriteString("last words")
	cancel()
	<-killed
	c.closeInside()
	close(gone)
	<-c.done
	if n, _ := out.Read(got); string(got[:n]) != "last words" || !slices.Equal(steps, []string{"last", "ended by itself"}) || c.err != nil {
		t.Errorf("the client got %q; %q, %v", got[:n], steps, c.err)
	}
	if r := c.inFlight(); r != nil || len(c.pins().Definitions) != 0 || c.reload(definition.Pins{}) != nil {
		t.Error("a raw conversation has a guard")
	}
}
