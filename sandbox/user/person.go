package user

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Person is the person or program that asks for something: their environment, and the
// way to tell them. The zero person has no variables.
type Person struct {
	Env []string
	Err *os.File // for messages to them beside the protocol
	// Passwd is where users have their homes, and Machine the administrator's own
	// configuration.
	Passwd, Machine string
}

// Warn tells a person something that is no error.
func (p *Person) Warn(format string, args ...any) {
	fmt.Fprintf(p.Err, "mcpen: warning: "+format+"\n", args...)
}

// Getenv is the value of a variable, "" if it is not set.
func (p *Person) Getenv(name string) string {
	v, _ := p.Lookup(name)
	return v
}

// Lookup returns the last value of a variable, as getenv(3) implementations do
// not agree on the first.
func (p *Person) Lookup(name string) (string, bool) {
	for i := len(p.Env) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(p.Env[i], "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}

// Terminal reports whether a file is a terminal that can be written over.
func (p *Person) Terminal(f *os.File) bool {
	return p.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// Count is a number of things in words: "1 package", "2 packages".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Age is a duration as a person would say it.
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
