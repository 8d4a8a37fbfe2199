package install

import (
	"context"
	"io"

	"mcpen/sandbox/pack/registry"
	"mcpen/sandbox/policy"
)

// Job is one run of an external tool. The tool must see only its directory, the paths
// in Reads, and its own runtime. A Job holds no secret.
type Job struct {
	Name string   // for a person: "npm install"
	For  string   // the package that it installs, if it installs one
	Argv []string // Argv[0] is absolute
	Dir  string   // working directory; writable with everything below it, and nothing else is
	Env  []string // the whole environment, NAME=VALUE
	// Network lists the tool's permitted connections: one port of the host's loopback,
	// or nothing.
	Network []policy.Host
	Reads   []string // further paths, read-only
	Stdout  io.Writer
	Stderr  io.Writer
}

// Run executes a job and waits for its end and for that of every process it
// started. A non-zero exit is an error.
type Run func(ctx context.Context, job Job) error

// Tools are the external programs, absolute. npm packages need NPM and Node, PyPI
// packages Python; UV, if there is one, takes pip's place. Pip belongs to Python.
type Tools struct {
	NPM    []string // program and leading arguments, such as node and npm-cli.js
	Node   string
	Python string
	// PythonTag is the interpreter's, such as "cp311".
	PythonTag string
	UV        string
	// Interpreter holds the answers of node or Python about itself; see AskInterpreter.
	Interpreter registry.Interpreter
	// Path is the PATH of jobs: directories in which npm finds node and sh.
	Path  string
	Reads []string // runtimes that the tools need, for Job.Reads
}

// Progress receives the steps of an install. Calls come in order from more than one
// goroutine; a call with an empty step announces other output.
type Progress func(step, detail string)

// tail keeps the last bytes that a tool wrote, for the error message.
type tail struct {
	buf   []byte
	limit int // 0 is tailSize
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	limit := tailSize
	if t.limit > 0 {
		limit = t.limit
	}
	if over := len(t.buf) - limit; over > 0 {
		t.buf = t.buf[over:]
	}
	return len(p), nil
}
