// Command probe connects to what it is told to, one after the other, and writes
// to descriptor 9 what became of each: OK, or the symbol of the error. Beside
// net/http it makes the calls that a program in C would make.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long an answer may take before there is none.
const patience = 30 * time.Second

var ops = map[string]func(target string) error{
	"http": get, "tcp": line, "echo": echo, "many": many, "pg": postgres, "self": self, "unix": unixSocket,
	"connect": plain, "fastopen": fastOpen, "mptcp": multipath,
	"udp": datagram, "dns": question,
	"icmp": ping, "raw": raw, "packet": packet,
}

func main() {
	out := os.NewFile(9, "results")
	for args := os.Args[1:]; len(args) > 1; args = args[2:] {
		said := "UNKNOWN"
		if op := ops[args[0]]; op != nil {
			said = symbol(op(args[1]))
		}
		fmt.Fprintf(out, "go %s %s %s\n", args[0], args[1], said)
	}
}

func symbol(err error) string {
	var errno syscall.Errno
	var name *net.DNSError
	switch {
	case err == nil:
		return "OK"
	case errors.As(err, &errno) && errno == syscall.EAGAIN, errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "NOTHING"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	case errors.As(err, &name) && name.IsNotFound:
		return "NXDOMAIN"
	case errors.Is(err, io.EOF):
		return "EOF"
	}
	return fmt.Sprintf("%q", err)
}

// get asks for a page. The kernel tells of a reset once, and net/http writes and
// reads at once: the one that asks second is told of an end. What counts is what
// the connection was told first.
func get(target string) error {
	var told first
	c := http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			return told.of(c), err
		},
	}}
	r, err := c.Get(target)
	if err != nil {
		return errors.Join(told.errno(), err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && string(body) != "peer\n" {
		err = errors.New("another answer")
	}
	return err
}

// first is the first error number of some connections.
type first struct {
	mu    sync.Mutex
	found syscall.Errno
}

func (f *first) of(c net.Conn) net.Conn {
	if c == nil {
		return nil
	}
	return &listened{c, f}
}

func (f *first) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.found == 0 {
		errors.As(err, &f.found)
	}
}

func (f *first) errno() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.found == 0 {
		return nil
	}
	return f.found
}

// listened is a connection whose errors first keeps.
type listened struct {
	net.Conn
	first *first
}

func (l *listened) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	l.first.note(err)
	return n, err
}

func (l *listened) Write(b []byte) (int, error) {
	n, err := l.Conn.Write(b)
	l.first.note(err)
	return n, err
}

func dial(network, target string) (net.Conn, error) {
	c, err := net.DialTimeout(network, target, patience)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

// line reads what a peer says first.
func line(target string) error {
	c, err := dial("tcp", target)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = bufio.NewReader(c).ReadString('\n')
	return err
}

// many has more connections to one address open at once than a thousand, and then
// makes more than there are local ports, one after the other.
func many(target string) error {
	for range 1300 {
		c, err := dial("tcp", target)
		if err != nil {
			return err
		}
		defer c.Close()
	}
	for range 4200 {
		if err := line(target); err != nil {
			return err
		}
	}
	return nil
}

// echo sends a megabyte and wants it back, and then the end.
func echo(target string) error {
	c, err := dial("tcp", target)
	if err != nil {
		return err
	}
	defer c.Close()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	r := bufio.NewReader(c)
	if _, err := r.ReadString('\n'); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		failed <- errors.Join(err, c.(*net.TCPConn).CloseWrite())
	}()
	got, err := io.ReadAll(r)
	if err == nil {
		err = <-failed
	}
	if err == nil && !bytes.Equal(got, sent) {
		err = fmt.Errorf("%d other bytes came back", len(got))
	}
	return err
}

// postgres asks a server whether it speaks TLS, as libpq does first.
func postgres(target string) error {
	c, err := dial("tcp", target)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		return err
	}
	var answer [1]byte
	if _, err = io.ReadFull(c, answer[:]); err == nil && answer[0] != 'N' {
		err = errors.New("another answer")
	}
	return err
}

// self listens and talks to itself.
func self(target string) error {
	l, err := net.Listen("tcp", target)
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			fmt.Fprintln(c, "self")
			c.Close()
		}
	}()
	return line(l.Addr().String())
}

func unixSocket(path string) error {
	c, err := dial("unix", path)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = bufio.NewReader(c).ReadString('\n')
	return err
}

// stream makes a blocking socket that gives up after a while.
func stream(at netip.AddrPort, kind, protocol int) (fd int, sa unix.Sockaddr, err error) {
	family := unix.AF_INET6
	sa = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if at.Addr().Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	if fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol); err != nil {
		return -1, nil, err
	}
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &unix.Timeval{Sec: int64(patience / time.Second)}); err != nil {
			unix.Close(fd)
			return -1, nil, err
		}
	}
	return fd, sa, nil
}

// answer reads what comes first. Programs in C start over when a signal came.
func answer(fd int) error {
	var b [512]byte
	for {
		n, err := unix.Read(fd, b[:])
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			return io.EOF
		}
		return err
	}
}

func speak(target string, protocol int) error {
	fd, sa, err := stream(netip.MustParseAddrPort(target), unix.SOCK_STREAM, protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.EINTR
	for err == unix.EINTR { // the runtime's own signals
		err = unix.Connect(fd, sa)
	}
	if err != nil && err != unix.EISCONN {
		return err
	}
	return answer(fd)
}

func plain(target string) error     { return speak(target, 0) }
func multipath(target string) error { return speak(target, unix.IPPROTO_MPTCP) }

// fastOpen connects by sending.
func fastOpen(target string) error {
	fd, sa, err := stream(netip.MustParseAddrPort(target), unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.EINTR
	for err == unix.EINTR { // the runtime's own signals
		err = unix.Sendto(fd, []byte("hello\n"), unix.MSG_FASTOPEN|unix.MSG_NOSIGNAL, sa)
	}
	if err != nil && err != unix.EISCONN && err != unix.EALREADY { // what the call says when it was interrupted half way
		return err
	}
	return answer(fd)
}

// datagram sends twice: the error of the first may come with the second.
func datagram(target string) error {
	fd, sa, err := stream(netip.MustParseAddrPort(target), unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, sa); err != nil {
		return err
	}
	if _, err := unix.Write(fd, []byte("hello\n")); err != nil {
		return err
	}
	return answer(fd)
}

// question asks a name server of the program's own choice for NAME@SERVER.
func question(target string) error {
	name, server, _ := strings.Cut(target, "@")
	r := net.Resolver{PreferGo: true, Dial: func(_ context.Context, network, _ string) (net.Conn, error) {
		return dial(network, server)
	}}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := r.LookupNetIP(ctx, "ip4", name+".")
	return err
}

func ping(target string) error {
	at := netip.MustParseAddr(target)
	fd, sa, err := stream(netip.AddrPortFrom(at, 0), unix.SOCK_DGRAM, unix.IPPROTO_ICMP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, []byte{8, 0, 0, 0, 0, 0, 0, 1}, 0, sa); err != nil {
		return err
	}
	return answer(fd)
}

func raw(target string) error {
	fd, sa, err := stream(netip.AddrPortFrom(netip.MustParseAddr(target), 0), unix.SOCK_RAW, unix.IPPROTO_ICMP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, []byte{8, 0, 0xf7, 0xfe, 0, 0, 0, 1}, 0, sa)
}

// packet opens a socket below IP; the target is not looked at.
func packet(string) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}
