package listeners

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/internal/listeners/nettest"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// A machine that does not make the wire, here since its name is taken, counts as one
// without: the listeners then share the server's namespace.
func TestAWireThatIsNotMade(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // never unlocked
			here, err := currentNamespace()
			if err != nil {
				t.Error(err)
				return
			}
			defer unix.Close(here)
			rt, err := tie(here, hasIPv6())
			if err != nil {
				t.Error(err)
				return
			}
			defer rt.close()
			if second, err := tie(here, true); !errors.Is(err, errNoWire) || second != nil {
				t.Errorf("a second wire: %v", err)
			}
		}()
		<-done
		s := nettest.NewSandbox(t)
		must(t, s.NoWire())
		s.Inside(func() {
			must(t, leavesNothing(t, func() ([]Handle, error) {
				hs, err := Listen(network(t, "203.0.113.5:8080"))
				for _, h := range hs {
					if h.Kind == KindTCP && (!h.Shared || h.Gated) {
						t.Errorf("%+v", h)
					}
				}
				return hs, err
			}))
		})
	})
}

// Whatever the machine has, a program's connection to any address comes from an address of
// the server's own, and a datagram to a port where nobody is fails at once, each time.
func TestTheNetworkOfAServer(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		for name, behind := range map[string]apart{"apart": listenBehind, "shared": noWire} {
			nettest.NewSandbox(t).Inside(func() {
				hs, err := listen(network(t, "203.0.113.5:8080"), behind)
				must(t, err)
				defer Close(hs)
				if name == "apart" {
					link, err := netlink.LinkByName("eth0")
					must(t, err)
					if a := link.Attrs(); a.MTU != wireMTU || a.HardwareAddr.String() != wireMAC.String() || a.RawFlags&unix.IFF_NOARP == 0 || a.NumTxQueues != 1 || a.NumRxQueues != 1 || a.OperState != netlink.OperUp {
						t.Errorf("the device is %+v", a)
					}
				}
				six := hasIPv6()
				for to, from := range map[string]netip.Addr{"203.0.113.5:8080": near4, "198.51.100.1:8080": near4, "[2001:db8:1::5]:8080": near6, "[2001:db8:2::1]:8080": near6} {
					at := mustAddrPort(t, to)
					if at.Addr().Is6() && !six {
						continue
					}
					fd := connecting(t, at, 64)
					if got, err := unix.Getsockname(fd); err != nil || addrOf(got) != from {
						t.Errorf("%s: a connection to %s comes from %v, %v", name, to, addrOf(got), err)
					}
					unix.Close(fd)
					for i := range 5 {
						if err := datagram(t, netip.AddrPortFrom(at.Addr(), 9)); err != unix.ECONNREFUSED {
							t.Errorf("%s: datagram %d to %s: %v", name, i, at.Addr(), err)
						}
					}
				}
			})
		}
	})
}

func addrOf(sa unix.Sockaddr) netip.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(sa.Addr)
	}
	return netip.Addr{}
}

// datagram sends a datagram, and returns the error that comes back for it.
func datagram(t *testing.T, to netip.AddrPort) error {
	t.Helper()
	family, at := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, at = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Connect(fd, at))
	_, err = unix.Write(fd, []byte("x"))
	must(t, err)
	ready(fd, unix.POLLIN)
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	must(t, err)
	if errno == 0 {
		return nil
	}
	return unix.Errno(errno)
}

// The limit on errors is lifted where the settings can be written, and where /proc/sys is
// read-only, as for pid 1, through a mount of the thread's own. Where they can be written,
// nothing is mounted; where neither is possible, a server starts all the same.
func TestTheLimitOnErrorsIsLifted(t *testing.T) {
	const path = "/proc/sys/net/ipv4/icmp_ratemask"
	nettest.In(t, func(t *testing.T) {
		calls := []uintptr{unix.SYS_OPENAT, unix.SYS_UNSHARE, unix.SYS_MOUNT}
		for name, c := range map[string]struct {
			unwritable int // the first openings that fail
			fails      uintptr
			lifted     bool
			want       []uintptr
		}{
			"writable":          {0, 0, true, []uintptr{unix.SYS_OPENAT, unix.SYS_OPENAT}},
			"read-only":         {1, 0, true, []uintptr{unix.SYS_OPENAT, unix.SYS_UNSHARE, unix.SYS_MOUNT, unix.SYS_MOUNT, unix.SYS_OPENAT, unix.SYS_OPENAT}},
			"never writable":    {2, 0, false, []uintptr{unix.SYS_OPENAT, unix.SYS_UNSHARE, unix.SYS_MOUNT, unix.SYS_MOUNT, unix.SYS_OPENAT}},
			"no mount of one's": {1, unix.SYS_UNSHARE, false, []uintptr{unix.SYS_OPENAT, unix.SYS_UNSHARE}},
			"no IPv6":           {-1, 0, true, []uintptr{unix.SYS_OPENAT, unix.SYS_OPENAT}},
			"no mount":          {1, unix.SYS_MOUNT, false, []uintptr{unix.SYS_OPENAT, unix.SYS_UNSHARE, unix.SYS_MOUNT}},
		} {
			var made []uintptr
			var before, after string
			read := func() string {
				b, err := os.ReadFile(path)
				if err != nil {
					t.Error(err)
				}
				return strings.TrimSpace(string(b))
			}
			var lifting atomic.Bool
			opened := 0
			must(t, fault.Watch(calls, func(call fault.Call) fault.Answer {
				if !lifting.Load() {
					return fault.Pass
				}
				made = append(made, call.Number)
				switch {
				case call.Number == unix.SYS_OPENAT:
					switch opened++; {
					case opened <= c.unwritable:
						return fault.Fail(unix.EROFS)
					case opened == 2 && c.unwritable < 0:
						return fault.Fail(unix.ENOENT)
					}
				case call.Number == c.fails:
					return fault.Fail(unix.EPERM)
				case call.Number == unix.SYS_MOUNT:
					return fault.Return(0) // this /proc/sys is writable anyway
				}
				return fault.Pass
			}, func() {
				if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
					t.Error(err)
					return
				}
				before = read()
				lifting.Store(true)
				liftErrorLimit()
				lifting.Store(false)
				after = read()
			}))
			if before == "0" || (after == "0") != c.lifted {
				t.Errorf("%s: the mask was %s and is %s", name, before, after)
			}
			if !slices.Equal(made, c.want) {
				t.Errorf("%s: the calls %v, want %v", name, made, c.want)
			}
		}
	})
}

// No descriptor of the sandbox's network passes execve(2), at no time: a server that
// inherited a gate, or a listener, would decide on its own connections. And none of them
// blocks the launcher.
func TestNoSocketPassesToTheServer(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		n := network(t, "203.0.113.5:8080", "localhost:7000")
		n.Every = true
		n.Sockets = []plan.Socket{{Socket: policy.Socket{Path: t.TempDir() + "/s.sock"}}}
		for name, c := range map[string]struct {
			network plan.Network
			behind  apart
		}{"apart": {n, listenBehind}, "shared": {n, noWire}, "nothing": {}} {
			os.Remove(n.Sockets[0].Path)
			var hs []Handle
			var err error
			must(t, fault.Watch([]uintptr{unix.SYS_SOCKET, unix.SYS_OPENAT}, func(call fault.Call) fault.Answer {
				if call.Number == unix.SYS_SOCKET && call.Args[1]&unix.SOCK_CLOEXEC == 0 || call.Number == unix.SYS_OPENAT && call.Args[2]&unix.O_CLOEXEC == 0 {
					t.Errorf("%s: %v passes execve", name, call)
				}
				return fault.Pass
			}, func() {
				if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
					hs, err = listen(c.network, c.behind)
				}
			}))
			must(t, err)
			for _, h := range hs {
				withFD(t, h.File, func(fd int) {
					flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
					must(t, err)
					status, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
					must(t, err)
					if flags&unix.FD_CLOEXEC == 0 || status&unix.O_NONBLOCK == 0 {
						t.Errorf("%s: the %s socket has the flags %#x and %#x", name, h.Kind, flags, status)
					}
				})
			}
			Close(hs)
		}
	})
}

// A device that is not ready in time, or a far end that the kernel refuses in part, stops the
// start. Only a wire that is not made at all counts as a machine without.
func TestHalfAWireIsAnError(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		rt, err := openRTNetlink()
		must(t, err)
		defer rt.close()
		for limit, want := range map[time.Duration]string{0: "is not ready: it is ", 2 * time.Millisecond: "is not ready: it is "} {
			if err := settle(rt, end{name: "lo", index: loopback}, limit); err == nil || !strings.HasPrefix(err.Error(), `the device "lo" `+want) { // its state is never "up"
				t.Errorf("%v", err)
			}
		}
		if err := settle(rt, end{name: "none", index: 4711}, settleTime); !errors.Is(err, unix.ENODEV) {
			t.Errorf("%v", err)
		}
		if !hasIPv6() {
			return
		}
		defer func(was netip.Addr) { far6 = was }(far6)
		far6 = netip.MustParseAddr("ff02::1") // nobody can have it
		nettest.NewSandbox(t).Inside(func() {
			hs, err := listen(network(t, "203.0.113.5:8080"), listenBehind)
			if err == nil || len(hs) > 0 || errors.Is(err, errNoWire) || !strings.Contains(err.Error(), "the address ff02::1") {
				t.Errorf("%v, %v", hs, err)
			}
		})
	})
}

// Where packets cannot be resent there are no gates: connect(2) would never succeed behind
// one. Each gate comes right before its socket for resending.
func TestGatesComeWithTheirBacks(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			protocol uint64
			want     string
		}{"neither fails": {1 << 20, "gate back gate back resolver queries tcp tcp tcp gate gate local local"}, "no backs": {unix.IPPROTO_RAW, "resolver queries tcp tcp tcp gate gate local local"}} {
			if !hasIPv6() {
				c.want = strings.NewReplacer("gate back gate back", "gate back", "gate gate local local", "gate local").Replace(c.want)
			}
			var hs []Handle
			var err error
			must(t, fault.Watch([]uintptr{unix.SYS_SOCKET}, func(call fault.Call) fault.Answer {
				if call.Args[1]&0xf == unix.SOCK_RAW && call.Args[2] == c.protocol && call.Args[0] != unix.AF_NETLINK {
					return fault.Fail(unix.EPERM)
				}
				return fault.Pass
			}, func() {
				if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
					hs, err = Listen(network(t, "203.0.113.5:8080", "localhost:7000"))
				}
			}))
			must(t, err)
			got := ""
			for _, h := range hs {
				got += " " + string(h.Kind)
				if wanted := strings.HasPrefix(c.want, "gate") && h.Kind == KindTCP || h.Kind == KindLocal; h.Gated != wanted {
					t.Errorf("%s: %+v", name, h)
				}
			}
			if got[1:] != c.want {
				t.Errorf("%s:%s, want %s", name, got, c.want)
			}
			Close(hs)
		}
	})
	// A namespace that gave no gate needs no sockets for resending.
	file := func() *os.File {
		f, err := os.Open("/dev/null")
		must(t, err)
		return f
	}
	back, tcp := Handle{Kind: KindBack, File: file()}, Handle{Kind: KindTCP, File: file()}
	defer tcp.File.Close()
	for _, hs := range [][]Handle{nil, {tcp}} {
		if got := beside(hs, []Handle{back}); !slices.Equal(got, hs) || back.File.Close() == nil {
			t.Errorf("%v beside %v", got, hs)
		}
		back.File = file()
	}
	back.File.Close()
}

// A machine without IPv6 gives no socket, or not the loopback's address.
func TestWhetherThereIsIPv6(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		for name, call := range map[string]uintptr{"no socket": unix.SYS_SOCKET, "no address": unix.SYS_BIND} {
			var has bool
			before := countFDs(t)
			must(t, fault.Watch([]uintptr{call}, func(fault.Call) fault.Answer { return fault.Fail(unix.EADDRNOTAVAIL) }, func() { has = hasIPv6() }))
			if has || len(nearAddrs(has)) != 1 || countFDs(t) != before {
				t.Errorf("%s: %v, %d descriptors, %d before", name, has, countFDs(t), before)
			}
		}
	})
}

// A machine that gives no raw sockets has no gates: its listeners take every connection,
// since nobody would resend an opening that they drop.
func TestAServerWithoutGates(t *testing.T) {
	nettest.In(t, func(t *testing.T) {
		must(t, fault.Watch([]uintptr{unix.SYS_SOCKET}, func(call fault.Call) fault.Answer {
			if call.Args[1]&0xf == unix.SOCK_RAW && call.Args[0] != unix.AF_NETLINK {
				return fault.Fail(unix.EPERM)
			}
			return fault.Pass
		}, func() {
			hs, err := listenLocal(network(t, "localhost:7000").Hosts)
			if err != nil || len(hs) != 1+b2int(hasIPv6()) {
				t.Errorf("%v, %v", hs, err)
				return
			}
			defer Close(hs)
			for _, h := range hs {
				if h.Kind != KindLocal || h.Gated {
					t.Errorf("%+v", h)
				}
			}
			takes(t, mustAddrPort(t, "127.0.0.1:7000"), false)
		}))
	})
}
