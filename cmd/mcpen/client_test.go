package main

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"mcpen/cmd/mcpen/embedded"
)

// clientsKey is the key of the clients that a script started.
type clientsKey struct{}

// client is a running mcpen and an MCP client's state.
type client struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Reader
	id    int
	ended bool
}

// ask sends a request and returns the line that answers it. Every line before it
// has to be a message, too.
func (c *client) ask(method string, params any) (string, error) {
	c.id++
	line, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": c.id, "method": method, "params": params})
	if err != nil {
		return "", err
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		return "", err
	}
	for {
		text, err := c.lines.ReadString('\n')
		if err != nil {
			return "", err
		}
		var m struct {
			ID int `json:"id"`
		}
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return "", fmt.Errorf("on stdout, and no message: %q", text)
		}
		if m.ID == c.id {
			return text, nil
		}
	}
}

// end kills a script's leftovers.
func (c *client) end() {
	if !c.ended {
		c.cmd.Process.Kill()
		c.cmd.Wait()
	}
}

// named returns a running client of a script.
func named(ts *testscript.TestScript, name string) *client {
	c := ts.Value(clientsKey{}).(map[string]*client)[name]
	if c == nil {
		ts.Fatalf("no client %q", name)
	}
	return c
}

// startClient starts a server as a client does, and returns when it answered
// initialize. Its stderr goes to the file NAME.stderr.
//
//	launch NAME mcpen run …
func startClient(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[1] != "mcpen" {
		ts.Fatalf("usage: launch NAME mcpen ARGS…")
	}
	bin, err := exec.LookPath("mcpen")
	ts.Check(err)
	c := &client{cmd: exec.Command(bin, args[2:]...)}
	c.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "TMPDIR", "TOKEN", "NOTES_API_KEY", "LANG"} {
		if v := ts.Getenv(name); v != "" {
			c.cmd.Env = append(c.cmd.Env, name+"="+v)
		}
	}
	stderr, err := os.Create(ts.MkAbs(args[0] + ".stderr"))
	ts.Check(err)
	defer stderr.Close()
	c.cmd.Stderr = stderr
	c.in, err = c.cmd.StdinPipe()
	ts.Check(err)
	out, err := c.cmd.StdoutPipe()
	ts.Check(err)
	c.lines = bufio.NewReader(out)
	ts.Check(c.cmd.Start())
	ts.Value(clientsKey{}).(map[string]*client)[args[0]] = c
	_, err = c.ask("initialize", map[string]any{"protocolVersion": "2025-06-18", "capabilities": map[string]any{},
		"clientInfo": map[string]string{"name": "script", "version": "1"}})
	if err != nil {
		text, _ := os.ReadFile(filepath.Join(c.cmd.Dir, args[0]+".stderr"))
		ts.Fatalf("no answer to initialize: %v\n%s", err, text)
	}
}

// call calls a tool and writes the answer to stdout. With "!" it has to be an
// error, of the protocol or of the tool.
//
//	call NAME TOOL [ARGUMENT=VALUE]…
func call(ts *testscript.TestScript, neg bool, args []string) {
	arguments := map[string]string{}
	for _, a := range args[2:] {
		k, v, _ := strings.Cut(a, "=")
		arguments[k] = v
	}
	text, err := named(ts, args[0]).ask("tools/call", map[string]any{"name": args[1], "arguments": arguments})
	ts.Check(err)
	var m struct {
		Error  json.RawMessage `json:"error"`
		Result struct {
			IsError bool `json:"isError"`
		} `json:"result"`
	}
	ts.Check(json.Unmarshal([]byte(text), &m))
	if failed := m.Error != nil || m.Result.IsError; failed != neg {
		ts.Fatalf("the call failed: %t; it answered %s", failed, text)
	}
	fmt.Fprint(ts.Stdout(), text)
}

// askClient sends a request, such as that for a page of a list, and prints the
// answer.
//
//	ask NAME METHOD [CURSOR]
func askClient(ts *testscript.TestScript, neg bool, args []string) {
	params := map[string]string{}
	if len(args) > 2 {
		params["cursor"] = args[2]
	}
	text, err := named(ts, args[0]).ask(args[1], params)
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), text)
}

// hear waits for a notification.
//
//	hear NAME METHOD
func hear(ts *testscript.TestScript, neg bool, args []string) {
	c := named(ts, args[0])
	for {
		text, err := c.lines.ReadString('\n')
		ts.Check(err)
		var m struct {
			Method string `json:"method"`
		}
		ts.Check(json.Unmarshal([]byte(text), &m))
		if m.Method == args[1] {
			return
		}
	}
}

// signalClient sends a signal to mcpen.
//
//	signal NAME SIGTERM
func signalClient(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(named(ts, args[0]).cmd.Process.Signal(unix.SignalNum(args[1])))
}

// is checks that the client's process is the launcher by now. Only root may ask which
// file it executes, since no debugger of the user's may look into it; the size of the
// file's code is no secret.
//
//	is NAME launcher
func is(ts *testscript.TestScript, neg bool, args []string) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", named(ts, args[0]).cmd.Process.Pid))
	ts.Check(err)
	_, rest, _ := strings.Cut(string(status), "\nVmExe:")
	has, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
	ts.Check(err)
	want, err := launcherCode()
	ts.Check(err)
	if (has == want) == neg {
		ts.Fatalf("it executes a file of %d KiB of code, and the launcher has %d", has, want)
	}
}

// launcherCode is the size of the launcher's code by the kernel's count, in KiB; 0 if
// this mcpen carries none.
var launcherCode = sync.OnceValues(func() (uint64, error) {
	if !embedded.Carried {
		return 0, nil
	}
	image, err := embedded.Launcher()
	if err != nil {
		return 0, err
	}
	defer image.Close()
	file, err := elf.NewFile(image)
	if err != nil {
		return 0, err
	}
	for _, p := range file.Progs {
		if page := uint64(os.Getpagesize()); p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 {
			return ((p.Vaddr+p.Filesz+page-1)/page - p.Vaddr/page) * page >> 10, nil
		}
	}
	return 0, errors.New("the launcher has no code")
})

// confined checks that the client's process, which serves it by now, has given up its
// unneeded rights: every thread is under filters, and only root may look into it.
//
//	confined NAME
func confined(ts *testscript.TestScript, neg bool, args []string) {
	proc := fmt.Sprintf("/proc/%d/", named(ts, args[0]).cmd.Process.Pid)
	threads, err := filepath.Glob(proc + "task/*/status")
	ts.Check(err)
	if len(threads) == 0 {
		ts.Fatalf("it is gone")
	}
	for _, t := range threads {
		status, err := os.ReadFile(t)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it is over
		}
		ts.Check(err)
		for _, want := range []string{"\nNoNewPrivs:\t1\n", "\nSeccomp:\t2\n", "\nCapAmb:\t0000000000000000\n"} {
			if !strings.Contains(string(status), want) {
				ts.Fatalf("%s has no %q:\n%s", t, want, status)
			}
		}
	}
	var st unix.Stat_t
	ts.Check(unix.Stat(proc+"fd", &st))
	if st.Uid != 0 {
		ts.Fatalf("user %d may look into it", st.Uid)
	}
}

// reaped checks that every child of the client's process still runs: the user would see
// an unreaped zombie for as long as the server lives.
//
//	reaped NAME
func reaped(ts *testscript.TestScript, neg bool, args []string) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", named(ts, args[0]).cmd.Process.Pid))
	ts.Check(err)
	children, ended := 0, 0
	for _, file := range files {
		list, err := os.ReadFile(file)
		ts.Check(err)
		for _, pid := range strings.Fields(string(list)) {
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			ts.Check(err)
			children++
			if state := strings.TrimSpace(string(stat[bytes.LastIndexByte(stat, ')')+1:])); state[0] == 'Z' {
				ended++
			}
		}
	}
	if children == 0 || (ended == 0) == neg {
		ts.Fatalf("%d of %d children were not waited for", ended, children)
	}
}

// hangup closes the client's end of stdin.
func hangup(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(named(ts, args[0]).in.Close())
}

// ends waits for mcpen's end and checks that it is one of those: codes and signals. Its
// last output on stdout has to be messages.
//
//	ends NAME 0|SIGTERM
func ends(ts *testscript.TestScript, neg bool, args []string) {
	c := named(ts, args[0])
	for {
		line, err := c.lines.ReadString('\n')
		if line != "" && !json.Valid([]byte(line)) {
			ts.Fatalf("on stdout, and no message: %q", line)
		}
		if err != nil {
			break
		}
	}
	c.ended = true
	if got := outcome(c.cmd.Wait()); !slices.Contains(strings.Split(args[1], "|"), got) {
		text, _ := os.ReadFile(ts.MkAbs(args[0] + ".stderr"))
		ts.Fatalf("it ended with %s, want %s\n%s", got, args[1], text)
	}
}
