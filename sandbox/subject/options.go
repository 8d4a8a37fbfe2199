package subject

import (
	"strings"
	"time"

	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/trial"
)

// Options say what is tried, and how.
type Options struct {
	Server  string // a package, a profile, or a file that describes a server; "" with a command
	Command []string
	Args    []string
	Net     []policy.Host // hosts whose real ones are reached
	All     bool          // the real internet
	Env     []plan.Env
	Answer  trial.Answer // of every other host
	Call    string       // which tools are called: trial.CallReading, …
	Each    bool         // the server starts anew for each call
	Scripts bool         // the install scripts of an npm package run, too
	Watch   time.Duration
	Limit   time.Duration
	Install time.Duration // how long the install of a package may take
	Write   string        // the file for a profile with which the server would work; "": none
}

// RealHosts names the hosts whose real ones are reached.
func (o Options) RealHosts() string {
	if o.All {
		return "any public host"
	}
	var names []string
	for _, h := range o.Net {
		names = append(names, h.String())
	}
	return strings.Join(names, ", ")
}
