package relay

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/audit"
)

func TestMain(m *testing.M) {
	switch as := os.Getenv("RELAY_TEST_AS"); as {
	case "":
		os.Exit(m.Run())
	case "server":
		answerPings()
	default:
		relayAs(as)
	}
}

// answerPings is a server that knows one request and costs next to nothing.
func answerPings() {
	buf := make([]byte, 4096)
	answer := []byte(`{"jsonrpc":"2.0","id":1,"result":{}}` + "\n")
	for {
		n, _ := unix.Read(0, buf)
		if n <= 0 {
			return
		}
		unix.Write(1, answer)
	}
}

// relayAs is a launcher: a relay between its stdio and a server of its own.
func relayAs(kind string) {
	var ours, theirs [3]*os.File
	for i := range ours {
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		if ours[i], theirs[i] = r, w; i == 0 {
			ours[i], theirs[i] = w, r
		}
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"RELAY_TEST_AS=server"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs[0], theirs[1], theirs[2]
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	for _, f := range theirs {
		f.Close()
	}
	done := make(chan struct{})
	go func() { defer close(done); cmd.Wait() }()
	var std [3]*FD
	for i := range std {
		var err error
		if std[i], err = Borrow(i); err != nil {
			panic(err)
		}
	}
	ends := Ends{ClientIn: std[0], ClientOut: std[1], Stderr: std[2], ServerIn: ours[0], ServerOut: ours[1], ServerErr: ours[2]}
	if kind == "own" {
		own := func(f *os.File) *FD {
			fd, _ := unix.Dup(int(f.Fd())) // Fd makes it blocking
			f.Close()
			e, _ := newFD(fd, true)
			return e
		}
		ends.ServerIn, ends.ServerOut, ends.ServerErr = own(ours[0]), own(ours[1]), own(ours[2])
	}
	if kind == "reopened" {
		in, err1 := Reopen(0, unix.O_RDONLY)
		out, err2 := Reopen(1, unix.O_WRONLY)
		if err := errors.Join(err1, err2); err != nil {
			panic(err)
		}
		ends.ClientIn, ends.ClientOut = in, out
	}
	c := Config{Ends: ends, Process: Process{Done: done, Signal: cmd.Process.Signal}, Ladder: DefaultLadder,
		Sink: func(audit.Event) error { return nil }}
	keep(&c)
	r, err := New(c)
	if err != nil {
		panic(err)
	}
	if _, err := r.Run(context.Background()); err != nil {
		panic(err)
	}
}

// BenchmarkPing measures a request and its answer without a relay, and through a relay
// in a process of its own: between reopened pipes, between shared pipes and, as with
// some clients, socket pairs; and with the server's pipes as FDs, too.
func BenchmarkPing(b *testing.B) {
	for name, as := range map[string]string{"bare": "server", "pipes": "relay", "sockets": "relay", "own": "own", "reopened": "reopened"} {
		b.Run(name, func(b *testing.B) {
			cmd := exec.Command(os.Args[0])
			in, w := benchPipe(b)
			r, out := benchPipe(b)
			if name == "sockets" {
				in, w = benchSockets(b)
				r, out = benchSockets(b)
			}
			cmd.Env = []string{"RELAY_TEST_AS=" + as}
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, os.Stderr
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			in.Close()
			out.Close()
			ping := []byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}` + "\n")
			buf := make([]byte, 4096)
			rfd, wfd := int(r.Fd()), int(w.Fd())
			took := make([]time.Duration, 0, b.N)
			for range b.N {
				start := time.Now()
				unix.Write(wfd, ping)
				if n, err := unix.Read(rfd, buf); n <= 0 {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-µs")
			w.Close()
			cmd.Wait()
		})
	}
}

func benchPipe(b *testing.B) (*os.File, *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func benchSockets(b *testing.B) (*os.File, *os.File) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	x, y := os.NewFile(uintptr(p[0]), ""), os.NewFile(uintptr(p[1]), "")
	b.Cleanup(func() { x.Close(); y.Close() })
	return x, y
}

// BenchmarkLines measures the cost of a line in one direction, without a peer.
func BenchmarkLines(b *testing.B) {
	for name, size := range map[string]int{"100B": 100, "10KiB": 10 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			line := []byte(fill(size-1, `{"jsonrpc":"2.0","method":"n","params":{"x":"%s"}}`) + "\n")
			r := &Relay{Config: Config{MaxLine: defaultMaxLine}, toServer: newOutlet(discard{})}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			r.carry(Client, newLines(&repeat{line: line, left: b.N}, defaultMaxLine))
			r.toServer.close()
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// repeat yields line, left times.
type repeat struct {
	line []byte
	at   int
	left int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && r.left > 0 {
		c := copy(p[n:], r.line[r.at:])
		n, r.at = n+c, r.at+c
		if r.at == len(r.line) {
			r.at, r.left = 0, r.left-1
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
