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

// The refusal of a name says why, and suggests a rule where one would help. One that
// programs ask for only for their logs is recorded, and not told.
func TestANameThatIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		asked, name string
		long        bool
		record      string
		told        string
	}{
		"unnamed":         {"N.example", "n.example", false, `n.example: no rule names it, network.allow = ["n.example:PORT"]`, `refused n.example: no rule names it; to allow it: network.allow = ["n.example:PORT"]`},
		"no name":         {"a b", "", false, `a\x20b: it is not a host name`, `refused a\x20b: it is not a host name`},
		"an odd name":     {"a_b.example", "a_b.example", false, `a_b.example: no rule names it, network.allow = ["a_b.example:PORT"]`, `refused a_b.example: no rule names it; to allow it: network.allow = ["a_b.example:PORT"]`},
		"no rule's":       {"10.example.1", "10.example.1", false, `10.example.1: no rule names it`, `refused 10.example.1: no rule names it`},
		"too long":        {"x.y.n.example", "x.y.n.example", true, `x.y.n.example: more than 4 labels or 100 characters stand before the suffix of a wildcard, network.allow = ["x.y.n.example:PORT"]`, `refused x.y.n.example: more than 4 labels or 100 characters stand before the suffix of a wildcard; to allow it: network.allow = ["x.y.n.example:PORT"]`},
		"of an address":   {"1.0.0.127.in-addr.arpa", "1.0.0.127.in-addr.arpa", false, `1.0.0.127.in-addr.arpa: names of addresses are not looked up`, ""},
		"like an address": {"arpa.example", "arpa.example", false, `arpa.example: no rule names it, network.allow = ["arpa.example:PORT"]`, `refused arpa.example: no rule names it; to allow it: network.allow = ["arpa.example:PORT"]`},
	} {
		w := newQuietWorld(t)
		e, err := Serve(t.Context(), nil, w.config(plan.Network{}))
		must(t, err)
		e.names.refuseName(c.asked, c.name, c.long)
		ev := w.events[0]
		record := ev.Subject + ": " + ev.Detail
		if ev.Grant != nil {
			record += ", " + ev.Advice()
		}
		if record != c.record || strings.Join(w.told, "; ") != c.told || ev.Kind != audit.KindName || ev.Verdict != audit.Refused {
			t.Errorf("%s: recorded %q, told %q", name, record, w.told)
		}
		must(t, e.Close())
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
