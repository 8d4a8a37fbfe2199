//go:build integration

package profiles_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a server may take for one answer on a machine that is busy.
const patience = 3 * time.Minute

// conn is a conversation with a server.
type conn struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan []byte
	said  *said
	next  int
}

// said holds a program's output on stderr.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.b.String()
	return text[max(0, len(text)-3000):]
}

func (s *session) start(t *testing.T, argv []string) *conn { return s.connect(t, s.command(argv)) }

// connect starts a server and greets it.
func (s *session) connect(t *testing.T, cmd *exec.Cmd) *conn {
	t.Helper()
	c := &conn{cmd: cmd, lines: make(chan []byte), said: &said{}}
	cmd.Stderr = c.said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	var err error
	c.in, err = cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(c.close)
	go func() {
		defer close(c.lines)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return
			}
			c.lines <- line
		}
	}()
	c.ask(t, "initialize", map[string]any{"protocolVersion": "2025-06-18", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "profiles", "version": "1"}})
	c.send(t, map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"})
	return c
}

func (c *conn) send(t *testing.T, message any) {
	t.Helper()
	data, err := json.Marshal(message)
	must(t, err)
	if _, err := c.in.Write(append(data, '\n')); err != nil {
		t.Fatalf("the server does not listen: %v: %s", err, c.said)
	}
}

// ask waits for the answer to a request. Meanwhile it answers the server's own requests
// with an error: the method is unknown.
func (c *conn) ask(t *testing.T, method string, params any) json.RawMessage {
	t.Helper()
	c.next++
	c.send(t, map[string]any{"jsonrpc": "2.0", "id": c.next, "method": method, "params": params})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			t.Fatalf("no answer to %s within %v: %s", method, patience, c.said)
		case line, ok := <-c.lines:
			if !ok {
				time.Sleep(500 * time.Millisecond) // its last words
				t.Fatalf("the server ended before it answered %s: %s", method, c.said)
			}
			var m struct {
				ID            json.RawMessage `json:"id"`
				Method        string          `json:"method"`
				Result, Error json.RawMessage
			}
			switch err := json.Unmarshal(line, &m); {
			case err != nil:
			case m.Method != "" && m.ID != nil:
				c.send(t, map[string]any{"jsonrpc": "2.0", "id": m.ID, "error": map[string]any{"code": -32601, "message": "not here"}})
			case m.Method == "" && string(m.ID) == fmt.Sprint(c.next):
				if m.Error != nil {
					t.Fatalf("%s: %s: %s", method, m.Error, c.said)
				}
				return m.Result
			}
		}
	}
}

// tools are the definitions of the tools, by name.
func (c *conn) tools(t *testing.T) map[string]string {
	t.Helper()
	var list struct {
		Tools []json.RawMessage `json:"tools"`
	}
	must(t, json.Unmarshal(c.ask(t, "tools/list", map[string]any{}), &list))
	out := make(map[string]string)
	for _, tool := range list.Tools {
		var named struct {
			Name string `json:"name"`
		}
		must(t, json.Unmarshal(tool, &named))
		var b bytes.Buffer
		must(t, json.Compact(&b, tool))
		out[named.Name] = b.String()
	}
	if len(out) == 0 {
		t.Fatalf("the server lists no tool: %s", c.said)
	}
	return out
}

// toolCall is a call with words that its result must have.
type toolCall struct {
	tool, args string
	want       string
	fails      bool // the answer is an error, and right
}

func (c *conn) call(t *testing.T, s *session, call toolCall) {
	t.Helper()
	result := c.ask(t, "tools/call", map[string]any{"name": call.tool, "arguments": json.RawMessage(s.fill(call.args))})
	var r struct {
		IsError bool `json:"isError"`
	}
	must(t, json.Unmarshal(result, &r))
	if r.IsError != call.fails || !strings.Contains(string(result), s.fill(call.want)) {
		t.Errorf("%s answers %.1500s\nwant %q\n%s", call.tool, result, s.fill(call.want), c.said)
	}
}

// close ends the server: its group, where closing its input does not.
func (c *conn) close() {
	if c.cmd.ProcessState != nil {
		return
	}
	c.in.Close()
	done := make(chan struct{})
	go func() {
		for range c.lines { // drain the rest
		}
		close(done)
	}()
	for _, end := range []syscall.Signal{0, syscall.SIGTERM, syscall.SIGKILL} {
		if end != 0 {
			syscall.Kill(-c.cmd.Process.Pid, end)
		}
		select {
		case <-done:
		case <-time.After(6 * time.Second):
			continue
		}
		break
	}
	syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	c.cmd.Wait()
}

// servePage serves one page on loopback, and gives its port.
func servePage(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "<!doctype html><title>A page</title><h1>Sheep in a pen</h1>")
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	return port
}

// decoys are files that are none of a server's business.
var decoys = []string{".ssh/id_ed25519", ".aws/credentials", ".kube/config", ".docker/config.json", ".netrc", ".config/gcloud/credentials.db", ".config/gh/hosts.yml", ".bash_history"}

// watchDecoys tells which of the decoys were opened until it is called.
func watchDecoys(t *testing.T, home string) func() []string {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	must(t, err)
	names := make(map[int32]string)
	for _, name := range decoys {
		wd, err := unix.InotifyAddWatch(fd, filepath.Join(home, name), unix.IN_OPEN|unix.IN_MODIFY|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF)
		must(t, err)
		names[int32(wd)] = name
	}
	return func() (seen []string) {
		defer unix.Close(fd)
		buf := make([]byte, 64<<10)
		n, err := unix.Read(fd, buf)
		if err != nil {
			return nil // nothing: EAGAIN
		}
		for at := 0; at+unix.SizeofInotifyEvent <= n; {
			// struct inotify_event of inotify(7): wd, mask, cookie, len, name.
			seen = append(seen, names[int32(binary.NativeEndian.Uint32(buf[at:]))])
			at += unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buf[at+12:]))
		}
		return seen
	}
}
