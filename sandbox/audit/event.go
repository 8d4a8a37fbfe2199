// Package audit defines the events that mcpen records, one for each decision,
// and their encoding as JSON lines. It depends on nothing else of mcpen.
package audit

import (
	"encoding/json"
	"time"
)

// Verdict is the outcome of a decision. The zero value is not a verdict.
type Verdict string

// The verdicts.
const (
	Allowed  Verdict = "allowed"
	Refused  Verdict = "refused"
	Held     Verdict = "held"     // waits for a person
	Observed Verdict = "observed" // reported, not decided: start, exit, a gap, stderr
)

// Kind says which part of mcpen decided, and so which fields are set.
type Kind string

// The kinds of events.
const (
	KindStart    Kind = "start"    // Subject: the program; Detail: gaps and layers
	KindExit     Kind = "exit"     // Code or Signal, Duration
	KindGap      Kind = "gap"      // a missing layer that was named optional
	KindSyscall  Kind = "syscall"  // Subject: the call's name; Errno
	KindFile     Kind = "file"     // an open, or a change of a protected place. Subject: the path; Errno
	KindName     Kind = "name"     // a DNS question; Subject: the name
	KindConnect  Kind = "connect"  // Subject: name or address and port
	KindLine     Kind = "line"     // a line on the wire; Subject: the error in it
	KindStdout   Kind = "stdout"   // something other than JSON-RPC on the server's stdout
	KindStderr   Kind = "stderr"   // a line of the server's stderr
	KindVariable Kind = "variable" // a variable of the environment that the server lacks; Subject: its name
	KindTool     Kind = "tool"     // a call, a listing, a definition; Subject: the tool
	KindFinding  Kind = "finding"  // words in a definition or result
	KindLimit    Kind = "limit"    // a limit was hit
	KindPackage  Kind = "package"  // resolve, install, verify
	KindLog      Kind = "log"      // a problem of the log itself
)

// Event is one decision. Fields that do not apply are absent from the JSON.
type Event struct {
	Time    time.Time `json:"time"`
	Session string    `json:"session"`           // one run of one server
	Server  string    `json:"server"`            // the profile's name
	Package string    `json:"package,omitempty"` // the one that is installed, in the log of installs
	Plan    string    `json:"plan,omitempty"`    // the plan's digest

	Kind    Kind    `json:"kind"`
	Verdict Verdict `json:"verdict"`
	Subject string  `json:"subject,omitempty"`
	Detail  string  `json:"detail,omitempty"` // one sentence for a person
	Rule    string  `json:"rule,omitempty"`   // file:line:col of the rule that decided
	Hint    string  `json:"hint,omitempty"`   // a remedy for a person; in the log, the grant's line too
	Grant   *Grant  `json:"grant,omitempty"`  // the right that would allow it
	Errno   string  `json:"errno,omitempty"`  // "EACCES"

	Request *Request `json:"request,omitempty"` // the request in flight

	// Connections.
	Address  string        `json:"address,omitempty"`
	Sent     int64         `json:"sent,omitempty"`
	Received int64         `json:"received,omitempty"`
	Duration time.Duration `json:"duration,omitempty"` // nanoseconds

	// The start: the profile's file, and the values of its parameters by their names,
	// those that every profile has (workspace, state, home) among them. No secret is.
	Profile string              `json:"profile,omitempty"`
	Given   map[string][]string `json:"given,omitempty"`

	// The end of the server.
	Code   *int   `json:"code,omitempty"`
	Signal string `json:"signal,omitempty"`

	// The process inside that caused the event.
	PID     int    `json:"pid,omitempty"`
	Program string `json:"program,omitempty"`
}

// AskedFor begins the Detail of a tool's event that is about a request of the server's to
// the client: its Subject is the request's method.
const AskedFor = "the server asked the client for "

// Advice is the hint, or else the grant as a line of a profile; "" if there is neither.
func (e Event) Advice() string {
	if e.Hint == "" {
		return e.Grant.Advice("")
	}
	return e.Hint
}

// Request is a JSON-RPC request that was in flight at the time of the event. With
// several in flight it is the newest, and Others counts the rest.
type Request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Name   string          `json:"name,omitempty"` // of the tool, prompt or resource
	Args   json.RawMessage `json:"args,omitempty"` // only if the profile says so
	Others int             `json:"others,omitempty"`
}

// Sink takes events. Any goroutine may call it. It must not keep the event's slices. An
// error means that the event was not recorded.
type Sink func(Event) error
