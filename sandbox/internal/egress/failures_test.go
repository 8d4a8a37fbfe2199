package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/descriptor"
	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// An egress that cannot have all that it needs does not start, and leaves no descriptor
// behind: a server would otherwise have a gate that nobody serves.
func TestServeStartsWholeOrNotAtAll(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		n := network(t, "203.0.113.5:8080", "localhost:7000")
		n.Sockets = []plan.Socket{{Socket: policy.Socket{Path: filepath.Join(t.TempDir(), "s.sock")}, Real: "/srv/s.sock"}}
		var serving atomic.Bool
		calls := []uintptr{unix.SYS_SOCKET, unix.SYS_BIND, unix.SYS_EPOLL_CREATE1, unix.SYS_EVENTFD2, unix.SYS_EPOLL_CTL, unix.SYS_FCNTL, unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKOPT}
		unheard, err := fault.Each(calls, unix.EIO, func(c fault.Call) bool {
			if c.Number == unix.SYS_FCNTL && c.Args[1] != unix.F_DUPFD_CLOEXEC || c.Number == unix.SYS_EPOLL_CTL && c.Args[1] != unix.EPOLL_CTL_ADD {
				return false // of Go's own files
			}
			return serving.Load()
		}, func() error {
			os.Remove(n.Sockets[0].Path)
			before := countFDs(t)
			var hs []listeners.Handle
			var err error
			newSandbox(t).inside(func() {
				if hs, err = listeners.Listen(n); err == nil {
					hs = append(hs, listeners.Handle{Kind: listeners.KindSpare, Gated: true, File: spareSocket(t, true)})
				}
			})
			if err != nil {
				return err
			}
			serving.Store(true)
			e, err := Serve(context.Background(), hs, w.config(n))
			serving.Store(false)
			if err == nil {
				must(t, e.Close())
			} else if e != nil {
				t.Errorf("%v, and an egress all the same", err)
			}
			listeners.Close(hs)
			for end := time.Now().Add(patience); countFDs(t) > before; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Errorf("%v: %d descriptors are open, %d were", err, countFDs(t), before)
					break
				}
			}
			return err
		})
		must(t, err)
		for _, c := range unheard {
			t.Errorf("nobody heard of the failure of %v", c)
		}
	})
}

// dial ends as connect(2) does, for a host that answers at once, later, never, or not
// with a connection.
func TestDial(t *testing.T) {
	any := func(netip.AddrPort) error { return nil }
	listen := func(t *testing.T, addr string) (fd int, at netip.AddrPort) {
		l, err := net.Listen("tcp", addr)
		must(t, err)
		f, err := l.(*net.TCPListener).File()
		must(t, err)
		at = l.Addr().(*net.TCPAddr).AddrPort()
		l.Close()
		t.Cleanup(func() { f.Close() })
		must(t, descriptor.Of(f, func(have int) error { fd = have; return unix.Listen(have, 0) }))
		return fd, at
	}
	// One connection more than a backlog of 0 has room for waits.
	crowd := func(t *testing.T, at netip.AddrPort) {
		for range 2 {
			s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			must(t, err)
			t.Cleanup(func() { unix.Close(s) })
			if err := unix.Connect(s, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil && err != unix.EINPROGRESS {
				t.Fatal(err)
			}
		}
	}
	fds := countFDs(t)
	t.Run("at once", func(t *testing.T) {
		for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
			if c, err := net.Listen("tcp", addr); err != nil {
				t.Logf("this machine has no %s", addr)
				continue
			} else {
				c.Close()
			}
			_, at := listen(t, addr)
			c, err := dial(t.Context(), at, any)
			must(t, err)
			if got := c.RemoteAddr().String(); got != at.String() {
				t.Errorf("connected to %s, want %s", got, at)
			}
			c.Close()
		}
	})
	t.Run("nobody", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		at := l.Addr().(*net.TCPAddr).AddrPort()
		l.Close()
		if c, err := dial(t.Context(), at, any); c != nil || !errors.Is(err, unix.ECONNREFUSED) || err.Error() != "connect: connection refused" {
			t.Errorf("%v, %v", c, err)
		}
		if c, err := dial(t.Context(), mustAddrPort(t, "127.0.0.1:0"), any); c != nil || err == nil {
			t.Errorf("port 0: %v, %v", c, err)
		}
	})
	t.Run("later", func(t *testing.T) {
		gone, other := listen(t, "127.0.0.1:0") // by the time its opening comes again
		crowd(t, other)
		refused := make(chan error, 1)
		d, err := begin(other, any)
		must(t, err)
		go func() {
			c, err := d.wait(t.Context())
			if c != nil {
				c.Close()
			}
			refused <- err
		}()
		must(t, unix.Shutdown(gone, unix.SHUT_RDWR)) // it listens no more
		fd, at := listen(t, "127.0.0.1:0")
		crowd(t, at)
		done := make(chan error, 1)
		go func() {
			c, err := dial(t.Context(), at, any)
			if err == nil {
				c.Close()
			}
			done <- err
		}()
		for range 3 {
			c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
			if err == unix.EAGAIN {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			must(t, err)
			unix.Close(c)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := <-refused; !errors.Is(err, unix.ECONNREFUSED) || err.Error() != "connect: connection refused" {
			t.Errorf("refused later: %v", err)
		}
	})
	t.Run("never", func(t *testing.T) {
		_, at := listen(t, "127.0.0.1:0")
		crowd(t, at)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if c, err := dial(ctx, at, any); c != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v", c, err)
		}
		d, err := begin(at, any)
		must(t, err)
		if d.made {
			t.Error("a connection that waits is made")
		}
		unix.Close(d.fd)
	})
	t.Run("refused calls", func(t *testing.T) {
		_, at := listen(t, "127.0.0.1:0")
		for _, call := range []uintptr{unix.SYS_SOCKET, unix.SYS_CONNECT} {
			must(t, fault.Watch([]uintptr{call}, func(fault.Call) fault.Answer { return fault.Fail(unix.EMFILE) }, func() {
				if d, err := begin(at, any); !errors.Is(err, unix.EMFILE) || d != (dialled{}) {
					t.Errorf("call %d: %+v, %v", call, d, err)
				}
			}))
		}
		again := 0
		must(t, fault.Watch([]uintptr{unix.SYS_CONNECT}, func(fault.Call) fault.Answer {
			if again++; again < 3 {
				return fault.Fail(unix.EINTR)
			}
			return fault.Pass
		}, func() {
			if d, err := begin(at, any); err != nil || !d.made {
				t.Errorf("interrupted by signals: %+v, %v", d, err)
			} else {
				unix.Close(d.fd)
			}
		}))
		if _, err := begin(at, func(netip.AddrPort) error { return errors.New("not there") }); err == nil || err.Error() != "not there" {
			t.Errorf("%v", err)
		}
	})
	for end := time.Now().Add(patience); countFDs(t) > fds; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d descriptors are open, %d were", countFDs(t), fds)
		}
	}
}

// ends is a program's connection with chosen addresses.
type ends struct {
	net.Conn
	local, remote net.Addr
	write         func([]byte) (int, error) // nil: to the program
	closed        atomic.Bool
}

func (e *ends) Write(b []byte) (int, error) {
	if e.write != nil {
		return e.write(b)
	}
	return e.Conn.Write(b)
}

func (e *ends) LocalAddr() net.Addr               { return e.local }
func (e *ends) RemoteAddr() net.Addr              { return e.remote }
func (e *ends) CloseWrite() error                 { return nil }
func (e *ends) SetReadDeadline(t time.Time) error { return pipe{e.Conn}.SetReadDeadline(t) }
func (e *ends) Close() error                      { e.closed.Store(true); return e.Conn.Close() }

func endsOf(t *testing.T, to string) (*ends, net.Conn) {
	in, program := net.Pipe()
	t.Cleanup(func() { in.Close(); program.Close() })
	return &ends{Conn: in, local: net.TCPAddrFromAddrPort(mustAddrPort(t, to)), remote: net.TCPAddrFromAddrPort(mustAddrPort(t, "192.0.2.1:40000"))}, program
}

// served is a world that notes the connections it gets.
type served struct {
	imagination
	to []string
}

func (s *served) Serve(_ context.Context, c net.Conn, to netip.AddrPort) {
	s.to = append(s.to, to.String())
	c.Close()
}

// Whatever becomes of a program's connection, it ends, and the log and the person learn
// the same of it.
func TestEachConnectionEnds(t *testing.T) {
	const rule = "a.example:8080"
	for name, c := range map[string]struct {
		to     string
		local  uint16 // of a port of the loopback
		config func(*Config)
		record string // of the last event: verdict, subject, detail, address
		told   string
		world  string
	}{
		"the loopback":         {to: "127.0.0.1:8080"},
		"nobody's":             {to: "203.0.113.9:8080", record: "refused 203.0.113.9:8080: no allowed name led to this address, and no rule names it at 203.0.113.9:8080", told: "refused 203.0.113.9:8080: no allowed name led to this address, and no rule names it; to allow it: network.allow = [\"203.0.113.9:8080\"]"},
		"metadata":             {to: "169.254.169.254:80", record: "refused 169.254.169.254:80: 169.254.169.254 is a cloud's metadata service at 169.254.169.254:80", told: "refused 169.254.169.254:80: 169.254.169.254 is a cloud's metadata service"},
		"another port":         {to: "203.0.113.5:22", record: "refused a.example:22: a.example is allowed, but not on port 22 at 203.0.113.5:22", told: "refused a.example:22: a.example is allowed, but not on port 22; to allow it: network.allow = [\"a.example:22\"]"},
		"in a trial":           {to: "203.0.113.9:8080", config: func(c *Config) { c.World = &served{} }, world: "203.0.113.9:8080"},
		"in a trial, a rule's": {to: "203.0.113.5:8080", config: func(c *Config) { c.World = &served{} }, record: "observed a.example:8080: allowed, but it cannot be reached: connect: no route to host at 203.0.113.5:8080", told: "cannot reach a.example:8080, which p.toml:1:1 allows: no route to host"},
		"of nobody knows whom": {to: "203.0.113.5:8080", config: func(c *Config) { c.Own = func() ([]netip.Prefix, error) { return nil, errors.New("no list") } }, record: "refused a.example:8080: nobody can tell whether it is this machine's own address at 203.0.113.5:8080", told: "cannot tell which addresses are this machine's own: no list; refused a.example:8080: nobody can tell whether it is this machine's own address"},
		"unreachable":          {to: "203.0.113.5:8080", record: "observed a.example:8080: allowed, but it cannot be reached: connect: no route to host at 203.0.113.5:8080", told: "cannot reach a.example:8080, which p.toml:1:1 allows: no route to host"},
		"too late": {to: "203.0.113.5:8080", config: func(c *Config) {
			c.Limits.Connect = 20 * time.Millisecond
			c.Dial = func(ctx context.Context, _ netip.AddrPort, _ func(netip.AddrPort) error) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}, record: "observed a.example:8080: allowed, but it cannot be reached: context deadline exceeded at 203.0.113.5:8080", told: "cannot reach a.example:8080, which p.toml:1:1 allows: nobody answered within 20ms"},
		"dialled elsewhere": {to: "203.0.113.5:8080", config: func(c *Config) {
			c.Dial = func(_ context.Context, to netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error) {
				return nil, errors.Join(check(netip.AddrPortFrom(to.Addr(), 22)), check(netip.MustParseAddrPort("127.0.0.1:8080")))
			}
		}, record: "observed a.example:8080: allowed, but it cannot be reached: refused: \nrefused: 127.0.0.1 is a loopback address at 203.0.113.5:8080", told: "cannot reach a.example:8080, which p.toml:1:1 allows: refused: \nrefused: 127.0.0.1 is a loopback address"},
		"by a connection of no known kind": {to: "203.0.113.5:8080", config: func(c *Config) {
			c.Dial = func(context.Context, netip.AddrPort, func(netip.AddrPort) error) (net.Conn, error) {
				a, _ := net.Pipe()
				return a, nil
			}
		}, record: "observed a.example:8080: allowed, but it cannot be reached: internal error: connected by a *net.pipe at 203.0.113.5:8080", told: "cannot reach a.example:8080, which p.toml:1:1 allows: internal error: connected by a *net.pipe"},
		"a local port":  {to: "127.0.0.1:5432", local: 5432, record: "observed localhost:5432: allowed, but it cannot be reached: connect: no route to host at 127.0.0.1:5432", told: "cannot reach localhost:5432, which p.toml:2:1 allows: no route to host"},
		"no local port": {to: "127.0.0.1:5433", local: 5433, record: "refused localhost:5433: no rule names this port at 127.0.0.1:5433", told: "refused localhost:5433: no rule names this port"},
		"a local port, moved": {to: "127.0.0.1:5432", local: 5432, config: func(c *Config) {
			c.Dial = func(_ context.Context, to netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error) {
				return nil, errors.Join(check(netip.AddrPortFrom(to.Addr(), 22)), check(netip.MustParseAddrPort("203.0.113.5:5432")))
			}
		}, record: "observed localhost:5432: allowed, but it cannot be reached: refused: 127.0.0.1:22 is not what the rule names\nrefused: 203.0.113.5:5432 is not what the rule names at 127.0.0.1:5432", told: "cannot reach localhost:5432, which p.toml:2:1 allows: refused: 127.0.0.1:22 is not what the rule names\nrefused: 203.0.113.5:5432 is not what the rule names"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newQuietWorld(t)
			cfg := w.config(network(t, rule, "localhost:5432"))
			cfg.Own = func() ([]netip.Prefix, error) { return nil, nil }
			cfg.Dial = func(context.Context, netip.AddrPort, func(netip.AddrPort) error) (net.Conn, error) {
				return nil, os.NewSyscallError("connect", unix.EHOSTUNREACH)
			}
			if c.config != nil {
				c.config(&cfg)
			}
			e, err := Serve(context.Background(), nil, cfg)
			must(t, err)
			e.names.table.learn(answer{asked: asked{name: "a.example", kind: dnsmessage.TypeA}, addrs: []netip.Addr{netip.MustParseAddr("203.0.113.5")}, until: w.clock().Add(time.Hour)}, w.clock())
			in, _ := endsOf(t, c.to)
			if c.local > 0 {
				e.local(in, c.local)
			} else {
				e.out(in)
			}
			if !in.closed.Load() {
				t.Error("the program's connection stays open")
			}
			record := ""
			if n := len(w.events); n > 0 {
				ev := w.events[n-1]
				record = fmt.Sprintf("%s %s: %s at %s", ev.Verdict, ev.Subject, ev.Detail, ev.Address)
				if ev.Kind != audit.KindConnect {
					t.Errorf("%+v", ev)
				}
				if want := map[bool]string{true: "p.toml:2:1", false: "p.toml:1:1"}[c.local > 0]; ev.Verdict == audit.Observed && ev.Rule != want {
					t.Errorf("by the rule at %q, want %q", ev.Rule, want)
				}
			}
			if record != c.record {
				t.Errorf("recorded %q, want %q", record, c.record)
			}
			if got := strings.Join(w.told, "; "); got != c.told {
				t.Errorf("told %q, want %q", got, c.told)
			}
			if s, ok := cfg.World.(*served); ok && strings.Join(s.to, " ") != c.world {
				t.Errorf("the world got %q, want %q", s.to, c.world)
			}
			must(t, e.Close())
			if len(e.open) > 0 || len(e.conns) > 0 || len(e.dials) > 0 {
				t.Errorf("%d open, %d and %d slots are taken", len(e.open), len(e.conns), len(e.dials))
			}
		})
	}
}

// A connection that cannot be recorded, or that becomes ready when the sandbox is gone,
// is not passed on: both of its ends are closed.
func TestAReadyConnectionThatMayNotPass(t *testing.T) {
	for name, change := range map[string]func(*Config, *Egress){
		"not recorded": func(cfg *Config, e *Egress) { e.ledger.sink = func(audit.Event) error { return errors.New("full") } },
		"too late":     func(_ *Config, e *Egress) { e.stop() },
	} {
		w := newQuietWorld(t)
		there, peer := endsOf(t, "192.0.2.7:1")
		_ = peer
		cfg := w.config(network(t, "203.0.113.5:8080"))
		cfg.Own = func() ([]netip.Prefix, error) { return nil, nil }
		var e *Egress
		cfg.Dial = func(context.Context, netip.AddrPort, func(netip.AddrPort) error) (net.Conn, error) {
			change(&cfg, e)
			return there, nil
		}
		var err error
		e, err = Serve(context.Background(), nil, cfg)
		must(t, err)
		in, _ := endsOf(t, "203.0.113.5:8080")
		if !e.keep(in) { // as accept does
			t.Fatal("not kept")
		}
		e.out(in)
		if !in.closed.Load() || !there.closed.Load() {
			t.Errorf("%s: the program's end is closed: %v, the other: %v", name, in.closed.Load(), there.closed.Load())
		}
		if len(w.events) > 0 {
			t.Errorf("%s: recorded %+v", name, w.events)
		}
		_ = e.Close()
	}
}

// What is no TCP connection, or is gone, is not passed on as one, and a filter that
// cannot be assembled is not attached.
func TestWhatIsNoConnection(t *testing.T) {
	before := countFDs(t)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	f, err := udp.(*net.UDPConn).File()
	must(t, err)
	r, w, err := os.Pipe()
	must(t, err)
	for name, fd := range map[string]int{"none": -1, "a datagram socket": int(f.Fd()), "a pipe": int(r.Fd())} {
		if c, err := connection(fd); err == nil || c != nil {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
	for _, c := range []io.Closer{udp, f, r, w} {
		c.Close()
	}
	if after := countFDs(t); after != before {
		t.Errorf("%d descriptors, had %d", after, before)
	}
	in, there := joined(t)
	out, _ := joined(t)
	there.Close()
	in.Close()
	if n, err := pour(out, in); n != 0 || err == nil {
		t.Errorf("from a closed one: %d, %v", n, err)
	}
	here, far := joined(t)
	gone, _ := joined(t)
	gone.Close()
	go func() { _, _ = far.Write([]byte("x")); far.CloseWrite() }()
	if _, err := pour(gone, here); err == nil {
		t.Error("to a closed one: no error")
	}
}

// A port that cannot be opened stays closed, and Open says why: a program inside would
// otherwise wait for a port that nobody serves.
func TestAPortIsOpenedOrNot(t *testing.T) {
	calls := []uintptr{unix.SYS_SOCKET, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKOPT, unix.SYS_FCNTL}
	withWorld(t, func(t *testing.T, w *world) {
		var opening atomic.Bool
		unheard, err := fault.Each(calls, unix.EIO, func(c fault.Call) bool {
			return opening.Load() && (c.Number != unix.SYS_SETSOCKOPT || c.Args[1] != unix.SOL_SOCKET || c.Args[2] != unix.SO_BROADCAST && c.Args[2] != unix.SO_REUSEADDR)
		}, func() error {
			f := spareSocket(t, true)
			defer f.Close()
			opening.Store(true)
			defer opening.Store(false)
			e := &Egress{ports: newPorts(), open: map[io.Closer]struct{}{}, closed: true}
			if err := e.ports.spare(listeners.Handle{Kind: listeners.KindSpare, File: f}); err != nil {
				return err
			}
			defer e.ports.close()
			err := e.Open(8080)
			if err != nil && err.Error() == "the sandbox is gone" {
				return nil
			}
			if err == nil {
				t.Error("a port is opened behind Close")
			} else if !strings.Contains(err.Error(), "cannot take connections to port 8080: ") {
				t.Errorf("%v", err)
			}
			return err
		})
		must(t, err)
		for _, c := range unheard {
			if c.Number != unix.SYS_FCNTL || c.Args[1] == unix.F_DUPFD_CLOEXEC { // the others are Go's package net's
				t.Errorf("nobody heard of the failure of %v", c)
			}
		}
	})
}

// A copy of a descriptor that cannot be made whole leaves nothing open.
func TestACopyThatFails(t *testing.T) {
	f := spareSocket(t, false)
	defer f.Close()
	unheard, err := fault.Each([]uintptr{unix.SYS_FCNTL}, unix.EIO, func(c fault.Call) bool {
		return c.Args[1] == unix.F_DUPFD_CLOEXEC || c.Args[1] == unix.F_SETFL
	}, func() error {
		before := countFDs(t)
		c, err := copied(listeners.Handle{File: f})
		if err == nil {
			c.Close()
		} else if c != nil || !strings.Contains(err.Error(), "fcntl: ") {
			t.Errorf("%v, %v", c, err)
		}
		if after := countFDs(t); after != before {
			t.Errorf("%v: %d descriptors are open, %d were", err, after, before)
		}
		return err
	})
	must(t, err)
	if len(unheard) > 0 {
		t.Errorf("nobody heard of %v", unheard)
	}
}

// A program that the launcher starts gets none of the egress's descriptors: each closes on
// execve(2).
func TestDescriptorsStayHere(t *testing.T) {
	withWorld(t, func(t *testing.T, w *world) {
		w.peer("203.0.113.5:8080", echo)
		w.peer("203.0.113.5:8443", echo)
		open := func() map[string]string {
			out := map[string]string{}
			list, err := os.ReadDir("/proc/self/fd")
			must(t, err)
			for _, f := range list {
				if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil {
					out[f.Name()+" "+to] = f.Name()
				}
			}
			return out
		}
		before := open()
		w.serve(w.config(network(t, "203.0.113.5:8080", "203.0.113.5:8443", "a.example:8443 tls=true", "localhost:5432")))
		much := make([]byte, 2*sipped)
		for addr, n := range map[string]int{"203.0.113.5:8080": 1, "203.0.113.5:8443": len(much)} {
			c, err := w.dial(addr)
			must(t, err)
			defer c.Close()
			go func() { _, _ = c.Write(much[:n]) }()
			_, err = io.ReadFull(c, make([]byte, n))
			must(t, err)
		}
		some := 0
		for name, fd := range open() {
			if _, old := before[name]; old {
				continue
			}
			some++
			n, err := strconv.Atoi(fd)
			must(t, err)
			if flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("%s stays open", name)
			}
		}
		if some < 10 {
			t.Errorf("only %d descriptors are new", some)
		}
	})
}
