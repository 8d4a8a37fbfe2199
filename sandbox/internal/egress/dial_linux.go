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

// stagger is what an address gets before the next is tried beside it (RFC 8305,
// section 8), where a name does not have so many that the time would not do for
// all of them.
const stagger = 300 * time.Millisecond

// maxAtOnce bounds the addresses that are tried beside each other for one
// connection. The one that was tried longest makes room.
const maxAtOnce = 16

// dial connects to one address. The check is made by the hook that runs between
// socket(2) and connect(2), on the address that connect(2) is given.
func dial(ctx context.Context, to netip.AddrPort, check func(netip.AddrPort) error) (net.Conn, error) {
	d := net.Dialer{
		FallbackDelay: -1,
		KeepAlive:     -1, // see watch
		Control: func(network, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil || (network != "tcp4" && network != "tcp6") {
				return errors.New("internal error: not an address of TCP")
			}
			return check(ap)
		},
	}
	d.SetMultipathTCP(false) // splice(2) wants plain TCP
	return d.DialContext(ctx, "tcp", to.String())
}

// reach connects to the first of the call's addresses that answers. The program
// inside waits for one connection, so it cannot try another address itself (RFC
// 8305): this does it.
func (e *Egress) reach(c call) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.Limits.Connect)
	defer cancel()
	if c.via.Via != "" {
		return e.tunnel(ctx, c)
	}
	conn, err := e.first(ctx, c.to, c.check)
	if err != nil && c.more != nil && ctx.Err() == nil {
		if more := c.more(); len(more) > 0 {
			return e.first(ctx, more, c.check)
		}
	}
	return conn, err
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

// race is one connection that several addresses are tried for.
type race struct {
	e       *Egress
	ctx     context.Context
	to      []netip.AddrPort
	check   func(netip.AddrPort) error
	results chan result
	tried   []runner // in the order of to
	running int
	heard   int // results
}

// runner is one address that was tried.
type runner struct {
	began  time.Time
	cancel context.CancelFunc // nil when it has ended
}

type result struct {
	i   int
	c   net.Conn
	err error
}

func (r *race) run(stagger time.Duration) (net.Conn, error) {
	r.try()
	t := time.NewTicker(stagger)
	defer t.Stop()
	defer r.close()
	var first error
	for {
		select {
		case got := <-r.results:
			r.heard++
			r.ended(got.i)
			if got.err == nil {
				r.won(got.i)
				return got.c, nil
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
				r.ended(j) // its result still comes, and is counted no more
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

func (r *race) ended(i int) {
	if cancel := r.tried[i].cancel; cancel != nil {
		cancel()
		r.tried[i].cancel = nil
		r.running--
	}
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
	late := len(r.tried) - r.heard
	if late == 0 {
		return
	}
	r.e.goes(func() {
		for range late {
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
