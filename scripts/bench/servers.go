package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// many starts many servers of a tiny program at once, measures the memory of each while
// all of them run, and stops them as a client does: by the end of their input. Memory
// that grows with their square, or a process that stays, shows here.
func many(bin string, counts ...int) {
	for _, n := range counts {
		before := shmem()
		began := time.Now()
		running := make([]*conversation, n)
		for i := range running {
			running[i] = tiny(bin)
		}
		for _, c := range running {
			c.ask("", "1")
		}
		up := time.Since(began)
		var pids []int
		for _, c := range running {
			pids = append(pids, family(c.cmd.Process.Pid)...)
		}
		total := 0
		for _, pid := range pids {
			total += pss(pid)
		}
		shared := shmem() - before
		began = time.Now()
		for _, c := range running {
			c.in.Close()
		}
		failed := 0
		for _, c := range running {
			if c.cmd.Wait() != nil {
				failed++
			}
		}
		left := 0
		// A sandbox's processes end with its pid 1, which the launcher waited for.
		for _, pid := range pids {
			if syscall.Kill(pid, 0) == nil {
				left++
			}
		}
		fmt.Printf("%-24s %4d servers: %6.1f MiB PSS, %5.2f MiB shmem each; up in %v, down in %v; %d failed, %d processes left\n", "many at once", n,
			float64(total)/1024/float64(n), float64(shared)/1024/float64(n), up.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), failed, left)
	}
}

// tiny starts a server that says one line and waits for the end of its input.
func tiny(bin string) *conversation {
	const script = `echo '{"jsonrpc":"2.0","id":1,"result":{}}'; exec cat`
	c := talk([]string{bin, "run", "--quiet", "--", "/bin/sh", "-c", script})
	// The guard passes no answer without a request.
	if _, err := io.WriteString(c.in, `{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n"); err != nil {
		fail(err)
	}
	return c
}

// family is a process and all that it started.
func family(pid int) []int {
	pids := []int{pid}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		data, _ := os.ReadFile(file)
		for _, text := range strings.Fields(string(data)) {
			if child, err := strconv.Atoi(text); err == nil {
				pids = append(pids, family(child)...)
			}
		}
	}
	return pids
}

// shmem is the size of the machine's tmpfs and memory files, in KiB.
func shmem() int {
	data, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Shmem:" {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}
