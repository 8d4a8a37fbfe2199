package sandbox

import (
	"testing"
	"time"

	"mcpen/sandbox/internal/relay"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// A server that a profile gives ten seconds to save what it has must have them
// however it is ended; without a word in the profile the end stays quick, for
// clients kill half a second after their first signal.
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
