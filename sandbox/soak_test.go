//go:build soak

package sandbox_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mcpen/sandbox"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

var soakTime = flag.Duration("soak.time", 10*time.Minute, "how long the soak test talks")

const (
	soakServerArg = "soak-server"     // first argument: this binary is the server inside
	soakPlan      = "MCPEN_SOAK_PLAN" // names a plan: this binary is a launcher that reports its memory and descriptors
)

func init() {
	sandbox.Hook()
	if len(os.Args) > 1 && os.Args[1] == soakServerArg {
		os.Exit(soakServer(os.Stdin, os.Stdout))
	}
	if file := os.Getenv(soakPlan); file != "" {
		os.Exit(soakLaunch(file))
	}
}

// holding is a process's use of resources after it has released all that it can.
type holding struct {
	Goroutines, Files int
	Pss, Anon         int // KiB; Anon is the part that nothing is shared of
}

// holds looks at this process.
func holds() (h holding, err error) {
	debug.FreeOSMemory()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return h, err
	}
	h.Goroutines, h.Files = runtime.NumGoroutine(), len(fds)
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	for line := range strings.Lines(string(text)) {
		fmt.Sscanf(line, "Pss: %d kB", &h.Pss)
		fmt.Sscanf(line, "Pss_Anon: %d kB", &h.Anon)
	}
	return h, err
}

// soakLaunch is launch with an additional control: it answers each byte on descriptor 3
// with the holding of this process.
func soakLaunch(file string) int {
	unix.CloseOnExec(3)
	ear := os.NewFile(3, "ear")
	go func() {
		var b [1]byte
		for {
			if _, err := ear.Read(b[:]); err != nil {
				return
			}
			h, err := holds()
			if err != nil {
				return
			}
			json.NewEncoder(ear).Encode(h)
		}
	}()
	return launch(file)
}

// message is the part of a line that server and client read.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name      string `json:"name"`
		Arguments struct {
			Text string `json:"text"`
		} `json:"arguments"`
	} `json:"params"`
	Result struct {
		Content []struct {
			Text string `json:"text"`
		} `json:"content"`
	} `json:"result"`
	Error json.RawMessage `json:"error"`
}

// soakServer answers every "echo" in order, with a word or a question of its own before
// some. It leaves "wait" without an answer, for the client to cancel, and answers
// "sums" with its counts of lines read and written so far.
func soakServer(in io.Reader, out io.Writer) int {
	heard, told := sha256.New(), sha256.New()
	say := func(format string, args ...any) {
		line := fmt.Appendf(nil, format+"\n", args...)
		told.Write(line)
		if _, err := out.Write(line); err != nil {
			os.Exit(74)
		}
	}
	lines := bufio.NewReaderSize(in, 1<<16)
	for n := 0; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return 0
		}
		heard.Write(line)
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			return 65
		}
		switch {
		case m.Method == "initialize":
			say(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"soak","version":"1"}}}`, m.ID)
		case m.Method == "tools/list":
			say(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"echo","description":"Says it again.","inputSchema":{"type":"object"}}]}}`, m.ID)
		case m.Params.Name == "echo":
			if n%7 == 0 {
				say(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%d,"progress":1}}`, n)
			}
			if n%11 == 0 {
				say(`{"jsonrpc":"2.0","id":"ask-%d","method":"roots/list"}`, n)
			}
			text, _ := json.Marshal(m.Params.Arguments.Text)
			say(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":%s}]}}`, m.ID, text)
		case m.Params.Name == "sums":
			say(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%x %x"}]}}`, m.ID, heard.Sum(nil), told.Sum(nil))
		}
	}
}

// soaker is a client that knows the sum of all that it said and heard.
type soaker struct {
	in   io.Writer
	out  *bufio.Reader
	rand *rand.Rand
	most int // bytes of the longest text

	queue chan []byte // to write, in order: the reader must not wait for the writer
	wrote chan error
	told  hash.Hash // of the writer, and of others while nothing is written

	heard hash.Hash
	id    int
	count int // messages, both ways
	bytes int
}

func newSoaker(in io.Writer, out io.Reader, seed uint64, most int) (*soaker, error) {
	s := &soaker{in: in, out: bufio.NewReaderSize(out, 1<<16), rand: rand.New(rand.NewPCG(seed, 1)), most: most,
		queue: make(chan []byte, 1<<12), wrote: make(chan error, 1), told: sha256.New(), heard: sha256.New()}
	go s.write()
	s.request("initialize", `{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"soak","version":"1"}}`)
	if _, err := s.answer(); err != nil {
		return s, err
	}
	s.say(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return s, nil
}

// write writes the queued lines until the queue is closed.
func (s *soaker) write() {
	var failed error
	for line := range s.queue {
		if failed != nil {
			continue
		}
		s.told.Write(line)
		_, failed = s.in.Write(line)
	}
	s.wrote <- failed
}

func (s *soaker) say(format string, args ...any) {
	line := fmt.Appendf(nil, format+"\n", args...)
	s.count++
	s.bytes += len(line)
	s.queue <- line
}

func (s *soaker) request(method, params string) int {
	s.id++
	s.say(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, s.id, method, params)
	return s.id
}

// answer reads up to the next answer. Questions on the way to it are answered.
func (s *soaker) answer() (m message, err error) {
	for {
		line, err := s.out.ReadBytes('\n')
		if err != nil {
			return m, fmt.Errorf("after %d messages: %w", s.count, err)
		}
		s.count++
		s.bytes += len(line)
		m = message{}
		if err := json.Unmarshal(line, &m); err != nil {
			return m, fmt.Errorf("%w: %.200q", err, line)
		}
		switch {
		case m.Error != nil:
			return m, fmt.Errorf("an error nobody expects: %.300s", line)
		case m.Method == "":
			before := s.heardSum()
			s.heard.Write(line)
			if len(m.Result.Content) == 1 && strings.HasSuffix(m.Result.Content[0].Text, " "+before) {
				m.Method = "sums" // the other side's sum of the lines that it heard
			}
			return m, nil
		case m.ID != nil:
			s.say(`{"jsonrpc":"2.0","id":%s,"result":{"roots":[]}}`, m.ID)
		}
		s.heard.Write(line)
	}
}

func (s *soaker) heardSum() string { return hex.EncodeToString(s.heard.Sum(nil)) }

// text is a text of some length: mostly short, now and then as long as the
// longest, with characters that JSON and UTF-8 make something of.
func (s *soaker) text() string {
	n := s.rand.IntN(200)
	switch s.rand.IntN(40) {
	case 0:
		n = s.rand.IntN(s.most + 1)
	case 1, 2:
		n = s.rand.IntN(1 << 16)
	}
	const letters = "abcdefghijklmnop \"\\/\u2028é語🐖\t"
	runes := []rune(letters)
	var b strings.Builder
	for b.Len() < n {
		b.WriteRune(runes[s.rand.IntN(len(runes))])
	}
	return b.String()
}

// round asks for much at once, takes some of it back, and wants every answer in
// its order and both sides to have the same sums in the end.
func (s *soaker) round(longest bool) error {
	const most = 60
	type asked struct {
		id   int
		text string
	}
	var open []asked
	for i := range most {
		text := s.text()
		if longest && i == 0 {
			text = strings.Repeat("x", s.most)
		}
		quoted, _ := json.Marshal(text)
		open = append(open, asked{s.request("tools/call", fmt.Sprintf(`{"name":"echo","arguments":{"text":%s}}`, quoted)), text})
		if s.rand.IntN(10) == 0 {
			id := s.request("tools/call", `{"name":"wait","arguments":{}}`)
			s.say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d,"reason":"changed my mind"}}`, id)
		}
	}
	for _, a := range open {
		m, err := s.answer()
		if err != nil {
			return err
		}
		if string(m.ID) != fmt.Sprint(a.id) || len(m.Result.Content) != 1 || m.Result.Content[0].Text != a.text {
			return fmt.Errorf("the answer to %d (%d bytes) is one to %s", a.id, len(a.text), m.ID)
		}
	}
	list := s.request("tools/list", `{}`)
	if m, err := s.answer(); err != nil || string(m.ID) != fmt.Sprint(list) {
		return fmt.Errorf("the answer to the list is one to %s (%v)", m.ID, err)
	}
	s.request("tools/call", `{"name":"sums","arguments":{}}`)
	m, err := s.answer()
	if err != nil {
		return err
	}
	// The server heard this request last, and nothing was written since.
	if m.Method != "sums" || !strings.HasPrefix(m.Result.Content[0].Text, hex.EncodeToString(s.told.Sum(nil))+" ") {
		return fmt.Errorf("a message was lost, changed or moved among the last of %d", s.count)
	}
	return nil
}

// close ends the writer, and says whether everything was written.
func (s *soaker) close() error {
	close(s.queue)
	return <-s.wrote
}

// soakProgram is this binary, which is the server as well.
func soakProgram(t *testing.T) string {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// soakPlanOf is the plan of a server that is allowed nothing.
func soakPlanOf(p *pen) plan.Plan {
	return p.planOf("version = 1\nname = \"soak\"\n"+require(p.layers), soakProgram(p.t), soakServerArg)
}

// launcher is a launcher as clients start it, and its ear.
type launcher struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.ReadCloser
	ear *os.File
}

func startLauncher(file string) (*launcher, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(pair[1]), "ear")
	defer theirs.Close()
	l := &launcher{cmd: exec.Command("/proc/self/exe"), ear: os.NewFile(uintptr(pair[0]), "ear")}
	l.cmd.Env = []string{soakPlan + "=" + file}
	l.cmd.Stderr = os.Stderr
	l.cmd.ExtraFiles = []*os.File{theirs}
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if l.out, err = l.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return l, l.cmd.Start()
}

// holds asks the launcher for its holding.
func (l *launcher) holds() (h holding, err error) {
	if _, err = l.ear.Write([]byte{'?'}); err == nil {
		err = json.NewDecoder(l.ear).Decode(&h)
	}
	return h, err
}

// flat reports growth. Memory may grow by the size of a few lines.
func flat(early, late holding) error {
	var grew []error
	if late.Goroutines > early.Goroutines {
		grew = append(grew, fmt.Errorf("goroutines: %d, then %d", early.Goroutines, late.Goroutines))
	}
	if late.Files > early.Files {
		grew = append(grew, fmt.Errorf("descriptors: %d, then %d", early.Files, late.Files))
	}
	const slack = 2048 // KiB
	if late.Anon > early.Anon+early.Anon/10+slack {
		grew = append(grew, fmt.Errorf("memory of its own: %d KiB, then %d KiB", early.Anon, late.Anon))
	}
	return errors.Join(grew...)
}

// A server that runs for days in an editor loses no message, and its launcher
// does not grow; nor does a program that starts servers again and again.
func TestSoak(t *testing.T) {
	start := time.Now()
	early, end := start.Add(*soakTime/10), start.Add(*soakTime)
	// The others talk on until the restarts were measured, in the process that the
	// clients are in.
	measured := make(chan struct{})
	var all sync.WaitGroup
	for i, s := range []struct {
		name   string
		most   int
		layers []policy.Layer
	}{
		{"short lines", 2000, []policy.Layer{policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp}},
		{"long lines", 3 << 20, []policy.Layer{policy.LayerNamespaces, policy.LayerLandlock, policy.LayerSeccomp}},
		{"without namespaces", 1 << 18, []policy.Layer{policy.LayerLandlock, policy.LayerSeccomp}},
	} {
		p := newPen(t, s.layers...)
		all.Go(func() {
			if err := soakOne(t, p, s.name, uint64(i), s.most, early, measured); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
		})
	}
	p := held(t)
	pl := soakPlanOf(p)
	all.Go(func() {
		defer close(measured)
		if err := soakRestarts(t, p, pl, early, end); err != nil {
			t.Errorf("restarts: %v", err)
		}
	})
	all.Wait()
}

// soakOne talks to one server until end is closed.
func soakOne(t *testing.T, p *pen, name string, seed uint64, most int, early time.Time, end <-chan struct{}) error {
	data, err := json.Marshal(soakPlanOf(p))
	if err != nil {
		return err
	}
	file := filepath.Join(p.home, "plan.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	l, err := startLauncher(file)
	if err != nil {
		return err
	}
	defer l.ear.Close()
	defer l.cmd.Process.Kill()
	s, err := newSoaker(l.in, l.out, seed, most)
	if err != nil {
		return err
	}
	var first, last holding
	rounds := 0
	for over := false; !over || rounds < 4; {
		select {
		case <-end:
			over = true
		default:
		}
		if err := s.round(rounds%20 == 0); err != nil {
			return fmt.Errorf("round %d: %w", rounds, err)
		}
		if rounds++; first.Files == 0 && rounds >= 2 && time.Now().After(early) {
			if first, err = l.holds(); err != nil {
				return err
			}
		}
	}
	if last, err = l.holds(); err != nil {
		return err
	}
	t.Logf("%s: %d messages, %d MiB, %d rounds; early %+v, late %+v", name, s.count, s.bytes>>20, rounds, first, last)
	if err := flat(first, last); err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	l.in.Close()
	if rest, err := io.ReadAll(s.out); err != nil || len(rest) > 0 {
		return fmt.Errorf("at the end it still said %.200q (%v)", rest, err)
	}
	return l.cmd.Wait()
}

// ways in which servers end.
var ways = []struct {
	name string
	end  func(r *restarted)
}{
	{"end of input", func(r *restarted) { r.in.Close() }},
	{"context", func(r *restarted) { r.cancel() }},
	{"SIGTERM", func(r *restarted) { r.box.Signal(syscall.SIGTERM) }},
	{"SIGKILL", func(r *restarted) { r.box.Signal(syscall.SIGKILL) }},
}

type restarted struct {
	box    *sandbox.Box
	in     *os.File
	cancel context.CancelFunc
}

// soakRestarts starts servers and ends them until the end, in this process.
func soakRestarts(t *testing.T, p *pen, pl plan.Plan, early, end time.Time) error {
	var first holding
	n := 0
	for ; time.Now().Before(end) || n < 2*len(ways); n++ {
		if err := soakRestart(pl, n); err != nil {
			return fmt.Errorf("start %d, ended by %s: %w", n, ways[n%len(ways)].name, err)
		}
		if first.Files == 0 && n >= len(ways) && time.Now().After(early) {
			var err error
			if first, err = holds(); err != nil {
				return err
			}
		}
	}
	// Goroutines that end beside Wait get time to do so.
	var last holding
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		var err error
		if last, err = holds(); err != nil {
			return err
		}
		if last.Goroutines <= first.Goroutines && last.Files <= first.Files || time.Now().After(deadline) {
			break
		}
	}
	t.Logf("restarts: %d; early %+v, late %+v", n, first, last)
	last.Anon = first.Anon // the clients of this test are in it
	p.empty()
	return flat(first, last)
}

func soakRestart(pl plan.Plan, n int) error {
	var pipes [2][2]*os.File
	for i := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer r.Close()
		defer w.Close()
		pipes[i] = [2]*os.File{r, w}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	box, err := sandbox.Start(ctx, pl, sandbox.Stdio{In: pipes[0][0], Out: pipes[1][1], Err: os.Stderr}, nil, sandbox.Options{})
	if err != nil {
		return err
	}
	s, err := newSoaker(pipes[0][1], pipes[1][0], uint64(n), 1<<17)
	if err == nil {
		err = s.round(n%3 == 0)
	}
	err = errors.Join(err, s.close())
	ways[n%len(ways)].end(&restarted{box, pipes[0][1], cancel})
	_, failed := box.Wait()
	pipes[1][1].Close()
	rest, unread := io.ReadAll(s.out)
	if len(bytes.TrimSpace(rest)) > 0 {
		unread = errors.Join(unread, fmt.Errorf("at the end it still said %.200q", rest))
	}
	return errors.Join(err, failed, unread)
}
