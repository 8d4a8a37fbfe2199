package sandbox

import (
	"math"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/egress"
	"mcpen/sandbox/internal/notify"
	"mcpen/sandbox/plan"
)

// A connection that the filter refuses is in the log even where no host is declared
// and so nothing serves connections.
func TestBarredConnectionsAreReported(t *testing.T) {
	said := newRecorder()
	n := networkOf(plan.Plan{}, Options{}, nil, &said.reporter, func() *audit.Request { return &audit.Request{Method: "m"} })
	n.barred(notify.Call{Addr: netip.MustParseAddrPort("192.0.2.1:80"), Errno: syscall.EACCES, PID: 7, Program: "p"})
	if len(said.events) != 1 {
		t.Fatalf("%+v", said.events)
	}
	if e := said.events[0]; e.Kind != audit.KindConnect || e.Verdict != audit.Refused || e.Subject != "192.0.2.1:80" || e.Errno != "EACCES" || e.PID != 7 || e.Program != "p" || e.Request == nil {
		t.Errorf("%+v", e)
	}
	if n.open(netip.MustParseAddrPort("192.0.2.1:80")); len(said.events) != 1 {
		t.Error("nothing serves connections, and a port is open")
	}
	if err := n.close(); err != nil {
		t.Error(err)
	}
}

// A message from inside that does not fit together serves nothing.
func TestListenersThatDoNotFitAreRefused(t *testing.T) {
	n := networkOf(plan.Plan{}, Options{}, nil, &newRecorder().reporter, func() *audit.Request { return nil })
	for data, files := range map[string][]*os.File{"{": nil, "[{}]": nil, "[]": {os.Stdin}} {
		if err := n.serve([]byte(data), files); err == nil || n.egress.Load() != nil {
			t.Errorf("%s: %v", data, err)
		}
	}
}

// A limit that a profile switched off does not fall back to another number.
func TestEgressLimits(t *testing.T) {
	if got := egressLimits(nil); got != (egress.Limits{Connections: math.MaxInt32, PerSecond: math.MaxInt32}) {
		t.Errorf("%+v", got)
	}
	if got := egressLimits([]plan.Limit{{Name: plan.LimitConnections, Value: 3}, {Name: plan.LimitPerSecond, Value: 5}, {Name: plan.LimitMemory, Value: 7}}); got != (egress.Limits{Connections: 3, PerSecond: 5}) {
		t.Errorf("%+v", got)
	}
}
