package server

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// Caller is the person or program that asks for a server: their environment, and the
// ways to tell and ask them. The zero caller has no variables.
type Caller struct {
	Env []string
	Err *os.File // for messages to them beside the protocol
	// Passwd is where users have their homes, and Machine the administrator's own
	// configuration.
	Passwd, Machine string
	// Confirm asks the person whether they trust a profile as it is; nil if nobody can
	// answer.
	Confirm func(Dirs, Evidence) bool

	registries map[string]connection // found earlier
}

// Warn tells a person something that is no error.
func (c *Caller) Warn(format string, args ...any) {
	fmt.Fprintf(c.Err, "mcpen: warning: "+format+"\n", args...)
}

// Getenv is the value of a variable, "" if it is not set.
func (c *Caller) Getenv(name string) string {
	v, _ := c.Lookup(name)
	return v
}

// Lookup returns the last value of a variable, as getenv(3) implementations do
// not agree on the first.
func (c *Caller) Lookup(name string) (string, bool) {
	for i := len(c.Env) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(c.Env[i], "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}

// Terminal reports whether a file is a terminal that can be written over.
func (c *Caller) Terminal(f *os.File) bool {
	return c.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// Count is a number of things in words: "1 package", "2 packages".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
