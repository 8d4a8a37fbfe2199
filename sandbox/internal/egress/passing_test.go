package egress

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/descriptor"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// joined is a TCP connection of this machine: the egress's end and the other.
func joined(t *testing.T) (here, there *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	s, err := l.Accept()
	must(t, err)
	must(t, s.SetDeadline(time.Now().Add(10*patience)))
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// Bytes pass both ways until both directions have ended, an end passes on as an end and
// a reset as a reset; the record of the end says which, and how many bytes there were.
func TestJoinedConnectionsEnd(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 20<<10) // more than goes through this process
	all := func(c *net.TCPConn) string {
		b, err := io.ReadAll(c)
		sum := string(b)
		if len(b) > 100 {
			sum = fmt.Sprintf("%d bytes %x", len(b), sha256.Sum256(b))
		}
		if err != nil {
			sum += " then an error"
		}
		return sum
	}
	say := func(c *net.TCPConn, s string) { _, _ = io.WriteString(c, s) }
	whole := fmt.Sprintf("%d bytes %x", len(big), sha256.Sum256(big))
	for name, c := range map[string]struct {
		program, host func(c *net.TCPConn) string // what each hears
		heard         [2]string
		call          func(*call)
		config        func(*Config)
		stop          bool
		record        string
		told          string
	}{
		"both end":            {func(c *net.TCPConn) string { say(c, "hello"); c.CloseWrite(); return all(c) }, func(c *net.TCPConn) string { s := all(c); say(c, "hi"); c.CloseWrite(); return s }, [2]string{"hi", "hello"}, nil, nil, false, "closed 5 2 0s", ""},
		"the host ends first": {func(c *net.TCPConn) string { s := all(c); say(c, "later"); c.CloseWrite(); return s }, func(c *net.TCPConn) string { say(c, "hi"); c.CloseWrite(); return all(c) }, [2]string{"hi", "later"}, nil, nil, false, "closed 5 2 0s", ""},
		"much of both":        {func(c *net.TCPConn) string { go func() { _, _ = c.Write(big); c.CloseWrite() }(); return all(c) }, func(c *net.TCPConn) string { go func() { _, _ = c.Write(big); c.CloseWrite() }(); return all(c) }, [2]string{whole, whole}, nil, nil, false, fmt.Sprintf("closed %d %d 0s", len(big), len(big)), ""},
		"the program resets":  {func(c *net.TCPConn) string { abort(c); return "" }, all, [2]string{"", " then an error"}, nil, nil, false, "reset 0 0 0s", ""},
		"the host resets":     {all, func(c *net.TCPConn) string { abort(c); return "" }, [2]string{" then an error", ""}, nil, nil, false, "reset 0 0 0s", ""},
		"the host resets, behind the program's end": {func(c *net.TCPConn) string { c.CloseWrite(); return all(c) }, func(c *net.TCPConn) string { all(c); abort(c); return "" }, [2]string{" then an error", ""}, nil, nil, false, "reset 0 0 0s", ""},
		"nothing comes": {all, all, [2]string{" then an error", " then an error"}, nil, func(c *Config) { c.Limits.Idle = 60 * time.Millisecond }, false, "closed after nothing came for 60ms 0 0 0s", ""},
		"something comes now and then": {func(c *net.TCPConn) string {
			for range 3 {
				say(c, "x")
				time.Sleep(450 * time.Millisecond)
			}
			c.CloseWrite()
			return all(c)
		}, func(c *net.TCPConn) string { s := all(c); c.CloseWrite(); return s }, [2]string{"", "xxx"}, nil, func(c *Config) { c.Limits.Idle = time.Second }, false, "closed 3 0 0s", ""},
		"the sandbox ends":             {all, all, [2]string{" then an error", " then an error"}, nil, nil, true, "closed with the sandbox 0 0 0s", ""},
		"forbidden by its first bytes": {all, all, [2]string{" then an error", " then an error"}, func(c *call) { c.first = func() ([]byte, error) { return []byte("x"), errors.New("no") } }, nil, false, "reset 0 0 0s", ""},
		"taken over": {func(c *net.TCPConn) string { c.CloseWrite(); return all(c) }, func(c *net.TCPConn) string { s := all(c); say(c, "hi"); c.CloseWrite(); return s }, [2]string{"early hi", "first"}, func(c *call) {
			c.begun = begun{at: time.Unix(1_700_000_000-60, 0), sent: 3, received: 10, back: []byte("early ")}
			c.first = func() ([]byte, error) { return []byte("first"), nil }
		}, nil, false, "closed 8 18 1m0s", ""},
		"not recorded": {func(c *net.TCPConn) string { c.CloseWrite(); return all(c) }, func(c *net.TCPConn) string { s := all(c); c.CloseWrite(); return s }, [2]string{"", ""}, nil, func(c *Config) { c.Sink = func(audit.Event) error { return errors.New("full") } }, false, "", "cannot record the end of the connection to a.example:1: full"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newQuietWorld(t)
			cfg := w.config(plan.Network{})
			if c.config != nil {
				c.config(&cfg)
			}
			e, err := Serve(t.Context(), nil, cfg)
			must(t, err)
			in, program := joined(t)
			out, host := joined(t)
			if !e.keep(in) || !e.keep(out) {
				t.Fatal("not kept")
			}
			a := call{subject: "a.example:1", meant: "203.0.113.5:1", first: nothing, rule: policy.Host{At: policy.Pos{File: "p.toml", Line: 1, Col: 1}}}
			if c.call != nil {
				c.call(&a)
			}
			var heard [2]string
			var wg sync.WaitGroup
			wg.Go(func() { heard[0] = c.program(program) })
			wg.Go(func() { heard[1] = c.host(host) })
			if c.stop {
				wg.Go(func() { time.Sleep(20 * time.Millisecond); e.stop() })
			}
			address := out.RemoteAddr().String()
			e.join(in, out, a)
			in.Close() // as the caller does
			out.Close()
			wg.Wait()
			if heard != c.heard {
				t.Errorf("the program heard %.60q and the host %.60q, want %.60q", heard[0], heard[1], c.heard)
			}
			record := ""
			for _, ev := range w.events {
				record = fmt.Sprint(ev.Detail, " ", ev.Sent, " ", ev.Received, " ", ev.Duration)
				if ev.Kind != audit.KindConnect || ev.Verdict != audit.Observed || ev.Subject != "a.example:1" || ev.Rule != "p.toml:1:1" || ev.Address != address {
					t.Errorf("%+v", ev)
				}
			}
			if record != c.record || strings.Join(w.told, ";") != c.told {
				t.Errorf("recorded %q, told %q; want %q, %q", record, w.told, c.record, c.told)
			}
			_ = e.Close()
		})
	}
	// What a host said before it reset the connection still reaches the program.
	w := newQuietWorld(t)
	e, err := Serve(t.Context(), nil, w.config(plan.Network{}))
	must(t, err)
	defer e.Close()
	in, program := joined(t)
	out, host := joined(t)
	go func() {
		_, _ = io.ReadFull(host, make([]byte, 1))
		_, _ = io.WriteString(host, "too large")
		host.Close() // with bytes unread: a reset
	}()
	_, err = program.Write(make([]byte, 64<<10))
	must(t, err)
	done := make(chan struct{})
	go func() { e.join(in, out, call{first: nothing}); in.Close(); out.Close(); close(done) }()
	if got := all(program); !strings.HasPrefix(got, "too large") {
		t.Errorf("an early answer was lost: %q", got)
	}
	program.Close()
	<-done
}

// The limits of a profile hold back and do not refuse: the next connection waits, and a
// person is told which line makes it wait.
func TestLimitsMakeConnectionsWait(t *testing.T) {
	withWorld(t, func(t *testing.T, _ *world) {
		for _, m := range []machine{apart, shared} {
			t.Run(string(m), func(t *testing.T) {
				w := newSandbox(t)
				w.peer("203.0.113.5:8080", echo)
				cfg := w.config(network(t, "203.0.113.5:8080"))
				cfg.Limits.Connections, cfg.Limits.PerSecond = 2, 2
				e := w.serveOn(m, cfg)
				var open []*net.TCPConn
				for range 2 {
					c, err := w.dial("203.0.113.5:8080")
					must(t, err)
					_, err = c.Write([]byte("x"))
					must(t, err)
					_, err = io.ReadFull(c, make([]byte, 1))
					must(t, err)
					open = append(open, c)
				}
				third, err := w.dial("203.0.113.5:8080")
				must(t, err)
				_, err = third.Write([]byte("x"))
				must(t, err)
				w.awaitTold("2 connections are open; the next wait (limits.connections)")
				must(t, third.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
				if n, err := third.Read(make([]byte, 1)); n > 0 || err == nil {
					t.Error("three connections of two are served")
				}
				must(t, third.SetReadDeadline(time.Now().Add(patience)))
				open[0].Close()
				if _, err := io.ReadFull(third, make([]byte, 1)); err != nil {
					t.Errorf("the next is not served when there is room: %v", err)
				}
				if ev := w.await(is(audit.KindLimit, audit.Observed, "connections")); ev.Detail != "2 connections are open; the next wait (limits.connections)" {
					t.Errorf("%+v", ev)
				}
				third.Close()
				open[1].Close()
				limited := is(audit.KindLimit, audit.Observed, "connection-rate")
				for i, some := 0, false; !some && i < 100; i++ { // after a burst of four
					c, err := w.dial("203.0.113.5:8080")
					must(t, err)
					if got, err := talk(c, "y"); got != "y" || err != nil {
						t.Fatalf("%q, %v", got, err)
					}
					w.mu.Lock()
					some = slices.ContainsFunc(w.events, limited)
					w.mu.Unlock()
				}
				w.awaitTold("2 connections a second were made; the next wait (limits.connection-rate)")
				w.await(limited)
				must(t, e.Close())
			})
		}
		// A limit that is the machine's own is said so.
		w := newQuietWorld(t)
		e := &Egress{cfg: w.config(plan.Network{}).withDefaults(), ledger: newLedger(w.sink, w.tell, w.clock), conns: make(chan struct{}, 1)}
		e.ctx, e.cancel = context.WithCancel(t.Context())
		e.cfg.Limits.narrow = true
		if !e.admit() {
			t.Error("the first is not admitted")
		}
		e.cancel()
		if e.admit() || len(w.told) != 1 || w.told[0] != "1 connections are open; the next wait (this machine gives mcpen no more open files: ulimit -n)" {
			t.Errorf("told %q", w.told)
		}
	})
}

// Much passes unchanged, also to a reader that takes its time, both ways and on every
// sort of listener.
func TestMuchPassesToSlowReaders(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		data := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
		slow := func(c *net.TCPConn) {
			time.Sleep(50 * time.Millisecond)
			echo(c)
		}
		w.peer("203.0.113.5:8080", slow)
		w.peer("127.0.0.1:5432", slow)
		w.serve(w.config(network(t, "203.0.113.5:8080", "localhost:5432")))
		for _, addr := range []string{"203.0.113.5:8080", "127.0.0.1:5432"} {
			c, err := w.dial(addr)
			must(t, err)
			go func() {
				_, _ = c.Write(data)
				_ = c.CloseWrite()
			}()
			time.Sleep(100 * time.Millisecond)
			got, err := io.ReadAll(c)
			if !bytes.Equal(got, data) || err != nil {
				t.Errorf("%s: %d bytes of %d came back, %v", addr, len(got), len(data), err)
			}
			c.Close()
		}
		w.await(func(ev audit.Event) bool {
			return ev.Subject == "203.0.113.5:8080" && ev.Detail == "closed" && ev.Sent == int64(len(data)) && ev.Received == int64(len(data))
		})
	})
}

// A race of addresses is won by the first that answers. The others end, whenever they
// answer, and those that kept it waiting come last from then on.
func TestRacesOfAddresses(t *testing.T) {
	a, b, c := netip.MustParseAddrPort("203.0.113.1:80"), netip.MustParseAddrPort("203.0.113.2:80"), netip.MustParseAddrPort("203.0.113.3:80")
	type host struct {
		after time.Duration // 0: never
		err   error
		late  bool // it answers although nobody waits any more
	}
	refused := errors.New("refused")
	for name, race := range map[string]struct {
		hosts  map[netip.AddrPort]host
		want   string
		took   time.Duration
		tried  string
		closed int // late connections
		order  string
	}{
		"the first":                {map[netip.AddrPort]host{a: {after: time.Millisecond}, b: {after: time.Millisecond}, c: {}}, "203.0.113.1:80", time.Millisecond, "1", 0, "123"},
		"the second, at once":      {map[netip.AddrPort]host{a: {after: time.Millisecond, err: refused}, b: {after: time.Millisecond}, c: {}}, "203.0.113.2:80", 2 * time.Millisecond, "12", 0, "123"},
		"the first is silent":      {map[netip.AddrPort]host{a: {}, b: {after: time.Millisecond}, c: {}}, "203.0.113.2:80", stagger + time.Millisecond, "12", 0, "231"},
		"two are silent":           {map[netip.AddrPort]host{a: {}, b: {}, c: {after: time.Millisecond}}, "203.0.113.3:80", 2*stagger + time.Millisecond, "123", 0, "312"},
		"one answers too late":     {map[netip.AddrPort]host{a: {after: 2 * stagger, late: true}, b: {after: time.Millisecond}, c: {}}, "203.0.113.2:80", stagger + time.Millisecond, "12", 1, "231"},
		"all refuse":               {map[netip.AddrPort]host{a: {after: 1, err: refused}, b: {after: 1, err: errors.New("b")}, c: {after: 1, err: errors.New("c")}}, "refused", 3, "123", 0, "123"},
		"nobody answers":           {map[netip.AddrPort]host{a: {}, b: {}, c: {}}, context.DeadlineExceeded.Error(), 15 * time.Second, "123", 0, "123"},
		"each has its own time":    {map[netip.AddrPort]host{a: {after: 200 * time.Millisecond, err: refused}, b: {}, c: {after: time.Millisecond}}, "203.0.113.3:80", 200*time.Millisecond + stagger + time.Millisecond, "123", 0, "132"},
		"the last refuses at once": {map[netip.AddrPort]host{a: {after: stagger + 2*time.Millisecond}, b: {after: time.Millisecond, err: refused}, c: {after: time.Millisecond, err: refused}}, "203.0.113.1:80", stagger + 2*time.Millisecond, "123", 0, "123"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				tried, closed := "", 0
				cfg := Config{Sink: func(audit.Event) error { return nil }, Warn: func(string) {}}
				cfg.Dial = func(ctx context.Context, to netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error) {
					mu.Lock()
					tried += to.Addr().String()[len("203.0.113."):]
					mu.Unlock()
					h := race.hosts[to]
					done := ctx.Done()
					if h.late {
						done = nil
					}
					wait := h.after
					if wait == 0 {
						wait = time.Hour
					}
					select {
					case <-time.After(wait):
					case <-done:
						return nil, ctx.Err()
					}
					if h.err != nil {
						return nil, h.err
					}
					here, there := net.Pipe()
					go func() {
						_, _ = there.Read(make([]byte, 1))
						mu.Lock()
						closed++
						mu.Unlock()
					}()
					return &ends{Conn: here, remote: net.TCPAddrFromAddrPort(to)}, nil
				}
				e, err := Serve(t.Context(), nil, cfg)
				must(t, err)
				began := time.Now()
				conn, err := e.reach(call{to: []netip.AddrPort{a, b, c}, check: func(netip.AddrPort) error { return nil }})
				took := time.Since(began)
				got := fmt.Sprint(err)
				if err == nil {
					got = conn.RemoteAddr().String()
				}
				if got != race.want || took != race.took {
					t.Errorf("%s after %v, want %s after %v", got, took, race.want, race.took)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				mu.Lock()
				if tried != race.tried || closed != race.closed {
					t.Errorf("tried %s and closed %d, want %s and %d", tried, closed, race.tried, race.closed)
				}
				mu.Unlock()
				order := ""
				for _, p := range e.past.best([]netip.AddrPort{a, b, c}, e.cfg.Now()) {
					order += p.Addr().String()[len("203.0.113."):]
				}
				if order != race.order {
					t.Errorf("next time in the order %s, want %s", order, race.order)
				}
				if race.want == a.String() && len(e.past.of) > 0 { // it would displace what matters
					t.Errorf("of an address that let nobody wait is remembered: %v", e.past.of)
				}
				if conn != nil {
					conn.Close()
				}
				synctest.Wait()
				must(t, e.Close())
			})
		})
	}
	// Nothing is dialled that the check refuses, whatever dials.
	w := newQuietWorld(t)
	cfg := w.config(plan.Network{})
	dialled := 0
	cfg.Dial = func(context.Context, netip.AddrPort, func(netip.AddrPort) error) (net.Conn, error) {
		dialled++
		return nil, errors.New("dialled")
	}
	e, err := Serve(t.Context(), nil, cfg)
	must(t, err)
	defer e.Close()
	no := func(netip.AddrPort) error { return errors.New("not there") }
	for _, to := range [][]netip.AddrPort{{a}, {a, b}} {
		if _, err := e.reach(call{to: to, check: no}); err == nil || err.Error() != "not there" {
			t.Errorf("%v", err)
		}
	}
	if dialled > 0 {
		t.Errorf("%d dialled", dialled)
	}
	if _, err := e.reach(call{check: no}); err == nil || err.Error() != "it has no address" {
		t.Errorf("%v", err)
	}
	// The addresses that nobody asked for are tried if none answered, and only then.
	more := 0
	c2 := call{to: []netip.AddrPort{a}, check: func(netip.AddrPort) error { return nil }, more: func() []netip.AddrPort { more++; return nil }}
	if _, err := e.reach(c2); err == nil || more != 1 || dialled != 1 {
		t.Errorf("%v, asked %d times for more, dialled %d", err, more, dialled)
	}
	c2.more = func() []netip.AddrPort { return []netip.AddrPort{b} }
	if _, err := e.reach(c2); err == nil || dialled != 3 {
		t.Errorf("%v, dialled %d", err, dialled)
	}
}

// Of many addresses a bounded number is tried at once. The one that has waited longest gives
// way, and not one that has refused: that is not slow. Each has its time before the next.
func TestRacesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var list []netip.AddrPort
		for i := range maxAtOnce + 5 {
			list = append(list, netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 80))
		}
		var mu sync.Mutex
		running, most := 0, 0
		cfg := Config{Sink: func(audit.Event) error { return nil }, Warn: func(string) {}, Limits: Limits{Connect: time.Minute}}
		cfg.Dial = func(ctx context.Context, to netip.AddrPort, _ func(netip.AddrPort) error) (net.Conn, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			defer func() { mu.Lock(); running--; mu.Unlock() }()
			switch to {
			case list[0]:
				return nil, errors.New("refused")
			case list[len(list)-1]:
				here, _ := net.Pipe()
				return here, nil
			}
			<-ctx.Done()
			time.Sleep(time.Millisecond) // it takes a moment to give up
			return nil, ctx.Err()
		}
		e, err := Serve(t.Context(), nil, cfg)
		must(t, err)
		began := time.Now()
		conn, err := e.reach(call{to: list, check: func(netip.AddrPort) error { return nil }})
		must(t, err)
		conn.Close()
		if took := time.Since(began); took != time.Duration(len(list)-2)*stagger {
			t.Errorf("the last address was tried after %v", took)
		}
		if _, err := e.reach(call{to: list[1 : len(list)-1], check: func(netip.AddrPort) error { return nil }}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("of silent ones: %v", err)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		if most != maxAtOnce+1 || running != 0 { // one gives up while the next begins
			t.Errorf("%d at once, %d still", most, running)
		}
		for i, a := range list {
			if o, known := e.past.of[a]; o.slow != (i > 0 && i < len(list)-1) || known != (i > 0) {
				t.Errorf("address %d is known: %v, and slow: %v", i, known, o.slow)
			}
		}
		must(t, e.Close())
	})
}

// opens is the number of closers that an egress keeps.
func (e *Egress) opens() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.open)
}

// Nothing is kept of a connection that has ended, whichever way it took: a server that
// makes many would otherwise fill the launcher's memory. And its record is of all of it.
func TestNothingIsKeptOfEndedConnections(t *testing.T) {
	withWorld(t, func(t *testing.T, _ *world) {
		for _, m := range []machine{apart, shared} {
			t.Run(string(m), func(t *testing.T) { nothingIsKept(t, newSandbox(t), m) })
		}
	})
}

func nothingIsKept(t *testing.T, w *world, m machine) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the collector closes what nobody closed
	much := bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
	w.peer("203.0.113.5:8080", echo)
	w.peer("203.0.113.5:8081", echo)
	w.peer("203.0.113.5:8443", echo)
	w.peer("127.0.0.1:5432", echo)
	cfg := w.config(network(t, "203.0.113.5:8080", "203.0.113.5:8081", "203.0.113.5:8443", "localhost:5432", "a.example:8443 tls=true"))
	cfg.Sink = func(ev audit.Event) error {
		if ev.Subject == "203.0.113.5:8081" && ev.Verdict == audit.Allowed {
			return errors.New("full")
		}
		return w.sink(ev)
	}
	e := w.serveOn(m, cfg)
	before, sockets := e.opens(), countSockets(t)
	for _, addr := range []string{"203.0.113.5:8080", "127.0.0.1:5432", "203.0.113.5:8443"} { // the last port has another way
		for _, text := range []string{"", "x", string(much)} {
			c, err := w.dial(addr)
			must(t, err)
			first := text[:min(len(text), 1)]
			_, err = io.WriteString(c, first)
			must(t, err)
			_, err = io.ReadFull(c, make([]byte, len(first)))
			must(t, err)
			w.pass(time.Minute)
			done := make(chan error, 1)
			go func() { _, err := io.WriteString(c, text[len(first):]); _ = c.CloseWrite(); done <- err }()
			got, err := io.ReadAll(c)
			if string(got) != text[len(first):] || err != nil {
				t.Errorf("%s: %d bytes of %d came back, %v", addr, len(got), len(text), err)
			}
			must(t, <-done)
			c.Close()
			subject := strings.Replace(addr, "127.0.0.1", "localhost", 1)
			w.await(func(ev audit.Event) bool {
				return ev.Subject == subject && ev.Detail == "closed" && ev.Sent == int64(len(text)) && ev.Received == ev.Sent && ev.Address == addr && (ev.Duration == time.Minute || len(text) == 0)
			})
		}
	}
	if c, err := w.dial("203.0.113.5:8081"); err == nil { // it cannot be recorded
		wantReset(t, c)
	} else if !errors.Is(err, unix.ECONNRESET) { // already
		t.Error(err)
	}
	for end := time.Now().Add(patience); e.opens() != before || len(e.conns) > 0 || len(e.dials) > 0 || countSockets(t) != sockets; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d are kept, %d were; %d sockets, %d were; %d and %d slots are taken", e.opens(), before, countSockets(t), sockets, len(e.conns), len(e.dials))
		}
	}
}

// A connection that waits for room ends with the sandbox, on every sort of listener.
func TestWaitingConnectionsEnd(t *testing.T) {
	withWorld(t, func(t *testing.T, _ *world) {
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		for _, m := range []machine{apart, shared} {
			t.Run(string(m), func(t *testing.T) {
				w := newSandbox(t)
				w.peer("203.0.113.5:8080", echo)
				cfg := w.config(network(t, "203.0.113.5:8080"))
				cfg.Limits.Connections = 1
				sockets := countSockets(t)
				e := w.serveOn(m, cfg)
				for range 2 {
					c, err := w.dial("203.0.113.5:8080")
					must(t, err)
					defer c.Close()
				}
				w.awaitTold("1 connections are open; the next wait (limits.connections)")
				must(t, e.Close())
				for end := time.Now().Add(patience); countSockets(t) != sockets+2; time.Sleep(time.Millisecond) { // the program's own
					if time.Now().After(end) {
						t.Fatalf("%d sockets, %d were", countSockets(t), sockets)
					}
				}
			})
		}
	})
}

// single is a listener that fails and then accepts one connection.
type single struct {
	net.Listener
	fails error
	conn  net.Conn
}

func (s *single) Accept() (c net.Conn, err error) {
	switch {
	case s.fails != nil:
		s.fails, err = nil, s.fails
	case s.conn != nil:
		s.conn, c = nil, s.conn
	default:
		err = net.ErrClosed
	}
	return c, err
}
func (s *single) Close() error { return nil }

// A connection whose directions cannot be closed one by one is not served, and ends.
func TestAConnectionOfNoKnownKindEnds(t *testing.T) {
	e, err := Serve(t.Context(), nil, newQuietWorld(t).config(plan.Network{}))
	must(t, err)
	defer e.Close()
	here, there := net.Pipe()
	e.accept(&single{conn: here}, func(stream) { t.Error("it is served") }, false)
	if _, err := there.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("it is open: %v", err)
	}
	// A listener that fails says so, and goes on.
	w := newQuietWorld(t)
	e.ledger.warn = w.tell
	here, there = net.Pipe()
	e.accept(&single{fails: unix.EMFILE, conn: here}, func(stream) { t.Error("it is served") }, false)
	if _, err := there.Read(make([]byte, 1)); err != io.EOF || len(w.told) != 1 || w.told[0] != "cannot accept: too many open files" {
		t.Errorf("behind a failure: %v, told %q", err, w.told)
	}
	e.stop()
	here, _ = net.Pipe()
	l := &single{fails: unix.EMFILE, conn: here}
	if e.accept(l, nil, false); l.conn == nil {
		t.Error("it accepts behind the end of the sandbox")
	}
	if len(e.conns) > 0 {
		t.Errorf("%d slots are taken", len(e.conns))
	}
}

// What comes when the loop has ended is closed, and ending it again does nothing.
func TestNothingIsKeptBehindTheLoop(t *testing.T) {
	e, err := Serve(t.Context(), nil, newQuietWorld(t).config(network(t, "203.0.113.5:8080")))
	must(t, err)
	must(t, e.Close())
	e.loop.end()
	must(t, e.loop.Close())
	here, there := joined(t)
	if e.loop.keep(here) || e.loop.add(1<<20, unix.EPOLLIN, nil) {
		t.Error("kept")
	}
	if _, err := there.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("it is open: %v", err)
	}
	f, err := os.Open("/dev/null")
	must(t, err)
	defer f.Close()
	if err := e.loop.open(f, func(*ear) {}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	for _, h := range []listeners.Handle{{Kind: listeners.KindLocal, Port: 8080, Gated: true}, {Kind: listeners.KindTCP, Port: 8080}, {Kind: listeners.KindGate}} {
		before := countFDs(t)
		if h.File, err = l.(*net.TCPListener).File(); err != nil {
			t.Fatal(err)
		}
		if err := e.Add([]listeners.Handle{h}); err == nil {
			t.Errorf("%+v is served", h)
		}
		if after := countFDs(t); after != before {
			t.Errorf("%+v: %d descriptors are open, %d were", h, after, before)
		}
	}
	// A record that cannot be made at the start stops it.
	cfg := newQuietWorld(t).config(plan.Network{})
	cfg.Sink = func(audit.Event) error { return errors.New("full") }
	before := countFDs(t)
	if e, err := Serve(t.Context(), []listeners.Handle{{Kind: listeners.KindSpare, Shared: true, File: spareSocket(t, false)}}, cfg); e != nil || err == nil || err.Error() != "full" {
		t.Errorf("%v, %v", e, err)
	}
	if after := countFDs(t); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

// secured is a connection over another, as TLS is.
type secured struct{ pipe }

func (s secured) NetConn() net.Conn { return s.Conn }

// A host that resets a connection may have answered before: the program still reads that, if
// it is itself there. A peer that is silent for long is asked whether it is.
func TestWhoIsGone(t *testing.T) {
	gone := func(c *net.TCPConn, far *net.TCPConn) {
		abort(far)
		for end := time.Now().Add(patience); !isReset(c) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	for _, c := range []struct{ out, in, want bool }{{true, false, true}, {true, true, false}, {false, true, false}, {false, false, false}} {
		out, host := joined(t)
		in, program := joined(t)
		if c.out {
			gone(out, host)
		}
		if c.in {
			gone(in, program)
		}
		if onlyGone(out, in) != c.want {
			t.Errorf("the host is gone %v, the program %v: only the host %v", c.out, c.in, !c.want)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	conn, err := dial(t.Context(), l.Addr().(*net.TCPAddr).AddrPort(), func(netip.AddrPort) error { return nil })
	must(t, err)
	defer conn.Close()
	alive := func() (on int) {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		must(t, err)
		must(t, descriptor.Raw(raw, func(fd int) (err error) {
			on, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			return err
		}))
		return on
	}
	must(t, conn.(*net.TCPConn).SetKeepAlive(false))
	before := alive()
	keepAlive(conn.(stream))
	if before != 0 || alive() != 1 {
		t.Errorf("SO_KEEPALIVE was %d and is %d", before, alive())
	}
	here, _ := net.Pipe()
	keepAlive(pipe{here}) // of no kernel
}

// Each record of the server's doings names the request that it is answering: a person learns
// which tool call asked for a host.
func TestRecordsNameTheRequest(t *testing.T) {
	w := newQuietWorld(t)
	cfg := w.config(network(t, "a.example:443"))
	cfg.InFlight = func() *audit.Request { return &audit.Request{ID: []byte("7"), Method: "tools/call"} }
	e, err := Serve(t.Context(), nil, cfg)
	must(t, err)
	defer e.Close()
	rule := cfg.Network.Hosts[0]
	here, _ := net.Pipe()
	for name, f := range map[string]func(){
		"refuse":     func() { e.refuse(refusal{kind: audit.KindConnect, subject: "refuse"}) },
		"failedName": func() { e.failedName("failedName", rule, "why") },
		"limited":    func() { e.limited("limited", "many") },
		"failed":     func() { e.failed(call{subject: "failed", rule: rule}, unix.ECONNREFUSED) },
		"allowed":    func() { _ = e.allowed(call{subject: "allowed", rule: rule, meant: "x"}, pipe{here}) },
		"standIn":    func() { _ = e.names.standIn(asked{name: "standIn", kind: dnsmessage.TypeA}, rule) },
		"allowName":  func() { _ = e.names.allowName(answer{asked: asked{name: "allowName"}}, rule) },
	} {
		w.events = nil
		if f(); len(w.events) != 1 || w.events[0].Subject != name || w.events[0].Request == nil || string(w.events[0].Request.ID) != "7" {
			t.Errorf("%s: %+v", name, w.events)
		}
	}
}

// The end of a connection that nobody took up is a reset, also below TLS with a proxy: the
// other side must not take it for an orderly one.
func TestAnUnusedConnectionIsReset(t *testing.T) {
	for name, end := range map[string]func(c *net.TCPConn){
		"abort": func(c *net.TCPConn) { abort(c) }, "below TLS": func(c *net.TCPConn) { abort(secured{pipe{c}}) },
		"loose": func(c *net.TCPConn) {
			one := loosen(c)
			must(t, one.Close())
			must(t, one.Close())
		},
		"held": func(c *net.TCPConn) {
			(&hold{conn: c}).close(&Egress{open: map[io.Closer]struct{}{}})
		},
	} {
		here, there := joined(t)
		before := countFDs(t)
		end(here)
		if _, err := there.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("%s: %v", name, err)
		}
		if after := countFDs(t); after != before-1 {
			t.Errorf("%s: %d descriptors are open, %d were", name, after, before)
		}
	}
}

// A name that a program uses is remembered for another day; one that it does not use is
// forgotten, and its address is nobody's.
func TestNamesInUseAreRemembered(t *testing.T) {
	w := newQuietWorld(t)
	w.name("a.example", "203.0.113.5")
	w.name("b.example", "203.0.113.6")
	cfg := w.config(network(t, "a.example:443", "b.example:443", "198.51.100.0/24:22"))
	cfg.Own = func() ([]netip.Prefix, error) { return []netip.Prefix{netip.MustParsePrefix("198.51.100.9/32")}, nil }
	e, err := Serve(t.Context(), nil, cfg)
	must(t, err)
	defer e.Close()
	for _, name := range []string{"a.example", "b.example"} {
		rules, _ := e.rules.naming(name)
		e.names.resolve(asked{name: name, kind: dnsmessage.TypeA}, rules)
	}
	used, unused := mustAddrPort(t, "203.0.113.5:443"), mustAddrPort(t, "203.0.113.6:443")
	for range 3 {
		w.pass(linkLife - time.Second)
		gs, around, bad := e.granted(used)
		if bad != nil {
			t.Fatalf("%+v", bad)
		}
		c := e.call(gs[0], used, around)
		if c.subject != "a.example:443" || c.about != "a.example" || c.meant != used.String() || c.grant != gs[0] || c.rule != gs[0].rule {
			t.Errorf("%+v", c)
		}
		if err := c.check(used); err != nil {
			t.Errorf("%v", err)
		}
	}
	if gs, _, bad := e.granted(unused); bad == nil {
		t.Errorf("not used for days, and granted: %+v", gs)
	}
	// A rule for addresses is told of by the address, and the machine's own is refused.
	gs, around, bad := e.granted(mustAddrPort(t, "198.51.100.7:22"))
	if bad != nil {
		t.Fatalf("%+v", bad)
	}
	c := e.call(gs[0], mustAddrPort(t, "198.51.100.7:22"), around)
	if c.subject != "198.51.100.7:22" || c.about != "198.51.100.7" || c.meant != "198.51.100.7:22" || len(c.to) != 1 || c.to[0].String() != "198.51.100.7:22" || c.more() != nil {
		t.Errorf("%+v", c)
	}
	if _, _, bad := e.granted(mustAddrPort(t, "198.51.100.9:22")); bad == nil || bad.subject != "198.51.100.9:22" || bad.about != "198.51.100.9" || bad.address != "198.51.100.9:22" || bad.rule != "p.toml:3:1" || bad.why != "198.51.100.9 is this machine's own address" || bad.grant != nil || bad.kind != audit.KindConnect {
		t.Errorf("%+v", bad)
	}
	// One line a minute for each address, whatever its ports.
	w.told = nil
	for _, to := range []string{"203.0.113.99:1", "203.0.113.99:2", "203.0.113.98:1", "203.0.113.99:3"} {
		in, _ := endsOf(t, to)
		e.out(in)
	}
	if len(w.told) != 2 || !slices.ContainsFunc(w.told, func(s string) bool { return strings.HasPrefix(s, "refused 203.0.113.98:1") }) {
		t.Errorf("told %q", w.told)
	}
	if e, err := Serve(t.Context(), nil, newQuietWorld(t).config(plan.Network{})); err != nil || e.machine != nil {
		t.Errorf("a server without hosts watches this machine's addresses: %v", err)
	} else {
		e.Close()
	}
}

// An egress that cannot speak to a proxy does not start, and one whose last counts
// cannot be written says so at its end.
func TestTheEgressSaysItsOwnFailures(t *testing.T) {
	w := newQuietWorld(t)
	cfg := w.config(plan.Network{Proxies: plan.Proxies{HTTPS: by("https://10.9.0.7:3128", "")}})
	if e, err := Serve(t.Context(), nil, cfg); err == nil || e != nil || !strings.Contains(err.Error(), "nobody can speak to the proxy") {
		t.Errorf("%v, %v", e, err)
	}
	e, err := Serve(t.Context(), nil, w.config(plan.Network{}))
	must(t, err)
	for range 2 {
		must(t, e.ledger.note(audit.Event{Kind: audit.KindConnect, Verdict: audit.Refused, Subject: "a:1"}))
	}
	full := errors.New("the disk is full")
	e.ledger.sink = func(audit.Event) error { return full }
	if err := e.Close(); !errors.Is(err, full) {
		t.Errorf("Close: %v", err)
	}
}

// A listener whose connections cannot be taken says so: every connection of the server
// would otherwise wait for no visible reason.
func TestAListenerThatTakesNothingSaysSo(t *testing.T) {
	w := newQuietWorld(t)
	e, err := Serve(t.Context(), nil, w.config(plan.Network{}))
	must(t, err)
	defer e.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0) // it does not listen
	must(t, err)
	defer unix.Close(fd)
	e.acceptQuick(&ear{l: e.loop, fd: fd}, listeners.Handle{}, func(stream) { t.Error("a connection was taken") })
	w.awaitTold("accept")
}

// The idle limit holds for every connection, however short it is.
func TestIdleConnectionsEndBehindAGate(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("203.0.113.5:8080", echo)
		cfg := w.config(network(t, "203.0.113.5:8080"))
		cfg.Limits.Idle = 200 * time.Millisecond
		w.serve(cfg)
		c, err := w.dial("203.0.113.5:8080")
		must(t, err)
		must(t, c.SetDeadline(time.Now().Add(patience)))
		wantReset(t, c)
		w.await(func(ev audit.Event) bool {
			return ev.Subject == "203.0.113.5:8080" && ev.Detail == "closed after nothing came for 200ms"
		})
	})
}
