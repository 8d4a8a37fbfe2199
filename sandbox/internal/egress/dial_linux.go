package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stagger is the time before the next address is tried in parallel (RFC 8305, section
// 8). With so many addresses that the time would not suffice for all of them, it is
// shorter.
const stagger = 300 * time.Millisecond

// maxAtOnce bounds the addresses tried in parallel for one connection. At the bound the
// oldest attempt is dropped.
const maxAtOnce = 16

// dial connects to one address. check gets exactly the address that connect(2) gets.
func dial(ctx context.Context, to netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error) {
	d, err := begin(to, check)
	if err != nil {
		return nil, err
	}
	return d.wait(ctx)
}

// dialled is a connection in progress. Call wait on it once.
type dialled struct {
	fd   int
	to   unix.Sockaddr
	made bool
}

// begin starts to connect without waiting. A near host may answer before begin returns;
// made is then set, and no goroutine has to wait.
func begin(to netip.AddrPort, check func(netip.AddrPort) error) (dialled, error) {
	if err := check(to); err != nil {
		return dialled{}, err
	}
	family, at := unix.AF_INET, unix.Sockaddr(nil)
	if to.Addr().Is4() {
		at = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	} else {
		family, at = unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	}
	// Plain TCP, which splice(2) needs.
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return dialled{}, os.NewSyscallError("socket", err)
	}
	d := dialled{fd: fd, to: at}
	err = d.connect()
	if err == unix.EINPROGRESS {
		err = d.connect() // the answer may have come meanwhile
	}
	if err != nil && err != unix.EALREADY {
		unix.Close(fd)
		return dialled{}, os.NewSyscallError("connect", err)
	}
	d.made = err == nil
	return d, nil
}

// connect calls connect(2). A second call on the same socket returns the result of the
// first.
func (d dialled) connect() error {
	for {
		err := unix.Connect(d.fd, d.to)
		switch err {
		case unix.EINTR:
		case unix.EISCONN:
			return nil
		default:
			return err
		}
	}
}

// wait waits until the connection is made.
func (d dialled) wait(ctx context.Context) (net.Conn, error) {
	f := os.NewFile(uintptr(d.fd), "connection")
	defer f.Close() // FileConn has a descriptor of its own
	if !d.made {
		if err := d.answered(ctx, f); err != nil {
			return nil, err
		}
	}
	return net.FileConn(f)
}

// answered waits for the host's answer.
func (d dialled) answered(ctx context.Context, f *os.File) (err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	waited := raw.Write(func(uintptr) bool {
		err = d.connect()
		return err != unix.EALREADY
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case waited != nil:
		return waited
	}
	return os.NewSyscallError("connect", err)
}

// reach connects to the first of the call's addresses that answers. It does so for the
// program inside, which waits for one connection and cannot try another address itself
// (RFC 8305).
func (e *Egress) reach(c call) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.Limits.Connect)
	defer cancel()
	if c.via.Via != "" {
		return e.tunnel(ctx, c)
	}
	return e.orElsewhere(ctx, c)(e.first(ctx, c.to, c.check))
}

// orElsewhere takes the result of an attempt, and tries the call's other addresses if
// none answered.
func (e *Egress) orElsewhere(ctx context.Context, c call) func(net.Conn, error) (net.Conn, error) {
	return func(conn net.Conn, err error) (net.Conn, error) {
		if err != nil && c.more != nil && ctx.Err() == nil {
			if more := c.more(); len(more) > 0 {
				return e.first(ctx, more, c.check)
			}
		}
		return conn, err
	}
}

func (e *Egress) first(ctx context.Context, to []netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error) {
	switch len(to) {
	case 0:
		return nil, errors.New("it has no address")
	case 1:
		return e.attempt(ctx, to[0], check)
	}
	r := race{e: e, ctx: ctx, to: to, check: check, results: make(chan result, len(to))}
	return r.run(min(stagger, e.cfg.Limits.Connect/time.Duration(2*len(to))))
}

func (e *Egress) attempt(ctx context.Context, to netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error) {
	if err := check(to); err != nil {
		return nil, err
	}
	return e.cfg.Dial(ctx, to, check)
}

// race tries several addresses for one connection.
type race struct {
	e       *Egress
	ctx     context.Context
	to      []netip.AddrPort
	check   func(netip.AddrPort) error
	results chan result
	tried   []runner // in the order of to
	running int
	heard   int // number of results
}

// runner is one attempted address.
type runner struct {
	began  time.Time
	cancel context.CancelFunc // nil once it has ended
}

type result struct {
	i   int
	c   net.Conn
	err error
}

func (r *race) run(stagger time.Duration) (net.Conn, error) {
	r.try()
	t := time.NewTicker(stagger)
	defer r.close()
	var first error
	for {
		select {
		case got := <-r.results:
			r.heard++
			ran := r.ended(got.i)
			if got.err == nil {
				r.won(got.i)
				return got.c, nil
			}
			if !ran { // it gave way to another
				continue
			}
			if first == nil {
				first = got.err
			}
			if r.try() {
				t.Reset(stagger)
			} else if r.running == 0 {
				return nil, first
			}
		case <-t.C:
			r.try()
		}
	}
}

// try tries the next address, if there is one.
func (r *race) try() bool {
	i := len(r.tried)
	if i == len(r.to) {
		return false
	}
	if r.running == maxAtOnce {
		for j, old := range r.tried {
			if old.cancel != nil {
				r.e.past.note(r.to[j], true, r.e.cfg.Now())
				r.ended(j) // its error still arrives, but no longer counts
				break
			}
		}
	}
	ctx, cancel := context.WithCancel(r.ctx)
	r.tried = append(r.tried, runner{time.Now(), cancel})
	r.running++
	r.e.goes(func() {
		c, err := r.e.attempt(ctx, r.to[i], r.check)
		r.results <- result{i, c, err}
	})
	return true
}

// ended ends an attempt, and returns false if it has already ended.
func (r *race) ended(i int) bool {
	cancel := r.tried[i].cancel
	if cancel == nil {
		return false
	}
	cancel()
	r.tried[i].cancel = nil
	r.running--
	return true
}

// won remembers who let the others wait, and who did not.
func (r *race) won(winner int) {
	now := r.e.cfg.Now()
	for i, one := range r.tried[:winner] {
		if one.cancel != nil && time.Since(one.began) >= stagger/2 {
			r.e.past.note(r.to[i], true, now)
		}
	}
	if winner > 0 {
		r.e.past.note(r.to[winner], false, now)
	}
}

// close ends those that are still tried; one of them may answer all the same.
func (r *race) close() {
	for i := range r.tried {
		r.ended(i)
	}
	r.e.goes(func() {
		for range len(r.tried) - r.heard {
			if got := <-r.results; got.c != nil {
				got.c.Close()
			}
		}
	})
}

// errnoOf is the symbol of the errno in err, if there is one.
func errnoOf(err error) string {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "ETIMEDOUT"
	}
	return ""
}
