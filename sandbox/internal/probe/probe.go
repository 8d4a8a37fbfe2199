// Package probe is the hostile program: a table of attacks on the sandbox. Each row
// names the user's loss if the attack works, the errno with which it must fail inside,
// and the layers that stop it.
//
// Every probe runs twice. Outside it must succeed, which proves that the probe is real;
// inside it must fail with the errno of its row. If the running kernel lacks the row's
// call, the row says so (Absent) instead of passing by accident.
//
// The package knows nothing of mcpen. It is built as a static program (./hostile) that
// runs in a sandbox and prints one JSON line a probe. Every probe runs in a process of
// its own, because most of them cannot be undone: they change credentials, lose the
// thread to a filter or end in a signal.
package probe

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Probe is one row: an attack and its expected result.
type Probe struct {
	ID   string
	Loss string // the user's loss if it works
	How  string // the mechanism

	// Want is the expected answer inside with every layer on: the name of an errno or
	// of a signal. For a few rows it depends on which of two checks the kernel makes
	// first; they name both, joined by "|". Held is for probes that only look and call
	// nothing.
	Want string
	// By are the layers that each stop the row by themselves, with the others off.
	By Layers
	// Since is the version of Landlock that is the first to stop the row, where that is
	// not the first of all. On an older one the other layers of By stop it, and the
	// answer may be theirs; where By has no other, nothing does.
	Since int
	// Twin says in which way the same probe is shown to work outside.
	Twin Twin
	// Absent are the answers outside of a kernel that lacks the feature, joined by "|".
	// Inside, the row must be refused all the same.
	Absent string
	// TTY reports that descriptor 0 must be a terminal outside.
	TTY bool

	Run func(World) Result
}

// Held is the answer of a probe that found nothing to take.
const Held = "HELD"

// Layers is a set of layers.
type Layers uint8

// The layers, as a profile names them. Namespaces stands for everything that the
// container provides: the namespaces, a root of its own, no capabilities, no_new_privs,
// pipes for stdio.
const (
	Namespaces Layers = 1 << iota
	Landlock
	Seccomp
	Limits
	Mediation // the mediator makes the changes in the user's folders; it needs Seccomp
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

// Twin says where outside of the sandbox a probe must succeed.
type Twin uint8

// The twins. The zero value is the plainest.
const (
	TwinPlain Twin = iota // any user, on the unmodified host
	TwinRoot              // root only, on the unmodified host
	// TwinUserns: in new user, mount, pid, network, ipc and uts namespaces, in which
	// the caller is root. Any attacker who may make a user namespace can make these,
	// and they cannot harm the host.
	TwinUserns
)

// String names the twin as the printed table does.
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

// World names the targets of the probes. The test makes all of them outside, and passes
// the same names inside.
type World struct {
	Inside bool `json:"inside,omitempty"` // Pid is the sandbox's pid 1, and so on

	Home    string `json:"home"`    // the user's home
	Secret  string `json:"secret"`  // a private key in Home
	Outside string `json:"outside"` // a folder of the user's that no rule names
	Project string `json:"project"` // a folder in Home with a write rule; it contains .git, .vscode and sub/.git
	Docs    string `json:"docs"`    // a folder in Home with a read rule and a file "page"
	Tmp     string `json:"tmp"`     // a private tmpfs inside; any folder outside
	State   string `json:"state"`   // a file of mcpen's own
	Suid    string `json:"suid"`    // the hostile program, owned by SuidUID and set-user-id; "" if that needs root
	SuidUID int    `json:"suid_uid"`

	Pid      int    `json:"pid"`      // the process that watches the probes: pid 1 inside, a process of the same user outside
	Stranger int    `json:"stranger"` // the host's pid of a user's process with Canary in its environment
	Canary   string `json:"canary"`   // a variable of the launcher's environment that no rule passes

	Abstract string `json:"abstract"` // name of an abstract unix socket with a listener
	Socket   string `json:"socket"`   // path of a unix socket with a listener, below Home
	TCP      uint16 `json:"tcp"`      // port of the host's loopback, both families
	UDP      uint16 `json:"udp"`      // port of the host's loopback that echoes
	IPC      int    `json:"ipc"`      // key of SysV shared memory, of a semaphore and of a message queue
	Queue    string `json:"queue"`    // a POSIX message queue, without the slash
	Shm      string `json:"shm"`      // a file in /dev/shm

	Node   string `json:"node,omitempty"` // the runtimes, if installed
	Python string `json:"python,omitempty"`

	Processes int   `json:"processes"` // limits of the profile
	TmpBytes  int64 `json:"tmp_bytes"`
	TmpFiles  int64 `json:"tmp_files"`
	FileSize  int64 `json:"file_size"`
	OpenFiles int   `json:"open_files"`

	Instances int `json:"instances"` // inotify(7) instances that the machine grants each user
}

// Result is the result of one probe. OK means that the attack worked.
type Result struct {
	ID     string `json:"id"`
	OK     bool   `json:"ok"`
	Errno  string `json:"errno,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Refused reports whether the result is one of the answers in want, a list joined by
// "|".
func (r Result) Refused(want string) bool {
	return !r.OK && slices.Contains(strings.Split(want, "|"), r.Errno)
}

// worked is the Result of an attack that worked.
func worked(detail string) Result { return Result{OK: true, Detail: detail} }

// held is the Result of a look that found nothing.
func held(detail string) Result { return Result{Errno: Held, Detail: detail} }

// refused is the Result of a call that failed.
func refused(err error) Result {
	r := Result{Errno: "EUNKNOWN", Detail: err.Error()}
	var errno unix.Errno
	if errors.As(err, &errno) {
		r.Errno = unix.ErrnoName(errno)
	}
	return r
}

// outcome is worked or refused, depending on err.
func outcome(err error, detail string) Result {
	if err != nil {
		return refused(err)
	}
	return worked(detail)
}

// reached is for calls whose success would do harm outside. They have arguments that
// the kernel refuses only after its permission checks: an errno in past proves that
// nothing stopped the caller.
func reached(err error, past ...unix.Errno) Result {
	for _, p := range past {
		if errors.Is(err, p) {
			return worked("the kernel had no objection but " + unix.ErrnoName(p))
		}
	}
	return outcome(err, "")
}
