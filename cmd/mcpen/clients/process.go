package clients

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Process is a running program.
type Process struct {
	PID  int
	Name string
}

func (p Process) String() string { return fmt.Sprintf("%s (process %d)", p.Name, p.PID) }

// List names the processes in a sentence.
func List(all []Process) string {
	words := make([]string, 0, 3)
	for i, p := range all {
		if i == 2 && len(all) > 3 {
			return strings.Join(append(words, fmt.Sprintf("%d more", len(all)-2)), ", ")
		}
		words = append(words, p.String())
	}
	return strings.Join(words, ", ")
}

// holders returns the processes that have a file open, among those that this user may
// inspect.
func holders(real string) []Process {
	var out []Process
	eachProcess(func(p Process, dir string) {
		fds, _ := os.ReadDir(filepath.Join(dir, "fd")) // fails for another user's process
		for _, fd := range fds {
			if to, err := os.Readlink(filepath.Join(dir, "fd", fd.Name())); err == nil && to == real {
				out = append(out, p)
				return
			}
		}
	})
	return out
}

// Running returns the processes of a client. A running client may overwrite its file
// from memory.
func (c *Client) Running() []Process {
	var out []Process
	eachProcess(func(p Process, _ string) {
		if slices.Contains(c.processes, p.Name) {
			out = append(out, p)
		}
	})
	return out
}

// eachProcess calls f for every process of this user but this one.
func eachProcess(f func(Process, string)) {
	entries, _ := os.ReadDir("/proc") // without it nobody is seen
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		name, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			continue
		}
		f(Process{pid, string(bytes.TrimSpace(name))}, dir)
	}
}
