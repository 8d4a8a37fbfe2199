package writes

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/notify"
)

// maxAddr is the size of struct sockaddr_storage, the longest address that connect(2)
// accepts.
const maxAddr = 128

// connect connects one of the thread's sockets. It never passes the call back to the
// kernel: between the mediator's look at an address or a descriptor and the kernel's
// own reading, either may change.
func connect(c *call) outcome {
	size := c.arg(2)
	if size < 0 || size > maxAddr {
		return outcome{errno: unix.EINVAL}
	}
	addr := make([]byte, size)
	if errno := c.r.Bytes(1, addr); errno != 0 {
		return outcome{errno: errno}
	}
	socket, err := c.socket(c.arg(0))
	if err != nil {
		return failed(err)
	}
	if len(addr) < 2 {
		return failed(connectTo(socket, addr))
	}
	switch binary.NativeEndian.Uint16(addr) {
	case unix.AF_UNIX:
		return c.connectUnix(socket, addr)
	case unix.AF_INET, unix.AF_INET6:
		return c.connectInternet(socket, addr)
	}
	return failed(connectTo(socket, addr))
}

// socket returns a copy of the thread's descriptor.
func (c *call) socket(n int) (int, error) {
	process, err := c.process()
	if err != nil {
		return -1, err
	}
	defer unix.Close(process)
	fd, err := unix.PidfdGetfd(process, n, 0)
	if err != nil {
		return -1, err // EBADF
	}
	return c.keep(fd), nil
}

// pidfdThread is PIDFD_THREAD (pidfd_open(2)).
const pidfdThread = unix.O_EXCL

// process opens the thread, or its process before Linux 6.9.
func (c *call) process() (int, error) {
	fd, err := unix.PidfdOpen(c.r.TID, pidfdThread)
	if err != unix.EINVAL {
		return fd, err
	}
	pid, _ := c.r.Process()
	if pid == 0 {
		return -1, unix.ESRCH
	}
	return unix.PidfdOpen(pid, 0)
}

// connectUnix connects to a unix socket that lies in a private file system, or that has
// an abstract name, which the network namespace confines (unix(7)).
func (c *call) connectUnix(socket int, addr []byte) outcome {
	if len(addr) == 2 || addr[2] == 0 {
		return c.connectNow(socket, addr)
	}
	name := addr[2:]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	fd, real, err := c.object(unix.AT_FDCWD, string(name), true)
	if err == errElsewhere {
		c.r.Report(notify.Call{Path: string(name), Place: string(name), Why: "a socket by a way through /proc", Errno: unix.EACCES})
		return outcome{errno: unix.EACCES}
	}
	if err != nil {
		return failed(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return failed(err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFSOCK && !c.m.sockets[uint64(st.Dev)] {
		c.r.Report(notify.Call{Path: real, Socket: true, Errno: unix.EACCES})
		return outcome{errno: unix.EACCES}
	}
	var to [2 + 108]byte
	binary.NativeEndian.PutUint16(to[:], unix.AF_UNIX)
	n := copy(to[2:], fdPath(fd))
	return c.connectNow(socket, to[:2+n+1])
}

// connectInternet connects to an address. The network namespace decides where it leads.
// connectInternet applies Landlock's rule on ports, since the mediator is not under
// Landlock.
func (c *call) connectInternet(socket int, addr []byte) outcome {
	to := addrPort(addr)
	if !to.IsValid() {
		return c.connectNow(socket, addr)
	}
	errno := c.m.barred(to)
	if errno == 0 {
		return c.connectNow(socket, addr)
	}
	if kind, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM {
		return c.connectNow(socket, addr)
	}
	c.r.Report(notify.Call{Addr: to, Errno: errno})
	return outcome{errno: errno}
}

// connectNow connects. That may take time if the socket blocks. Most connections are
// made at once, and handing them to a goroutine would cost more: so the worker makes
// one itself. While that one takes time, the others get goroutines.
func (c *call) connectNow(socket int, addr []byte) outcome {
	if c.m.connecting.CompareAndSwap(false, true) {
		defer c.m.connecting.Store(false)
		return failed(connectTo(socket, addr))
	}
	flags, err := unix.FcntlInt(uintptr(socket), unix.F_GETFL, 0)
	if err != nil {
		return failed(err)
	}
	if flags&unix.O_NONBLOCK != 0 {
		return failed(connectTo(socket, addr))
	}
	return c.wait(func(*call) outcome { return failed(connectTo(socket, addr)) })
}

// addrPort returns the address and port of a struct sockaddr_in or sockaddr_in6.
func addrPort(addr []byte) netip.AddrPort {
	var ip netip.Addr
	switch family := binary.NativeEndian.Uint16(addr); {
	case family == unix.AF_INET && len(addr) >= unix.SizeofSockaddrInet4:
		ip = netip.AddrFrom4([4]byte(addr[4:8]))
	case family == unix.AF_INET6 && len(addr) >= 24:
		ip = netip.AddrFrom16([16]byte(addr[8:24])).Unmap()
	default:
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(addr[2:]))
}
