package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// A question with a truncated record, or with an OPT record for a name, gets a format
// error, and in any case an answer.
func TestQuestionsWithAHalfRecord(t *testing.T) {
	r, _ := newTestResolver(t, "n.example:443")
	good := question(t, "n.example", dnsmessage.TypeA)
	with := func(n byte, record ...byte) []byte {
		q := append(bytes.Clone(good), record...)
		q[11] = n
		return q
	}
	for name, c := range map[string]struct {
		q    []byte
		code byte
	}{
		"data that is not there":     {with(1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3), 1},
		"OPT that is not all there":  {with(1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 9), 1},
		"a record that is not there": {with(1), 1},
		"OPT of a name":              {with(1, 1, 'a', 0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0), 1},
		"a record of an address":     {with(1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4), 3},
	} {
		if b := r.answer(c.q, false); len(b) < 12 || b[3]&15 != c.code {
			t.Errorf("%s: %x, want code %d", name, b, c.code)
		}
	}
}

// Decisions beyond maxKinds are counted by kind and verdict: refusals do not disappear
// among allowed events.
func TestOthersAreCountedByKind(t *testing.T) {
	w := newQuietWorld(t)
	l := newLedger(w.sink, w.tell, w.clock)
	for i := range maxKinds + 10 {
		must(t, l.note(audit.Event{Kind: audit.KindName, Verdict: audit.Allowed, Subject: fmt.Sprint(i)}))
	}
	must(t, l.note(audit.Event{Kind: audit.KindConnect, Verdict: audit.Allowed, Subject: "c"}))
	must(t, l.note(audit.Event{Kind: audit.KindName, Verdict: audit.Refused, Subject: "r"}))
	n := len(w.events)
	if n < 2 || w.events[n-2].Subject != "c" || w.events[n-2].Kind != audit.KindConnect || w.events[n-1].Subject != "r" || w.events[n-1].Verdict != audit.Refused {
		t.Errorf("the first of each kind is written out: %+v", w.events[max(0, n-2):])
	}
}

// A rule with a wildcard demands TLS like a rule for one name. A rule for any host,
// which has no name to check, does not.
func TestEverySortOfRuleDemandsTLS(t *testing.T) {
	for _, kind := range []policy.HostKind{policy.HostName, policy.HostWildcard, policy.HostAny} {
		h := policy.Host{Kind: kind, Name: "a.example", First: 8443, Last: 8444, TLS: policy.TLSAlways}
		r := newRules([]policy.Host{h})
		if got, want := fmt.Sprint(r.demand(8442), r.demand(8443), r.demand(8444), r.demand(8445)), fmt.Sprint(false, kind != policy.HostAny, kind != policy.HostAny, false); got != want {
			t.Errorf("%s: demanded below, on and above its ports: %s, want %s", kind, got, want)
		}
	}
}

// The refusal of an invalid name says that it is invalid, and suggests no rule for it.
func TestANameThatIsNoneIsRefused(t *testing.T) {
	w := newQuietWorld(t)
	e, err := Serve(context.Background(), nil, w.config(plan.Network{}))
	must(t, err)
	defer e.Close()
	e.names.refuseName("a b", "", false)
	e.names.refuseName("1.0.0.127.in-addr.arpa", "1.0.0.127.in-addr.arpa", false)
	e.names.refuseName("n.example", "n.example", false)
	if len(w.events) != 3 || w.events[0].Subject != shown("a b") || w.events[0].Kind != audit.KindName || w.events[1].Kind != audit.KindName {
		t.Fatalf("%+v", w.events)
	}
	if d := w.events[0].Detail; !strings.Contains(d, "not a host name") {
		t.Errorf("%q", d)
	}
	if len(w.told) != 2 || strings.Contains(strings.Join(w.told, "\n"), "arpa") {
		t.Errorf("told %q: programs ask for addresses' names for their logs", w.told)
	}
}

// The bound on an answer also counts the names of services.
func TestServicesAreBounded(t *testing.T) {
	long := dnsmessage.MustNewName(strings.Repeat(strings.Repeat("a", 61)+".", 4))
	one := len(long.String())
	var all []dnsmessage.ResourceBody
	for range maxRest/one + 5 {
		all = append(all, &dnsmessage.SRVResource{Target: long})
	}
	if got := len(fitting(all)); got != maxRest/one {
		t.Errorf("%d services of %d bytes pass, want %d", got, one, maxRest/one)
	}
}

// An error about a host's socket names the socket, whichever call fails.
func TestASocketThatCannotBeHad(t *testing.T) {
	dir := realTempDir(t)
	name := filepath.Join(dir, "s.sock")
	l, err := net.Listen("unix", name)
	must(t, err)
	to := plan.Socket{Real: name}
	for _, call := range []uintptr{unix.SYS_OPENAT2, unix.SYS_FSTAT} {
		first := true
		must(t, fault.Watch([]uintptr{call}, func(fault.Call) fault.Answer {
			if !first {
				return fault.Pass
			}
			first = false
			return fault.Fail(unix.EIO)
		}, func() {
			var at *os.PathError
			if c, err := connectSocket(context.Background(), to); c != nil || !errors.Is(err, unix.EIO) || !errors.As(err, &at) || at.Path != name {
				t.Errorf("call %d: %v", call, err)
			}
		}))
	}
	c, err := connectSocket(context.Background(), to)
	must(t, err)
	c.Close()
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if c, err := connectSocket(context.Background(), to); c != nil || !errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "/proc/self/fd") {
		t.Errorf("nobody listens: %v", err)
	}
	must(t, os.Remove(name))
	must(t, os.WriteFile(name, nil, 0o600))
	if c, err := connectSocket(context.Background(), to); c != nil || err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("a file: %v", err)
	}
}

// Serve refuses to start without a sink or a Warn.
func TestAnEgressThatNobodyHears(t *testing.T) {
	for name, change := range map[string]func(*Config){"no sink": func(c *Config) { c.Sink = nil }, "nobody to tell": func(c *Config) { c.Warn = nil }} {
		cfg := newQuietWorld(t).config(plan.Network{})
		change(&cfg)
		if e, err := Serve(context.Background(), nil, cfg); err == nil || e != nil {
			t.Errorf("%s: an egress all the same", name)
			e.Close()
		}
	}
	// Serve derives the number of connections from the limit on open files, and uses a
	// small one if it cannot read the limit.
	must(t, fault.Watch([]uintptr{unix.SYS_PRLIMIT64}, func(fault.Call) fault.Answer { return fault.Fail(unix.EPERM) }, func() {
		cfg := newQuietWorld(t).config(plan.Network{})
		e, err := Serve(context.Background(), nil, cfg)
		if err != nil || cap(e.conns) == 0 {
			t.Errorf("an unknown limit: %v", err)
		}
		if err == nil {
			e.Close()
		}
	}))
}
