// Command bench compares the cost of mcpen with the bare program and the installed
// peers, all in one run and interleaved, and prints ratios. "make bench" runs it;
// nothing depends on its output.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	stage()
	mcpen := flag.String("mcpen", "bin/mcpen", "the binary to measure")
	starts := flag.Int("starts", 60, "starts of each kind")
	servers := flag.Int("servers", 15, "starts of a real server, of each kind")
	pings := flag.Int("pings", 3000, "round trips, of each kind")
	rounds := flag.Int("rounds", 5, "rounds of traffic, and starts of packages, of each kind; 0 leaves both out")
	atOnce := flag.Int("at-once", 100, "servers of a tiny program at once, after a tenth and half of them; 0 leaves it out")
	only := flag.String("only", "", "measure one thing: changes, connections, network, trees, trial")
	flag.Parse()
	bin, err := filepath.Abs(*mcpen)
	if err != nil {
		fail(err)
	}
	fmt.Printf("%s, %d processors, kernel %s\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), kernel())
	switch *only {
	case "changes":
		changes(bin, *rounds)
		return
	case "network", "connections":
		network(bin, *rounds, *only)
		return
	case "trees":
		trees(bin, *rounds)
		return
	case "trial":
		trials(bin, *rounds)
		return
	}
	start("start of /bin/true", bin, *starts, nil)
	if os.Geteuid() == 0 {
		startAsUser(bin, *starts)
	}
	if *atOnce > 0 {
		many(bin, max(1, *atOnce/10), max(1, *atOnce/2), *atOnce)
	}
	everything := install("@modelcontextprotocol/server-everything", "mcp-server-everything")
	if everything == "" {
		fmt.Println("initialize, ping, memory: npm is not here, not measured")
		return
	}
	initialize(bin, everything, *servers)
	ping(bin, everything, *pings)
	if *rounds > 0 {
		packages(bin, *rounds)
		coldInstalls(bin, min(*rounds, 3))
		network(bin, *rounds, "network")
		changes(bin, *rounds)
		trees(bin, *rounds)
		trials(bin, *rounds)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

func kernel() string {
	data, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(data))
}

// kind is one way of running the same thing.
type kind struct {
	name string
	argv []string
	took []time.Duration
}

func (k *kind) median() time.Duration {
	s := slices.Sorted(slices.Values(k.took))
	return s[len(s)/2]
}

// startAsUser is start for an unprivileged user, who has no control group of their own.
// Neither has any peer.
func startAsUser(bin string, n int) {
	const uid = 20007 // an arbitrary user
	dir, err := os.MkdirTemp("", "mcpen-bench-")
	if err != nil {
		fail(err)
	}
	defer os.RemoveAll(dir)
	data, err := os.ReadFile(bin)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "mcpen"), data, 0o755)
	}
	if err == nil {
		err = os.Chown(dir, uid, uid)
	}
	if err != nil {
		fail(err)
	}
	start("start, as a user", filepath.Join(dir, "mcpen"), n, func(cmd *exec.Cmd) {
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	})
}

// start measures a program that does nothing, from fork to its end. as changes how
// each is started; nil changes nothing.
func start(what, bin string, n int, as func(*exec.Cmd)) {
	kinds := []*kind{
		{name: "bare", argv: []string{"/bin/true"}},
		{name: "mcpen", argv: []string{bin, "run", "--quiet", "--", "/bin/true"}},
	}
	if path, err := exec.LookPath("bwrap"); err == nil {
		kinds = append(kinds, &kind{name: "bwrap", argv: []string{path, "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
			"--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--unshare-all", "/bin/true"}})
	}
	for i := range n + 3 {
		for _, k := range kinds {
			cmd := exec.Command(k.argv[0], k.argv[1:]...)
			if as != nil {
				as(cmd)
			}
			began := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				fail(fmt.Errorf("%v: %w: %s", k.argv, err, out))
			}
			if i >= 3 { // the first ones fill caches
				k.took = append(k.took, time.Since(began))
			}
		}
	}
	report(what, kinds, 1)
}

// report prints medians and their ratios to the kind with the index.
func report(what string, kinds []*kind, index int) {
	for _, k := range kinds {
		fmt.Printf("%-24s %-6s %10v", what, k.name, k.median().Round(time.Microsecond))
		if k != kinds[index] {
			fmt.Printf("   %s is %.2f× of it", kinds[index].name, float64(kinds[index].median())/float64(k.median()))
		}
		fmt.Println()
	}
}

// install puts a server into the user's cache and returns its command, or "".
func install(pkg, command string) string {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return ""
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		fail(err)
	}
	dir := filepath.Join(cache, "mcpen-bench")
	path := filepath.Join(dir, "node_modules", ".bin", command)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		fail(err)
	}
	cmd := exec.Command(npm, "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		fail(fmt.Errorf("npm install: %w: %s", err, out))
	}
	return path
}

const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}` + "\n"

// conversation is a running server with its pipes.
type conversation struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func talk(argv []string) *conversation {
	cmd := exec.Command(argv[0], argv[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		fail(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		fail(err)
	}
	if err := cmd.Start(); err != nil {
		fail(err)
	}
	return &conversation{cmd, in, bufio.NewReaderSize(out, 1<<20)}
}

// ask sends a line and waits for the answer with the id.
func (c *conversation) ask(line, id string) {
	if _, err := io.WriteString(c.in, line); err != nil {
		fail(err)
	}
	for {
		got, err := c.out.ReadString('\n')
		if err != nil {
			fail(fmt.Errorf("%v: no answer: %w", c.cmd.Args, err))
		}
		if strings.Contains(got, `"id":`+id) {
			return
		}
	}
}

func (c *conversation) end() {
	c.in.Close()
	c.cmd.Process.Signal(os.Interrupt)
	c.cmd.Wait()
}

// initialize measures from the start to the first answer.
func initialize(bin, server string, n int) {
	kinds := []*kind{
		{name: "bare", argv: []string{server}},
		{name: "mcpen", argv: []string{bin, "run", "--quiet", "--", server}},
	}
	for i := range n + 1 {
		for _, k := range kinds {
			began := time.Now()
			c := talk(k.argv)
			c.ask(hello, "0")
			if i > 0 {
				k.took = append(k.took, time.Since(began))
			}
			c.end()
		}
	}
	report("initialize", kinds, 1)
}

// ping measures round trips through all of them at once, in turns, and then the memory
// of the launcher and pid 1. The floor is the cost of one hop each way on this machine:
// two programs that only copy.
func ping(bin, server string, n int) {
	kinds := []*kind{
		{name: "bare", argv: []string{server}},
		{name: "mcpen", argv: []string{bin, "run", "--quiet", "--", server}},
		{name: "floor", argv: []string{"/bin/sh", "-c", `cat | "$0" | cat`, server}},
	}
	var talks []*conversation
	for _, k := range kinds {
		c := talk(k.argv)
		c.ask(hello, "0")
		io.WriteString(c.in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n")
		talks = append(talks, c)
	}
	for i := range n {
		id := strconv.Itoa(i + 10)
		line := `{"jsonrpc":"2.0","id":` + id + `,"method":"ping"}` + "\n"
		for j, k := range kinds {
			began := time.Now()
			talks[j].ask(line, id)
			k.took = append(k.took, time.Since(began))
		}
	}
	report("ping", kinds, 1)
	for _, k := range kinds[1:] {
		fmt.Printf("%-24s %-6s %10v more than bare, at p50\n", "ping", k.name, (k.median() - kinds[0].median()).Round(100*time.Nanosecond))
	}
	memory(talks[1].cmd.Process.Pid)
	for _, c := range talks {
		c.end()
	}
}

// memory adds up the proportional memory of the launcher and the sandbox's pid 1.
func memory(launcher int) {
	total := pss(launcher)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", launcher, launcher))
	rest := strings.Fields(string(children))
	if len(rest) == 0 { // pid 1 was started by another thread
		tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", launcher))
		for _, t := range tasks {
			data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", launcher, t.Name()))
			rest = append(rest, strings.Fields(string(data))...)
		}
	}
	for _, pid := range rest {
		n, _ := strconv.Atoi(pid)
		total += pss(n)
	}
	fmt.Printf("%-24s %-6s %7.1f MiB (launcher and %d process of the sandbox itself)\n", "memory (PSS)", "mcpen", float64(total)/1024, len(rest))
}

// pss is a process's proportional set size, in KiB. Of a process that hides, the
// caller has to be root.
func pss(pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: cannot read the memory of process %d: %v\n", pid, err)
		return 0
	}
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}
