// Package egress is the only way out of the sandbox: named hosts, over TCP.
//
// It is the launcher's half. The sandbox's half is package listeners: pid 1 opens the
// sockets at which every connection and every DNS question inside ends, and sends their
// files to the launcher. Serve answers the questions, decides on the connections and
// joins the allowed ones to connections of its own.
//
// The egress guarantees:
//
//   - A name that no rule names gets NXDOMAIN, and no packet leaves: the only DNS
//     channel is the labels of a wildcard, whose number, length and rate are bounded.
//   - An address is dialled only if an allowed name resolved to it, or if a rule names
//     it. It is never dialled if it is one of the host's own, a private network's
//     (unless the rule says so) or a cloud's metadata service, whatever the name server
//     said. The check is repeated on the socket that connects.
//   - If a rule demands TLS, the first bytes must be a ClientHello with one of the
//     names that resolved to the address.
//   - UDP except for DNS fails at once.
//   - If the plan has a proxy, the proxy resolves an allowed name. Inside, an address
//     of no network stands for the name. The check of names is the same; the check of
//     their addresses is up to the proxy.
//
// It does not open TLS. So an allowed server that relays to others is invisible (domain
// fronting by the HTTP Host field, or by Encrypted Client Hello, whose keys the sandbox
// cannot get from DNS but may contain from the start). A rule without TLS trusts the
// name and the port alone.
//
// A connect(2) inside ends as the one outside does: a gate holds the opening packet
// until the connection outside is made, and refuses it if it cannot be made. A
// connection that the rules refuse is accepted and reset. Without gates (CAP_NET_RAW),
// so is every failed connection.
//
// # Requirements of Serve
//
// While it serves, a process with only these rights suffices:
//
//   - Files: it reads those of Files (openat, fstat, stat) and writes none. For a rule
//     of the profile's sockets it opens the host's socket (openat2 with O_PATH, and
//     connect through /proc/self/fd).
//   - Sockets of its own: AF_INET and AF_INET6, SOCK_STREAM to the ports of the rules,
//     of the proxies and to 53, SOCK_DGRAM to 53; AF_NETLINK with NETLINK_ROUTE, bound
//     to the groups of addresses, opened anew for each question; AF_UNIX for a rule of
//     the profile's sockets. Landlock's TCP ports can be restricted to that list.
//     Listeners, the resolver's socket and raw sockets come as descriptors.
//   - System calls on these: accept4, bind (netlink), close, connect, epoll_create1,
//     epoll_ctl, epoll_pwait, epoll_wait, fcntl (F_DUPFD_CLOEXEC, F_SETFL),
//     getpeername, getsockname, getsockopt (SO_DOMAIN, SO_ERROR, SO_TYPE, TCP_INFO),
//     pipe2, read, recvfrom, recvmsg, sendmsg, sendto, setsockopt (SO_LINGER,
//     SO_KEEPALIVE, SO_BROADCAST, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT,
//     TCP_NODELAY, IPV6_V6ONLY), shutdown, socket, splice, write, writev; prlimit64
//     once, in Serve.
//   - No capability, no process, no signal.
package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/dns"
	"mcpen/sandbox/internal/interfaces"
	"mcpen/sandbox/internal/listeners"
	"mcpen/sandbox/plan"
)

// Config says what an Egress allows and how it reaches the world. Network, Sink and
// Warn are required; a nil function means the default that its comment names, and a
// zero limit likewise.
type Config struct {
	Network plan.Network

	// Lookup returns the records of a name of one type: A, AAAA, SRV or TXT. The
	// default reads /etc/hosts, and then asks the name servers of /etc/resolv.conf.
	Lookup func(ctx context.Context, name string, kind dnsmessage.Type) (dns.Records, error)
	// Dial connects to a checked address. It must call check with the address to which
	// the socket really connects. The default is dial.
	Dial func(ctx context.Context, to netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error)
	// Secure starts TLS on a connection to a proxy with that name (https://…). Nil
	// means that the program has no TLS; it serves no such proxy.
	Secure func(ctx context.Context, c net.Conn, name string) (net.Conn, error)
	// Own lists the addresses of this machine's interfaces, each with its network. It
	// is called at each connection, since addresses come and go. The default asks the
	// kernel once and watches for changes.
	Own func() ([]netip.Prefix, error)
	Now func() time.Time // time.Now

	// World imitates everything that no rule names; nil: such connections are refused.
	World World

	// Sink records decisions. A connection whose decision cannot be recorded is not
	// made.
	Sink audit.Sink
	// Warn receives a line for a person about a refusal, without a newline, at most
	// once a minute for each subject.
	Warn func(line string)
	// Allow is the server's name for "mcpen allow"; "": hints are lines of a profile.
	Allow string
	// InFlight returns the request that the server is answering, if any.
	InFlight func() *audit.Request // none

	Limits Limits
}

// Limits bounds the launcher's work for the server.
type Limits struct {
	Connections int           // open at once; more wait in the kernel's queue (2048, or as many as RLIMIT_NOFILE allows)
	Dials       int           // connections being made at once (256)
	PerSecond   int           // new connections a second, after a burst of twice as many (5000)
	Lookups     int           // questions to the host's resolver at once (32)
	Connect     time.Duration // for making a connection, all its addresses together (15 s)
	Hello       time.Duration // for the first bytes where a server name is demanded (15 s)
	Idle        time.Duration // without a byte in either direction (4 h)

	narrow bool // Connections is the machine's limit
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		is *int
		or int
	}{{&l.Connections, 2048}, {&l.Dials, 256}, {&l.PerSecond, 5000}, {&l.Lookups, 32}} {
		if *f.is <= 0 {
			*f.is = f.or
		}
	}
	for _, f := range []struct {
		is *time.Duration
		or time.Duration
	}{{&l.Connect, 15 * time.Second}, {&l.Hello, 15 * time.Second}, {&l.Idle, 4 * time.Hour}} {
		if *f.is <= 0 {
			*f.is = f.or
		}
	}
	if room := descriptorsFor(l.Connections); room < l.Connections {
		l.Connections, l.narrow = room, true
	}
	return l
}

// Descriptors of the launcher for one connection: its two ends and, while bytes wait, a
// pipe for each direction. Some are reserved for everything else.
const (
	eachOpen  = 6
	otherwise = 256
)

// descriptorsFor is the number of connections, at most the given one, for which there
// are descriptors.
func descriptorsFor(most int) int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return most
	}
	if n := (l.Cur - min(l.Cur/2, otherwise)) / eachOpen; n < uint64(most) {
		return max(int(n), 1)
	}
	return most
}

// Egress serves the sockets of one sandbox.
type Egress struct {
	cfg     Config
	rules   rules
	names   *resolver
	ledger  *ledger
	machine *interfaces.Watcher // nil if the config has its own
	past    *experience
	ways    *ways
	plain   bool // this package makes the connections itself
	held    waiting
	loop    *loop
	young   *young  // nil: join handles every connection from the start
	ready   []*gate // gates to serve
	ports   *ports

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	conns chan struct{} // slots of open connections
	dials chan struct{} // slots of connections being made
	rate  *rate.Limiter

	mu     sync.Mutex
	open   map[io.Closer]struct{}
	closed bool
}

// Serve serves the sockets that listeners.Listen opened, until ctx ends or Close is
// called. It takes over the handles' files and closes them, also on error. Call it
// before the server starts.
func Serve(ctx context.Context, handles []listeners.Handle, cfg Config) (*Egress, error) {
	defer listeners.Close(handles)
	if cfg.Sink == nil || cfg.Warn == nil {
		return nil, errors.New("internal error: the egress has nobody to report to")
	}
	plain := cfg.Dial == nil
	cfg = cfg.withDefaults()
	ways, err := newWays(cfg)
	if err != nil {
		return nil, err
	}
	e := &Egress{
		cfg: cfg, ways: ways, plain: plain, rules: newRules(cfg.Network.Hosts), ledger: newLedger(cfg.Sink, cfg.Warn, cfg.Now),
		conns: make(chan struct{}, cfg.Limits.Connections), dials: make(chan struct{}, cfg.Limits.Dials),
		rate: rate.NewLimiter(rate.Limit(cfg.Limits.PerSecond), min(2*cfg.Limits.PerSecond, math.MaxInt32)),
		open: map[io.Closer]struct{}{}, past: newExperience(), held: waiting{of: map[flow]*hold{}}, ports: newPorts(),
	}
	if cfg.Own == nil && len(cfg.Network.Hosts) > 0 {
		if e.machine, err = interfaces.Watch(); err != nil {
			return nil, err
		}
	}
	e.names = newResolver(e)
	e.ctx, e.cancel = context.WithCancel(ctx)
	if e.loop, err = newLoop(e); err != nil {
		e.Close()
		return nil, fmt.Errorf("cannot wait for connections: %w", err)
	}
	e.open[e.loop] = struct{}{}
	e.beYoung()
	if err := e.serve(handles); err != nil {
		e.Close()
		return nil, err
	}
	if err := e.noteShared(handles); err != nil {
		e.Close()
		return nil, err
	}
	e.goes(func() { e.tend(time.Tick(window)) })
	return e, nil
}

// Add makes e serve more sockets of the same sandbox, if it has more than one message
// can carry. It takes over the handles' files as Serve does, and must return before
// Close is called.
func (e *Egress) Add(handles []listeners.Handle) error {
	defer listeners.Close(handles)
	return e.serve(handles)
}

func (e *Egress) serve(handles []listeners.Handle) error {
	for _, h := range handles {
		if err := e.start(h); err != nil {
			return err
		}
	}
	for i, g := range e.ready {
		if i == 0 {
			e.goes(e.tendHeld)
		}
		if err := g.listen(); err != nil {
			return fmt.Errorf("cannot serve the %q socket: %v", listeners.KindGate, err)
		}
	}
	e.ready = nil
	return nil
}

func (cfg Config) withDefaults() Config {
	if cfg.Lookup == nil {
		cfg.Lookup = dns.NewStub().Lookup
	}
	if cfg.Dial == nil {
		cfg.Dial = dial
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.InFlight == nil {
		cfg.InFlight = func() *audit.Request { return nil }
	}
	cfg.Limits = cfg.Limits.withDefaults()
	return cfg
}

// Close ends every connection, closes every socket and waits until all goroutines of
// the egress have ended. It records pending counts; the error reports that it could
// not. Any goroutine may call it, and more than once.
func (e *Egress) Close() error {
	e.stop()
	e.ports.close()
	e.wg.Wait()
	if e.machine != nil {
		e.machine.Close()
	}
	return e.ledger.sweep(true)
}

// around returns the machine's current surroundings.
func (e *Egress) around() (interfaces.Surroundings, error) {
	if e.machine != nil {
		return e.machine.Around()
	}
	if e.cfg.Own == nil {
		return interfaces.Surroundings{}, errors.New("internal error: no host is allowed, and yet one is dialled")
	}
	list, err := e.cfg.Own()
	return interfaces.New(list), err
}

func (e *Egress) stop() {
	e.cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for c := range e.open {
		abort(c)
	}
	clear(e.open)
}

// goes runs f in a goroutine that Close waits for. Only Serve, or a goroutine that
// Close waits for, may call it.
func (e *Egress) goes(f func()) {
	e.wg.Add(1)
	go func() {
		defer e.wg.Done()
		f()
	}()
}

// keep registers c to be closed by Close. If Close has already run, keep closes c and
// returns false.
func (e *Egress) keep(c io.Closer) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		abort(c)
		return false
	}
	e.open[c] = struct{}{}
	return true
}

func (e *Egress) forget(c io.Closer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.open, c)
}

// start serves one socket.
func (e *Egress) start(h listeners.Handle) error {
	fail := func(err error) error { return fmt.Errorf("cannot serve the %q socket: %v", h.Kind, err) }
	if h.File == nil {
		return fail(errors.New("no file came with it"))
	}
	if h.Kind == listeners.KindGate || h.Kind == listeners.KindBack {
		if err := e.readyGate(h); err != nil {
			return fail(err)
		}
		return nil
	}
	if h.Kind == listeners.KindSpare {
		return e.ports.spare(h)
	}
	if h.Kind == listeners.KindResolver {
		c, err := net.FilePacketConn(h.File)
		if err != nil {
			return fail(err)
		}
		u, ok := c.(*net.UDPConn)
		if !ok || !e.keep(c) {
			c.Close()
			return fail(fmt.Errorf("it is a %T", c))
		}
		e.goes(func() { e.names.serveUDP(u) })
		return nil
	}
	handle, err := e.handler(h)
	if err != nil {
		return fail(err)
	}
	if h.Kind == listeners.KindTCP {
		e.ports.opened(h.Port)
	}
	if e.isQuick(h) {
		return e.startQuick(h, handle)
	}
	l, err := net.FileListener(h.File)
	if err != nil {
		return fail(err)
	}
	if ul, ok := l.(*net.UnixListener); ok {
		ul.SetUnlinkOnClose(false) // its path belongs to the sandbox
	}
	if !e.keep(l) {
		return fail(net.ErrClosed)
	}
	e.goes(func() { e.accept(l, handle, h.Gated) })
	return nil
}

// readyGate prepares a gate for serving. A gate without a socket for sending uses its
// own.
func (e *Egress) readyGate(h listeners.Handle) error {
	p, err := newPackets(h)
	if err != nil {
		return err
	}
	if !e.loop.keep(p) {
		return net.ErrClosed
	}
	switch {
	case h.Kind == listeners.KindGate:
		e.ready = append(e.ready, &gate{e: e, tap: p, back: p})
	case len(e.ready) == 0:
		return errors.New("there is no gate for it")
	default:
		e.ready[len(e.ready)-1].back = p
	}
	return nil
}

// handler returns the function that handles a connection to the socket.
func (e *Egress) handler(h listeners.Handle) (func(stream), error) {
	switch h.Kind {
	case listeners.KindTCP:
		return e.out, nil
	case listeners.KindQueries:
		return e.names.serveTCP, nil
	case listeners.KindLocal:
		return func(in stream) { e.local(in, h.Port) }, nil
	case listeners.KindUnix:
		to, err := newSocket(h.Path, e.cfg.Network.Sockets)
		if err != nil {
			return nil, err
		}
		return func(in stream) { e.socket(in, to) }, nil
	}
	return nil, errors.New("it is of no known kind")
}

// stream is a connection whose directions can be closed separately.
type stream interface {
	net.Conn
	CloseWrite() error
}

// accept passes connections to handle, up to the limit at once. Connections above the
// limit wait: one here, the others in the kernel's queue. A gate has already counted
// its connections.
func (e *Egress) accept(l net.Listener, handle func(stream), gated bool) {
	defer e.forget(l)
	defer l.Close()
	for {
		c, err := l.Accept()
		if err != nil {
			if e.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			e.trouble("accept", err) // out of descriptors, most likely
			if !e.pause(100 * time.Millisecond) {
				return
			}
			continue
		}
		in, ok := c.(stream)
		if !ok || !gated && e.admitted() != nil || !e.admit() {
			c.Close()
			continue
		}
		e.goes(func() {
			defer func() { <-e.conns }()
			if !e.keep(in) {
				return
			}
			defer e.forget(in)
			defer in.Close()
			handle(in)
		})
	}
}

// admitted waits until one more connection may be made.
func (e *Egress) admitted() error {
	if e.rate.Allow() {
		return nil
	}
	e.limited("connection-rate", fmt.Sprintf("%d connections a second were made; the next wait (limits.connection-rate)", e.cfg.Limits.PerSecond))
	return e.rate.Wait(e.ctx)
}

// admit waits for a slot for a connection.
func (e *Egress) admit() bool {
	select {
	case e.conns <- struct{}{}:
		return true
	default:
	}
	why := "limits.connections"
	if e.cfg.Limits.narrow {
		why = "this machine gives mcpen no more open files: ulimit -n"
	}
	e.limited("connections", fmt.Sprintf("%d connections are open; the next wait (%s)", cap(e.conns), why))
	select {
	case e.conns <- struct{}{}:
		return true
	case <-e.ctx.Done():
		return false
	}
}

func (e *Egress) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-e.ctx.Done():
		return false
	}
}

// tend does the periodic work.
func (e *Egress) tend(due <-chan time.Time) {
	for {
		select {
		case <-e.ctx.Done():
			e.stop() // ctx may have ended without Close
			return
		case <-due:
			if err := e.ledger.sweep(false); err != nil {
				e.cfg.Warn("cannot record what the server did on the network: " + err.Error())
			}
		}
	}
}

// World imitates the internet in a trial: everything that no rule names goes to it, and
// nowhere else. Many goroutines may call its methods.
type World interface {
	// Resolve receives each name as asked, and returns its addresses of the wanted
	// family (A or AAAA). kind is 0 for records of other types, which do not exist.
	Resolve(name string, kind dnsmessage.Type) []netip.Addr
	// Serve takes over a connection to an address. It must close it.
	Serve(ctx context.Context, conn net.Conn, to netip.AddrPort)
}
