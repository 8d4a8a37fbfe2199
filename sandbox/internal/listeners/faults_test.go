package listeners

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/internal/listeners/nettest"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// A spare socket, a listener or a resolver that cannot be had is an error: a program
// inside would otherwise wait for a port that nobody opens.
func TestSocketsAreHadOrRefused(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil { // Go's package net asks the kernel once what it has
			l.Close()
		}
		calls := []uintptr{unix.SYS_SOCKET, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKOPT, unix.SYS_FCNTL}
		keeps := func(open func() (*os.File, error)) func() error {
			return func() error {
				before := countFDs(t)
				f, err := open()
				if err == nil {
					f.Close()
				} else if f != nil {
					t.Errorf("%v, and a file", err)
				}
				if after := countFDs(t); after > before {
					t.Errorf("%v: %d descriptors are open, %d were", err, after, before)
				}
				return err
			}
		}
		for name, f := range map[string]func() error{
			"a spare":                     keeps(func() (*os.File, error) { return openSpare(false, false) }),
			"a gated spare":               keeps(func() (*os.File, error) { return openSpare(false, true) }),
			"a spare of both families":    keeps(func() (*os.File, error) { return openSpare(true, true) }),
			"a listener":                  keeps(func() (*os.File, error) { return listenTCP(mustAddrPort(t, "0.0.0.0:8080"), false, true) }),
			"a shared listener":           keeps(func() (*os.File, error) { return listenTCP(mustAddrPort(t, "[::1]:8081"), true, false) }),
			"a resolver":                  keeps(func() (*os.File, error) { return listenUDP(mustAddrPort(t, "127.0.0.1:53")) }),
			"a resolver of both families": keeps(func() (*os.File, error) { return listenUDP(mustAddrPort(t, "[::]:53")) }),
			"a resolver for nobody": func() error {
				hs, err := Listen(plan.Network{})
				Close(hs)
				return err
			},
		} {
			unheard, err := fault.Each(calls, unix.EIO, func(c fault.Call) bool {
				return c.Number != unix.SYS_SETSOCKOPT || c.Args[1] != unix.SOL_SOCKET || c.Args[2] != unix.SO_BROADCAST && c.Args[2] != unix.SO_REUSEADDR
			}, f)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, c := range unheard {
				if c.Number == unix.SYS_FCNTL && c.Args[1] != unix.F_DUPFD_CLOEXEC || c.Number == unix.SYS_SOCKET && name == "a resolver for nobody" && c.Args[0] == unix.AF_INET6 || c.Number == unix.SYS_BIND && name == "a resolver for nobody" && c.Args[2] == unix.SizeofSockaddrInet6 || c.Number == unix.SYS_SETSOCKOPT && c.Args[2] == unix.IPV6_V6ONLY && name != "a spare of both families" {
					continue // of Go's package net
				}
				t.Errorf("%s: nobody heard of the failure of %v", name, c)
			}
		}
	})
}

// If the kernel refuses an order while a network is made, Listen must fail: a server
// behind half a wire would reach nothing, or something else.
func TestNoHalfMadeNetwork(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil { // Go's package net asks the kernel once what it has
			l.Close()
		}
		n := network(t, "203.0.113.5:8080", "localhost:7000")
		n.Sockets = []plan.Socket{{Socket: policy.Socket{Path: filepath.Join(t.TempDir(), "s.sock")}}}
		calls := []uintptr{unix.SYS_SOCKET, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_SENDTO, unix.SYS_RECVFROM, unix.SYS_SETSOCKOPT, unix.SYS_IOCTL, unix.SYS_FCHMODAT}
		for name, behind := range map[string]apart{"apart": listenBehind, "shared": noWire} {
			unheard, err := fault.Each(calls, unix.EIO, func(c fault.Call) bool {
				// These calls probe for IPv6; without it there is a network, too.
				return c.Number != unix.SYS_SOCKET || c.Args[0] != unix.AF_INET6
			}, func() error {
				if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
					return err
				}
				os.Remove(n.Sockets[0].Path)
				return leavesNothing(t, func() ([]Handle, error) { return listen(n, behind) })
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			unheardOf(t, name, unheard)
		}
		// The far end, which has a thread of its own.
		far := func() ([]Handle, error) {
			here, err := currentNamespace()
			if err != nil {
				return nil, err
			}
			defer unix.Close(here)
			rt, err := tie(here, hasIPv6())
			if err != nil {
				return nil, err
			}
			defer rt.close()
			return listenGated(sockets{ports: []uint16{8080}, spares: 2}, hasIPv6(), true)
		}
		unheard, err := fault.Each(append(calls, unix.SYS_UNSHARE), unix.EIO, func(c fault.Call) bool {
			return c.Number != unix.SYS_SOCKET || c.Args[0] != unix.AF_INET6
		}, func() error {
			// In a new network each time, or the names would be taken.
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			return leavesNothing(t, far)
		})
		if err != nil {
			t.Error(err)
		}
		unheardOf(t, "far", unheard)
	})
}

// leavesNothing opens handles and closes them. It fails the test if a descriptor stays
// open, which the server would inherit, if handles come with an error, or if an error does
// not tell the kernel's reason, which is always EIO here.
func leavesNothing(t *testing.T, open func() ([]Handle, error)) error {
	t.Helper()
	before := countFDs(t)
	hs, err := open()
	if err != nil && !strings.Contains(err.Error(), unix.EIO.Error()) {
		t.Errorf("the kernel's reason is not told: %v", err)
	}
	if err != nil {
		for _, h := range hs {
			if h.File.Close() == nil {
				t.Errorf("%v, and the %s socket stays open", err, h.Kind)
			}
		}
	}
	Close(hs)
	if after := countFDs(t); after > before {
		t.Errorf("%v: %d descriptors are open, %d were", err, after, before)
	}
	return err
}

// unheardOf fails the test for calls whose failure was not reported. It excludes
// probes: for IPv6, for raw sockets, and those of Go's package net.
func unheardOf(t *testing.T, name string, calls []fault.Call) {
	t.Helper()
	probes := 0
	for _, c := range calls {
		switch {
		case c.Number == unix.SYS_SETSOCKOPT && (c.Args[1] == unix.SOL_SOCKET && (c.Args[2] == unix.SO_BROADCAST || c.Args[2] == unix.SO_REUSEADDR) || c.Args[1] == unix.IPPROTO_IPV6 && c.Args[2] == unix.IPV6_V6ONLY):
			continue
		case c.Number == unix.SYS_SOCKET && (c.Args[1]&0xf == unix.SOCK_RAW || c.Args[2] == unix.IPPROTO_TCP):
			continue
		case c.Number == unix.SYS_BIND && c.Args[2] == unix.SizeofSockaddrInet6:
			if probes++; probes <= 2 { // hasIPv6, twice
				continue
			}
		}
		t.Errorf("%s: nobody heard of the failure of %v", name, c)
	}
}
