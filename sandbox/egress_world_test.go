package sandbox_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

const (
	// egressStage tells a copy of the test binary how far it is: "world" makes a
	// network, "run" runs the test in it.
	egressStage = "MCPEN_EGRESS_STAGE"
	// egressUser is the user who is to run the test.
	egressUser = "MCPEN_EGRESS_USER"
	// egressFiles is the folder with the programs.
	egressFiles = "MCPEN_EGRESS_FILES"
)

// inOwnNetwork runs f in a copy of the test binary that has a network of its
// own, in which every address leads back to it: a peer of the test is wherever
// a program might want to go, and nothing goes beyond. It does so as root, and
// as a user who has nothing to say on this machine.
func inOwnNetwork(t *testing.T, f func(t *testing.T, n *ownNetwork)) {
	t.Helper()
	switch os.Getenv(egressStage) {
	case "":
		if os.Getuid() != 0 {
			t.Skip("needs root, to make a network in which a user without privileges can be anybody's peer")
		}
		files := egressPrograms(t)
		for name, uid := range map[string]int{"root": 0, "user": 20001} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				own(t, files, uid)
			})
		}
	case "world":
		enter(t)
	default:
		f(t, newOwnNetwork(t))
	}
}

// egressPrograms builds the programs of the test, in a folder that everybody can read.
func egressPrograms(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mcpen-egress-") // t.TempDir's parent is closed to others
	if err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		err = os.Chmod(dir, 0o755)
	}
	if err == nil {
		err = os.CopyFS(dir, os.DirFS("testdata/egress"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "probe")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "probe"), "./testdata/egress/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the probe: %v\n%s", err, out)
	}
	if out, err := exec.Command("cc", "-O1", "-Wall", "-Werror", "-o", filepath.Join(dir, "net"), "testdata/egress/net.c").CombinedOutput(); err != nil {
		t.Fatalf("cannot build the C program: %v\n%s", err, out)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "test"), self, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// rerun starts a copy of the test binary for the same test and waits for it.
func rerun(t *testing.T, binary string, attr syscall.SysProcAttr, env []string, files ...*os.File) {
	t.Helper()
	cmd := exec.Command(binary, "-test.run=^"+strings.SplitN(t.Name(), "/", 2)[0]+"$", "-test.count=1", "-test.v="+fmt.Sprint(testing.Verbose()), "-test.timeout=150s")
	cmd.Env, cmd.Dir, cmd.ExtraFiles = append(os.Environ(), env...), "/", files
	attr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr = &attr
	// Pdeathsig is of the thread that starts the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", env, err, out)
	} else if testing.Verbose() {
		t.Logf("%s", out)
	}
}

// own starts the stage that makes the network.
func own(t *testing.T, files string, uid int) {
	t.Helper()
	home, err := os.MkdirTemp("", "mcpen-egress-home-")
	if err == nil {
		t.Cleanup(func() { os.RemoveAll(home) })
		err = os.Chown(home, uid, uid)
	}
	if err != nil {
		t.Fatal(err)
	}
	rerun(t, filepath.Join(files, "test"), syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS},
		[]string{egressStage + "=world", egressUser + "=" + fmt.Sprint(uid), egressFiles + "=" + files, "HOME=" + home, "TMPDIR=" + home})
}

// enter makes the network and runs the test in it as the user.
func enter(t *testing.T) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	rt, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	must(err)
	defer rt.Close()
	lo, err := rt.LinkByName("lo")
	must(err)
	must(rt.LinkSetUp(lo))
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		_, dst, err := net.ParseCIDR(all)
		must(err)
		must(rt.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}))
	}
	// So that the user can be every peer, and has as many doors as there are.
	for name, value := range map[string]string{
		"ip_unprivileged_port_start": "0", "ping_group_range": "0 2147483647", "tcp_fastopen": "3",
	} {
		must(os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0o644))
	}
	// Names are asked of the test.
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	dir := os.Getenv("HOME")
	for name, text := range map[string]string{"resolv.conf": "nameserver " + nameServer + "\n", "hosts": "127.0.0.1 localhost\n::1 localhost\n"} {
		file := filepath.Join(dir, name)
		must(os.WriteFile(file, []byte(text), 0o644))
		must(unix.Mount(file, "/etc/"+name, "", unix.MS_BIND, ""))
	}
	sniffer, err := newSniffer()
	must(err)
	defer sniffer.Close()
	var uid uint32
	_, err = fmt.Sscan(os.Getenv(egressUser), &uid)
	must(err)
	attr := syscall.SysProcAttr{}
	if uid != 0 {
		attr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
	rerun(t, "/proc/self/exe", attr, []string{egressStage + "=run"}, sniffer)
}

// ownNetwork is the world that a test has to itself.
type ownNetwork struct {
	t       *testing.T
	pen     *pen
	sockets string // the folder of unix sockets
	ca      []byte
	sniff   *sniffer
	asked   *questions
}

const (
	nameServer = "203.0.113.53"
	greeting   = "SSH-2.0-peer\r\n" // a peer's first words
)

// zone holds the name server's records.
var zone = map[string][]string{
	"allowed.test": {"203.0.113.10"}, "other.test": {"203.0.113.99"},
	"echo.test": {"203.0.113.77"}, "db.test": {"203.0.113.54"}, "git.test": {"203.0.113.22"}, "six.test": {"2001:db8:1::10"},
	"inward.test": {"10.0.0.5", "169.254.169.254"}, "twoface.test": {"10.0.0.5", "203.0.113.20"},
}

// newOwnNetwork starts the peers.
func newOwnNetwork(t *testing.T) *ownNetwork {
	n := &ownNetwork{t: t, pen: newPen(t, egressLayers...), sockets: t.TempDir(), asked: &questions{}}
	n.sniff = &sniffer{os.NewFile(3, "sniffer")}
	cert := n.certify()
	n.listen(":80", func(c net.Conn) { answers(c) })
	n.listen(":443", func(c net.Conn) { answers(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})) })
	n.listen(":5432", postgres)
	for _, at := range []string{":22", ":7777", ":7778", "127.0.0.1:5555", "127.0.0.1:5556"} {
		n.listen(at, speaks)
	}
	for _, at := range []string{":443", ":4444"} {
		n.datagrams(at, func(b []byte) []byte { return b })
	}
	n.datagrams(":53", n.asked.answer)
	return n
}

func (n *ownNetwork) listen(at string, peer func(net.Conn)) {
	l, err := net.Listen("tcp", at)
	if err != nil {
		n.t.Fatal(err)
	}
	n.serve(l, peer)
}

func (n *ownNetwork) serve(l net.Listener, peer func(net.Conn)) {
	n.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				peer(c)
			}()
		}
	}()
}

// speaks greets and then repeats its input.
func speaks(c net.Conn) {
	if _, err := io.WriteString(c, greeting); err == nil {
		_, _ = io.Copy(c, c)
	}
}

// answers is a web server for one request.
func answers(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for have := 0; !bytes.Contains(buf[:have], []byte("\r\n\r\n")); {
		k, err := c.Read(buf[have:])
		if have += k; err != nil {
			return
		}
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\npeer\n")
}

// postgres says that it speaks no TLS.
func postgres(c net.Conn) {
	var request [8]byte
	if _, err := io.ReadFull(c, request[:]); err == nil && binary.BigEndian.Uint32(request[4:]) == 80877103 {
		_, _ = io.WriteString(c, "N")
	}
}

// datagrams answers each from the address that it was sent to.
func (n *ownNetwork) datagrams(at string, reply func([]byte) []byte) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		e := c.Control(func(fd uintptr) {
			for _, o := range [][3]int{{unix.IPPROTO_IP, unix.IP_PKTINFO, 1}, {unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1}, {unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1}} {
				if err = unix.SetsockoptInt(int(fd), o[0], o[1], o[2]); err != nil {
					return
				}
			}
		})
		if e != nil {
			return e
		}
		return err
	}}
	p, err := lc.ListenPacket(n.t.Context(), "udp", at)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { p.Close() })
	c := p.(*net.UDPConn)
	go func() {
		buf, oob := make([]byte, 2048), make([]byte, 256)
		for {
			k, o, _, from, err := c.ReadMsgUDPAddrPort(buf, oob)
			if err != nil {
				return
			}
			_, _, _ = c.WriteMsgUDPAddrPort(reply(buf[:k]), oob[:o], from)
		}
	}()
}

// questions answers for the zone and keeps the questions.
type questions struct {
	mu    sync.Mutex
	names []string
}

func (q *questions) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.names = nil
}

func (q *questions) all() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.names)
}

func (q *questions) answer(b []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(b) != nil || len(m.Questions) != 1 {
		return nil
	}
	name := strings.TrimSuffix(strings.ToLower(m.Questions[0].Name.String()), ".")
	q.mu.Lock()
	q.names = append(q.names, name)
	q.mu.Unlock()
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	addrs, known := zone[name]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addrs {
		addr := netip.MustParseAddr(a)
		var body dnsmessage.ResourceBody = &dnsmessage.AAAAResource{AAAA: addr.As16()}
		kind := dnsmessage.TypeAAAA
		if addr.Is4() {
			body, kind = &dnsmessage.AResource{A: addr.As4()}, dnsmessage.TypeA
		}
		if m.Questions[0].Type == kind {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: kind, Class: dnsmessage.ClassINET, TTL: 60}, Body: body,
			})
		}
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}

// certify makes an authority and a certificate of the peers.
func (n *ownNetwork) certify() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		n.t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, DNSNames: []string{"allowed.test", "other.test"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		n.t.Fatal(err)
	}
	n.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
	peer, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
	if err != nil {
		n.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{peer}, PrivateKey: key}
}

// sniffer sees every packet that leaves the network's only device.
type sniffer struct{ *os.File }

func newSniffer() (*os.File, error) {
	all := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	return os.NewFile(uintptr(fd), "sniffer"), os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 256<<20))
}

func (s *sniffer) forget() { _, _ = s.drain(func([]byte) {}) }

// seen lists the packets that left since the last call, without repetition.
func (s *sniffer) seen(t *testing.T) (list []string) {
	t.Helper()
	dropped, err := s.drain(func(b []byte) {
		if what := first(b); what != "" && !slices.Contains(list, what) {
			list = append(list, what)
		}
	})
	if err != nil || dropped != 0 {
		t.Fatalf("%d packets were not looked at (%v)", dropped, err)
	}
	return list
}

// drain hands over the beginning of each packet. A packet is in the queue
// before the call that sent it returns, so nothing is waited for.
func (s *sniffer) drain(f func([]byte)) (dropped uint32, err error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 128)
	e := raw.Control(func(fd uintptr) {
		for {
			n, from, rerr := unix.Recvfrom(int(fd), buf, 0)
			if rerr == unix.EAGAIN {
				break
			}
			if rerr != nil {
				err = rerr
				return
			}
			if sa, ok := from.(*unix.SockaddrLinklayer); ok && sa.Pkttype == unix.PACKET_OUTGOING {
				f(buf[:n])
			}
		}
		var stats *unix.TpacketStats
		if stats, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			dropped = stats.Drops
		}
	})
	if e != nil {
		return 0, e
	}
	return dropped, err
}

// first describes a packet that begins something: a connection, or a datagram that is
// no answer. It says so if it does not know the packet.
func first(b []byte) string {
	var dst netip.Addr
	var proto byte
	var rest []byte
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		dst, _ = netip.AddrFromSlice(b[16:20])
		proto, rest = b[9], b[min(int(b[0]&15)*4, len(b)):]
	case len(b) >= 40 && b[0]>>4 == 6:
		dst, _ = netip.AddrFromSlice(b[24:40])
		proto, rest = b[6], b[40:]
	default:
		return fmt.Sprintf("something else: %x", b[:min(len(b), 40)])
	}
	switch {
	case proto == unix.IPPROTO_TCP && len(rest) >= 20:
		if rest[13]&0x12 != 0x02 { // SYN, and no ACK
			return ""
		}
		return "tcp " + netip.AddrPortFrom(dst, binary.BigEndian.Uint16(rest[2:])).String()
	case proto == unix.IPPROTO_UDP && len(rest) >= 8:
		switch binary.BigEndian.Uint16(rest) {
		case 53, 443, 4444: // the peers' answers
			return ""
		}
		return "udp " + netip.AddrPortFrom(dst, binary.BigEndian.Uint16(rest[2:])).String()
	case proto == unix.IPPROTO_ICMP && len(rest) >= 1 && rest[0] == 0: // the kernel's answer
		return ""
	case proto == unix.IPPROTO_ICMP:
		return "icmp " + dst.String()
	}
	return fmt.Sprintf("protocol %d to %s", proto, dst)
}
