package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A thief's packets stay on this machine, to the last one: the test counts them on
// every interface outside the sandbox, the loopback's among them. It sees those of the
// same program without mcpen.
func TestTryNothingLeaves(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: nobody else may listen to an interface")
	}
	root, err := os.MkdirTemp("", "mcpen-sniff-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	w := newWorld(t, filepath.Join(root, "home"))
	w.write(t, "server/server.py", tryServer)
	for _, what := range []string{"dns", "post", "raw", "metadata", "not_in_ci"} {
		var out []byte
		seen := sniffed(t, func(run func(*exec.Cmd) error) {
			cmd := w.mcpen(t, "try", "--watch", "200ms", "--", "python3", "server/server.py", what)
			var b bytes.Buffer
			cmd.Stdout = &b
			_ = run(cmd) // exit status 3
			out = b.Bytes()
		})
		if seen > 0 || !strings.Contains(string(out), "RED") {
			t.Errorf("%s: %d packets left:\n%s", what, seen, out)
		}
	}
	seen := sniffed(t, func(run func(*exec.Cmd) error) {
		cmd := exec.Command("timeout", "3", "python3", filepath.Join(w.home, "server/server.py"), "metadata")
		_ = run(cmd) // its end is nobody's matter
	})
	if seen == 0 {
		t.Error("outside the sandbox nothing was seen either: the test cannot tell")
	}
}

// sniffed runs commands in a network namespace whose default route leads to a
// listener, and counts the packets on every interface.
func sniffed(t *testing.T, do func(run func(*exec.Cmd) error)) int {
	t.Helper()
	seen := make(chan int)
	go func() {
		// Never unlocked: the thread, and with it the namespace, ends here.
		runtime.LockOSThread()
		seen <- func() int {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				t.Errorf("cannot make a network namespace: %v", err)
				return -1
			}
			if err := dummyNetwork(); err != nil {
				t.Errorf("cannot make a network: %v", err)
				return -1
			}
			all := int(uint16(unix.ETH_P_ALL)>>8 | uint16(unix.ETH_P_ALL)<<8)
			fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all)
			if err != nil {
				t.Errorf("cannot listen to the interfaces: %v", err)
				return -1
			}
			defer unix.Close(fd)
			time.Sleep(300 * time.Millisecond)
			drained(fd) // the interfaces' own packets when they come up
			do(func(cmd *exec.Cmd) error { return cmd.Run() })
			return drained(fd)
		}()
	}()
	return <-seen
}

// dummyNetwork has a loopback and an interface that leads nowhere, which carries
// everything. It speaks IPv4 alone: in IPv6 the kernel itself sends packets.
func dummyNetwork() error {
	_ = os.WriteFile("/proc/thread-self/root/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0o644)
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	out := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "out0"}, PeerName: "far0"}
	if err := netlink.LinkAdd(out); err != nil {
		return err
	}
	at, err := netlink.ParseAddr("10.99.0.1/24")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(out, at); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(out); err != nil {
		return err
	}
	far, err := netlink.LinkByName("far0")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(far); err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: out.Attrs().Index, Gw: net.IPv4(10, 99, 0, 2)})
}

// drained is how many packets of IP wait.
func drained(fd int) int {
	n := 0
	b := make([]byte, 64<<10)
	for {
		k, err := unix.Read(fd, b)
		if err != nil {
			return n
		}
		if k > 14 && b[12] == 8 { // IPv4 and ARP
			n++
		}
	}
}
