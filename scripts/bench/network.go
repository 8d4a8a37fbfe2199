package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The benchmark measures the network in its own network namespace, in which this
// program is the peer. Its stages are this program again, selected by the first
// argument.
const (
	peer         = "203.0.113.5:7777"
	stageNetwork = "stage-network" // BINARY FOLDER ROUNDS ONLY
	stageClient  = "stage-client"  // WHAT RESULT
	stageWait    = "stage-wait"    // WHAT RESULT; waits for a line first
)

// stage runs this program as one of its stages, if it was started as one. It must not
// run from init, in which a goroutine belongs to one thread and each wait costs a
// switch more.
func stage() {
	if len(os.Args) < 3 {
		return
	}
	switch os.Args[1] {
	case stageNetwork:
		rounds, err := strconv.Atoi(os.Args[4])
		if err == nil {
			err = inside(os.Args[2], os.Args[3], rounds, os.Args[5] == "connections")
		}
		if err != nil {
			fail(err)
		}
	case stageWait:
		var b [1]byte
		if _, err := os.Stdin.Read(b[:]); err != nil {
			fail(err)
		}
		fallthrough
	case stageClient:
		if err := client(os.Args[2], os.Args[3]); err != nil {
			fail(err)
		}
	case stageRelay:
		if err := relay(); err != nil {
			fail(err)
		}
	default:
		return
	}
	os.Exit(0)
}

// network measures throughput, connections, round trips and a download out of a
// sandbox, and compares them with bare loopback and with peers. It also measures the
// cost of a network rule at the start. Only "connections" measures nothing but the cost
// of connections.
func network(bin string, rounds int, only string) {
	if os.Getuid() != 0 {
		fmt.Println("network: only root can make the network for it, not measured")
		return
	}
	install(srtPackage, "srt") // there is no registry inside
	dir, err := networkFolder()
	if err != nil {
		os.RemoveAll(dir)
		fail(err)
	}
	cmd := exec.Command("/proc/self/exe", stageNetwork, bin, dir, strconv.Itoa(rounds), only)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is of the thread
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	os.RemoveAll(dir)
	if err != nil {
		fail(fmt.Errorf("the network: %w", err))
	}
}

// networkFolder is a folder with the client, the profiles and a place for
// results, where whatever runs the client finds them.
func networkFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(cache, "mcpen-bench-network-")
	if err != nil {
		return "", err
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return dir, err
	}
	results := filepath.Join(dir, "results")
	if err := os.Mkdir(results, 0o755); err != nil {
		return dir, err
	}
	head := "version = 1\nname = \"bench\"\n"
	network := fmt.Sprintf("[network]\nallow = [%q]\n", peer)
	return dir, errors.Join(
		os.WriteFile(filepath.Join(dir, "client"), self, 0o755),
		os.WriteFile(filepath.Join(dir, "none.toml"), []byte(head), 0o644),
		os.WriteFile(filepath.Join(dir, "start.toml"), []byte(head+network), 0o644),
		os.WriteFile(filepath.Join(dir, "web.toml"), []byte(head+fmt.Sprintf("[network]\nallow = [%q]\n", webPeer)), 0o644),
		os.WriteFile(filepath.Join(dir, "client.toml"), []byte(head+fmt.Sprintf("[filesystem]\nwrite = [%q]\n", results)+network), 0o644),
	)
}

// inside is the stage with its own network.
func inside(bin, dir string, rounds int, connections bool) error {
	if err := lonely(); err != nil {
		return fmt.Errorf("cannot make a network: %w", err)
	}
	l, err := net.Listen("tcp", peer)
	if err != nil {
		return err
	}
	defer l.Close()
	go serve(l)
	runs := ways(bin, dir)
	if connections {
		costs(runs, dir, rounds)
		return nil
	}
	startWith(bin, dir, rounds)
	if err := downloads(bin, dir, rounds); err != nil {
		return fmt.Errorf("the download: %w", err)
	}
	costs(runs, dir, rounds)
	took := make([][]sample, len(runs))
	for range rounds {
		for i, w := range runs {
			if w.broken != nil {
				continue
			}
			s, err := w.measure(dir)
			if err != nil && i < 4 {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if w.broken = err; err == nil {
				took[i] = append(took[i], s)
			}
		}
	}
	for i, what := range []string{"throughput (256 MiB)", "connect, 1 byte, close", "round trip (64 bytes)", "connect, 8 at once"} {
		base := middle(took[0], i)
		for j, w := range runs {
			if w.broken != nil {
				fmt.Printf("%-24s %-13s not measured: %v\n", what, w.name, w.broken)
				continue
			}
			m := middle(took[j], i)
			fmt.Printf("%-24s %-13s %10v   %s", what, w.name, m.Round(10*time.Nanosecond), per(i, m))
			if j > 0 {
				fmt.Printf("   %.2f× of bare's time", float64(m)/float64(base))
			}
			fmt.Println()
		}
	}
	return nil
}

// lonely gives the namespace peers that lead back to it, and an interface with a
// default route, which pasta looks for.
func lonely() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	_, all, err := net.ParseCIDR("203.0.113.0/24")
	if err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: all, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}); err != nil {
		return err
	}
	// Closed connections keep no port, of which thousands of others would run out.
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_max_tw_buckets", []byte("1"), 0o644); err != nil {
		return err
	}
	out := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "out", MTU: 65520, TxQLen: -1}, PeerName: "nowhere"}
	if err := netlink.LinkAdd(out); err != nil {
		return err
	}
	addr, err := netlink.ParseAddr("198.51.100.2/24")
	if err != nil {
		return err
	}
	far, err := netlink.LinkByName("nowhere")
	if err != nil {
		return err
	}
	return errors.Join(
		netlink.AddrAdd(out, addr), netlink.LinkSetUp(far), netlink.LinkSetUp(out),
		netlink.RouteAdd(&netlink.Route{LinkIndex: out.Attrs().Index, Gw: net.IPv4(198, 51, 100, 1)}))
}

// startWith measures the cost of a network rule at the start.
func startWith(bin, dir string, rounds int) {
	kinds := []*kind{
		{name: "none", argv: []string{bin, "run", "--quiet", "--profile", filepath.Join(dir, "none.toml"), "--", "/bin/true"}},
		{name: "network", argv: []string{bin, "run", "--quiet", "--profile", filepath.Join(dir, "start.toml"), "--", "/bin/true"}},
	}
	for i := range 12*rounds + 2 {
		for _, k := range kinds {
			began := time.Now()
			if out, err := exec.Command(k.argv[0], k.argv[1:]...).CombinedOutput(); err != nil {
				fail(fmt.Errorf("%v: %w: %s", k.argv, err, out))
			}
			if i >= 2 {
				k.took = append(k.took, time.Since(began))
			}
		}
	}
	report("start, network rules", kinds, 1)
	fmt.Printf("%-24s %-6s %10v more than without\n", "start, network rules", "network", (kinds[1].median() - kinds[0].median()).Round(10*time.Microsecond))
}

// way is one way for the client to reach the peer.
type way struct {
	name   string
	run    func(what, result string) error
	broken error // why it is not measured
}

// ways are bare loopback, mcpen, and the installed peers.
func ways(bin, dir string) []*way {
	self := filepath.Join(dir, "client")
	plain := func(argv ...string) func(string, string) error {
		return func(what, result string) error {
			return finish(exec.Command(argv[0], append(argv[1:], stageClient, what, result)...))
		}
	}
	all := []*way{
		{name: "bare", run: plain(self)},
		{name: "plain relay", run: func(what, result string) error { return relayed(self, what, result) }},
		{name: "mcpen", run: func(what, result string) error {
			return told(result, exec.Command(bin, "run", "--quiet", "--profile", filepath.Join(dir, "start.toml"), "--", self, stageClient, what, "-"))
		}},
		{name: "mcpen, folder", run: plain(bin, "run", "--quiet", "--profile", filepath.Join(dir, "client.toml"), "--", self)},
	}
	if path, err := exec.LookPath("pasta"); err == nil {
		all = append(all, &way{name: "pasta", run: plain(path, "--quiet", "--config-net", "--runas", "0", "--", self)})
	}
	if path, err := exec.LookPath("slirp4netns"); err == nil {
		all = append(all, &way{name: "slirp4netns", run: func(what, result string) error { return slirp(path, self, what, result) }})
	}
	return all
}

// told runs a client that has no writable folder, and writes the client's output to
// result.
func told(result string, cmd *exec.Cmd) error {
	in, err := cmd.StdinPipe() // open until the client has ended
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %.200s", err, out)
	}
	return os.WriteFile(result, out, 0o644)
}

// finish runs a command, and reports its output if it fails.
func finish(cmd *exec.Cmd) error {
	in, err := cmd.StdinPipe() // open until the client has ended
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := cmd.CombinedOutput()
	if err != nil {
		text := strings.Join(strings.Fields(string(out)), " ")
		return fmt.Errorf("%w: %.200s", err, text)
	}
	return nil
}

// slirp runs the client in a namespace that slirp4netns serves.
func slirp(path, self, what, result string) error {
	cmd := exec.Command(self, stageWait, what, result)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	ready, told, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	defer told.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return err
	}
	server := exec.Command(path, "--configure", "--mtu=65520", "--ready-fd=3", strconv.Itoa(cmd.Process.Pid), "tap0")
	server.ExtraFiles = []*os.File{told}
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = server.Start()
	if err == nil {
		told.Close()
		var b [1]byte
		if _, err = ready.Read(b[:]); err == nil {
			_, err = in.Write([]byte("\n"))
		}
		defer server.Wait()
		defer server.Process.Kill()
	}
	if err != nil {
		cmd.Process.Kill()
	}
	return errors.Join(err, cmd.Wait())
}

// sample holds the client's measured times.
type sample [4]time.Duration

func (s sample) text() string {
	var out []string
	for _, d := range s {
		out = append(out, strconv.FormatInt(int64(d), 10))
	}
	return strings.Join(out, " ")
}

func (w *way) measure(dir string) (s sample, err error) {
	result := filepath.Join(dir, "results", w.name)
	if err := w.run(everything, result); err != nil {
		return s, err
	}
	data, err := os.ReadFile(result)
	if err != nil {
		return s, err
	}
	for i, field := range strings.Fields(string(data)) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil || i >= len(s) {
			return s, fmt.Errorf("the client wrote %q", data)
		}
		s[i] = time.Duration(n)
	}
	return s, nil
}

// middle is the median of one of the times.
func middle(list []sample, i int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	var of []time.Duration
	for _, s := range list {
		of = append(of, s[i])
	}
	slices.Sort(of)
	return of[len(of)/2]
}

// per says the same as a rate.
func per(i int, d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case i == 0:
		return fmt.Sprintf("%6.1f Gbit/s", float64(volume)*8/float64(d.Nanoseconds()))
	}
	return fmt.Sprintf("%6.0f a second", float64(time.Second)/float64(d))
}

// dialled is the address that a client connects to.
var dialled = cmp.Or(os.Getenv(peerVariable), peer)

const peerVariable = "MCPEN_BENCH_PEER"

const (
	volume      = 256 << 20 // bytes sent
	connections = 200       // one after the other
	trips       = 2000
)

// serve is the peer: the first byte of a connection selects the service.
func serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			var what [1]byte
			if _, err := io.ReadFull(c, what[:]); err != nil {
				return
			}
			if what[0] == 'e' {
				_, _ = io.Copy(c, c)
				return
			}
			buf := make([]byte, 1<<20)
			for {
				if _, err := c.Read(buf); err != nil {
					break
				}
			}
			_, _ = c.Write(what[:])
		}()
	}
}

// everything makes a client measure all times. A number makes it connect so
// often.
const everything = "everything"

// client measures and writes the times into a file, or to stderr.
func client(what, result string) error {
	if n, err := strconv.Atoi(what); err == nil {
		_, err := median(n, connectOnce)
		return err
	}
	var s sample
	for i, f := range []func() (time.Duration, error){send, connect, trip, connectMany} {
		var err error
		if s[i], err = f(); err != nil {
			return err
		}
	}
	if result == "-" {
		_, err := fmt.Fprintln(os.Stderr, s.text())
		return err
	}
	return os.WriteFile(result, []byte(s.text()), 0o644)
}

// send is the time for the volume, until the peer has all of it.
func send() (time.Duration, error) {
	c, err := net.Dial("tcp", dialled)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if _, err := c.Write([]byte("r")); err != nil {
		return 0, err
	}
	buf := make([]byte, 1<<20)
	began := time.Now()
	for sent := 0; sent < volume; sent += len(buf) {
		if _, err := c.Write(buf); err != nil {
			return 0, err
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return 0, err
	}
	_, err = io.ReadFull(c, buf[:1])
	return time.Since(began), err
}

// connect is the median of a connection that carries a byte there and back.
func connect() (time.Duration, error) {
	return median(connections, connectOnce)
}

// connectMany is the time for one of many connections, several of which are made at
// once.
func connectMany() (time.Duration, error) {
	const atOnce = 8
	errs := make(chan error, atOnce)
	began := time.Now()
	for range atOnce {
		go func() {
			var err error
			for i := 0; i < connections && err == nil; i++ {
				err = connectOnce()
			}
			errs <- err
		}()
	}
	var err error
	for range atOnce {
		err = errors.Join(err, <-errs)
	}
	return time.Since(began) / (atOnce * connections), err
}

func connectOnce() error {
	c, err := net.Dial("tcp", dialled)
	if err != nil {
		return err
	}
	defer c.Close()
	b := []byte("ee")
	if _, err := c.Write(b); err != nil {
		return err
	}
	_, err = io.ReadFull(c, b[:1])
	return err
}

// trip is the median of a round trip.
func trip() (time.Duration, error) {
	c, err := net.Dial("tcp", dialled)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if _, err := c.Write([]byte("e")); err != nil {
		return 0, err
	}
	b := make([]byte, 64)
	return median(trips, func() error {
		if _, err := c.Write(b); err != nil {
			return err
		}
		_, err := io.ReadFull(c, b)
		return err
	})
}

func median(n int, f func() error) (time.Duration, error) {
	var took []time.Duration
	for range n {
		began := time.Now()
		if err := f(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[n/2], nil
}
