// Package descriptor calls the kernel on the descriptor of an open file or connection.
// The descriptor keeps its mode: (*os.File).Fd would make it block.
package descriptor

import "syscall"

// Of runs f on the descriptor of c, which stays open and in Go's poller meanwhile. The
// error is f's, or says that c is closed.
func Of(c syscall.Conn, f func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return Raw(raw, f)
}

// Raw is Of for a connection that has been asked for its descriptor already.
func Raw(c syscall.RawConn, f func(fd int) error) error {
	var inner error
	if err := c.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}
