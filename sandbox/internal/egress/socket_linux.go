package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/policy"
)

// socket is one unix socket of the host that a rule names.
type socket struct {
	path string // as the rule has it
	real string // without symlinks
	rule policy.Socket
}

// newSocket finds the rule for path and follows symlinks once, before the
// server runs: what the server may write later cannot lead elsewhere.
func newSocket(path string, rules []policy.Socket) (socket, error) {
	for _, r := range rules {
		if r.Path != path {
			continue
		}
		s := socket{path: path, real: path, rule: r}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			s.real = real
		} else if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			s.real = filepath.Join(dir, filepath.Base(path)) // it may come later
		}
		for _, p := range []string{s.path, s.real} {
			if why, isHost := policy.HostSocket(p); isHost && r.Override == "" {
				return socket{}, fmt.Errorf("cannot give the socket %q: %s", p, why)
			}
		}
		return s, nil
	}
	return socket{}, fmt.Errorf("no rule names %q", path)
}

// connect opens the host's socket. No symlink is followed any more, and what is
// connected to is what was looked at.
func (s socket) connect(ctx context.Context) (stream, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, s.real, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "openat2", Path: s.real, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &os.PathError{Op: "fstat", Path: s.real, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, fmt.Errorf("%q is not a socket", s.real)
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

// socket handles a connection to a unix socket inside. Bytes pass; descriptors
// and credentials do not.
func (e *Egress) socket(in stream, to socket) {
	c := call{subject: to.path, about: to.path, meant: to.real, rule: policy.Host{At: to.rule.At}, first: nothing}
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.Limits.Connect)
	defer cancel()
	out, err := to.connect(ctx)
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
