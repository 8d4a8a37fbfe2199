package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// newSocket finds the rule for path. The plan resolved its target: a symlink that was
// made since has no effect.
func newSocket(path string, rules []plan.Socket) (plan.Socket, error) {
	for _, r := range rules {
		if r.Path != path || r.Real == "" {
			continue
		}
		for _, p := range []string{r.Path, r.Real} {
			if why, isHost := policy.HostSocket(p); isHost && r.Override == "" {
				return plan.Socket{}, fmt.Errorf("cannot give the socket %q: %s", p, why)
			}
		}
		return r, nil
	}
	return plan.Socket{}, fmt.Errorf("no rule names %q", path)
}

// connectSocket connects to the host's socket. It follows no symlink, and connects to
// exactly the file that it examined.
func connectSocket(ctx context.Context, s plan.Socket) (stream, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, s.Real, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "openat2", Path: s.Real, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &os.PathError{Op: "fstat", Path: s.Real, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, fmt.Errorf("%q is not a socket", s.Real)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // the rest names the descriptor
		}
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

// socket handles a connection to a unix socket inside. Bytes pass; descriptors and
// credentials do not.
func (e *Egress) socket(in stream, to plan.Socket) {
	c := call{subject: to.Path, meant: to.Real, rule: policy.Host{At: to.At}, first: nothing}
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.Limits.Connect)
	defer cancel()
	out, err := connectSocket(ctx, to)
	if err != nil {
		e.failed(c, err)
		return
	}
	if !e.keep(out) {
		return
	}
	defer e.forget(out)
	defer out.Close()
	if e.allowed(c, out) == nil {
		e.join(in, out, c)
	}
}
