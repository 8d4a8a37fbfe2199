package notify

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// errEndless reports a path longer than PATH_MAX.
var errEndless = errors.New("a path without an end")

// readString reads a path from a process's memory.
func readString(pid int, at uint64) (string, error) {
	return readText(pid, at, make([]byte, unix.PathMax))
}

// readText reads a string from a process's memory, page by page, into buf, which bounds
// its length.
func readText(pid int, at uint64, buf []byte) (string, error) {
	page := uint64(os.Getpagesize())
	for from := 0; from < len(buf); {
		part := buf[from:min(from+int(page-at%page), len(buf))]
		n, err := peek(pid, at, part)
		if err != nil {
			return "", err
		}
		if end := bytes.IndexByte(part[:n], 0); end >= 0 {
			return string(buf[:from+end]), nil
		}
		if n < len(part) {
			break
		}
		from += n
		at += uint64(n)
	}
	return "", errEndless
}

// absolute resolves a path relative to the descriptor or the working directory.
func absolute(pid, dir int, path string) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	link := fmt.Sprintf("/proc/%d/cwd", pid)
	if dir != unix.AT_FDCWD {
		link = fmt.Sprintf("/proc/%d/fd/%d", pid, dir)
	}
	base, err := follow(link)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(base) {
		return "", fmt.Errorf("a directory without a path")
	}
	return filepath.Join(base, path), nil
}

// whois returns the process of a thread and its name, or 0 and "".
func whois(tid int) (int, string) {
	pid, err := strconv.Atoi(statusField(tid, "Tgid:", 0))
	if err != nil {
		return 0, ""
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return pid, ""
	}
	return pid, printable(strings.TrimSuffix(string(comm), "\n"))
}

// innerPID is the process's id in its own pid namespace.
func innerPID(tid int) string { return statusField(tid, "NStgid:", -1) }

// statusField is a word of a line in the thread's status; -1 selects the last word.
func statusField(tid int, key string, word int) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(status)) {
		rest, ok := strings.CutPrefix(line, key)
		words := strings.Fields(rest)
		if !ok || len(words) == 0 {
			continue
		}
		if word < 0 {
			word = len(words) - 1
		}
		return words[word]
	}
	return ""
}

// printable keeps a program's name from controlling the terminal of the log's reader.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
