// Package probe is the hostile program: a table of attacks on the sandbox, each
// with what the user loses when it works, the errno that must answer it inside
// and the layers that hold it.
//
// A probe is always run twice. Outside it has to succeed, which proves that the
// probe is real; inside it has to fail with the errno that its row names. A row
// whose call the running kernel does not have says so (Absent) instead of
// passing by accident.
//
// The package knows nothing of mcpen: it is built as a static program
// (./hostile) that is put into a sandbox and that prints one JSON line a probe.
// Every probe runs in a process of its own, because most of them cannot be
// undone: they change credentials, lose the thread to a filter or end in a
// signal.
package probe

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Probe is one row: an attack and what must become of it.
type Probe struct {
	ID   string
	Loss string // what the user loses when it works
	How  string // the mechanism

	// Want is what must answer inside with every layer on: the name of an errno
	// or of a signal. A few rows are answered by whichever of two checks the
	// kernel makes first; they name both, joined by "|". Held is for probes that
	// look at something and call nothing.
	Want string
	// By are the layers of which each one holds the row with the others off.
	By Layers
	// Twin says how the same probe is shown to work outside.
	Twin Twin
	// Absent are the answers outside with which a kernel says that it has no
	// such thing, joined by "|". Inside the row must be refused all the same.
	Absent string
	// TTY says that outside descriptor 0 has to be a terminal.
	TTY bool

	Run func(World) Result
}

// Held is the answer of a probe that found nothing to take.
const Held = "HELD"

// Layers is a set of layers.
type Layers uint8

// The layers, as a profile names them. Namespaces stands for all that the
// container gives: the namespaces, the root of its own, no capabilities,
// no_new_privs, pipes for stdio.
const (
	Namespaces Layers = 1 << iota
	Landlock
	Seccomp
	Limits
	Mediation // changes in the user's folders made for the server; it needs Seccomp
)

// String names the layers, joined by "+".
func (l Layers) String() string {
	var names []string
	for i, name := range []string{"namespaces", "landlock", "seccomp", "limits", "mediation"} {
		if l&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, "+")
}

// Twin says where outside the sandbox a probe has to succeed.
type Twin uint8

// The twins. The zero value is the plainest.
const (
	TwinPlain Twin = iota // any user, on the host as it is
	TwinRoot              // root only, on the host as it is
	// TwinUserns: in new user, mount, pid, network, ipc and uts namespaces, where
	// the caller is root of all of them. It is what an attacker makes himself who
	// may make a user namespace, and it cannot hurt the host.
	TwinUserns
)

// String is the twin in the words of the printed table.
func (t Twin) String() string {
	switch t {
	case TwinPlain:
		return "plain"
	case TwinRoot:
		return "as root"
	case TwinUserns:
		return "in a user namespace"
	}
	return "unknown"
}

// World is what the probes aim at. The one who runs them makes it all exist
// outside, and passes the same names inside.
type World struct {
	Inside bool `json:"inside,omitempty"` // Pid is the sandbox's pid 1, and so on

	Home    string `json:"home"`    // the user's home
	Secret  string `json:"secret"`  // a private key in Home
	Outside string `json:"outside"` // a folder of the user's that no rule names
	Project string `json:"project"` // a folder in Home with a write rule, with .git, .vscode and sub/.git
	Docs    string `json:"docs"`    // a folder in Home with a read rule and a file "page"
	Tmp     string `json:"tmp"`     // a private tmpfs inside; any folder outside
	State   string `json:"state"`   // a file of mcpen's own
	Suid    string `json:"suid"`    // the hostile program, owned by SuidUID and set-user-id; "" where that took root
	SuidUID int    `json:"suid_uid"`

	Pid      int    `json:"pid"`      // what watches over the probes: pid 1 inside, a process of the same user outside
	Stranger int    `json:"stranger"` // pid, as the host counts, of a process of the user's with Canary in its environment
	Canary   string `json:"canary"`   // a variable of the launcher's environment that no rule passes

	Abstract string `json:"abstract"` // name of an abstract unix socket on which somebody listens
	Socket   string `json:"socket"`   // path of a unix socket on which somebody listens, below Home
	TCP      uint16 `json:"tcp"`      // port of the host's loopback, both families
	UDP      uint16 `json:"udp"`      // port of the host's loopback that echoes
	IPC      int    `json:"ipc"`      // key of SysV shared memory, of a semaphore and of a message queue
	Queue    string `json:"queue"`    // a POSIX message queue, without the slash
	Shm      string `json:"shm"`      // a file in /dev/shm

	Node   string `json:"node,omitempty"` // the runtimes, where there are any
	Python string `json:"python,omitempty"`

	Processes int   `json:"processes"` // limits that the profile sets
	TmpBytes  int64 `json:"tmp_bytes"`
	TmpFiles  int64 `json:"tmp_files"`
	FileSize  int64 `json:"file_size"`
	OpenFiles int   `json:"open_files"`

	Instances int `json:"instances"` // inotify(7) instances that the machine gives each user
}

// Result is what became of one probe. OK means that the attack worked.
type Result struct {
	ID     string `json:"id"`
	OK     bool   `json:"ok"`
	Errno  string `json:"errno,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Refused reports whether the result is one of the answers in want, a list
// joined by "|".
func (r Result) Refused(want string) bool {
	return !r.OK && slices.Contains(strings.Split(want, "|"), r.Errno)
}

// worked is a Result of an attack that worked.
func worked(detail string) Result { return Result{OK: true, Detail: detail} }

// held is the Result of a look that found nothing.
func held(detail string) Result { return Result{Errno: Held, Detail: detail} }

// refused is a Result of a call that failed.
func refused(err error) Result {
	r := Result{Errno: "EUNKNOWN", Detail: err.Error()}
	var errno unix.Errno
	if errors.As(err, &errno) {
		r.Errno = unix.ErrnoName(errno)
	}
	return r
}

// outcome is worked or refused as err says.
func outcome(err error, detail string) Result {
	if err != nil {
		return refused(err)
	}
	return worked(detail)
}

// reached is for calls whose success would do harm outside. They are made with
// arguments that the kernel refuses only behind its permission checks: an errno
// in past proves that nothing stopped the caller.
func reached(err error, past ...unix.Errno) Result {
	for _, p := range past {
		if errors.Is(err, p) {
			return worked("the kernel had no objection but " + unix.ErrnoName(p))
		}
	}
	return outcome(err, "")
}
