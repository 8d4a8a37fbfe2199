// Package plan turns a policy, a program and the facts of a machine into a Plan: plain
// data that fully configures the kernel, the egress and the relay. The stages inside
// the sandbox read the same JSON that "mcpen explain --json" prints and the golden
// tests compare.
//
// Compile is pure: it reads no file, no environment and no clock. A Host carries the
// facts that it needs about the machine.
//
// The zero Plan is not valid, and every empty list in a Plan grants nothing.
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"mcpen/sandbox/policy"
)

// Version is the version of the Plan's JSON form. Parent and child are the same
// binary, so a mismatch is an internal error.
const Version = 1

// Plan is everything that is enforced on one run of one server.
type Plan struct {
	Version int             `json:"version"`
	Name    string          `json:"name"` // the profile's name, or the command's
	Sources []policy.Source `json:"sources,omitempty"`

	Process Process `json:"process"`
	Root    []Mount `json:"root"` // in mount order
	// Writes configures the mediator, if there is one (Seccomp.Mediate).
	Writes   Writes   `json:"writes,omitzero"`
	Landlock Landlock `json:"landlock"`
	Seccomp  Seccomp  `json:"seccomp"`
	Network  Network  `json:"network"`
	Limits   []Limit  `json:"limits"`
	Tools    Tools    `json:"tools"`
	Relay    Relay    `json:"relay"`
	Log      Log      `json:"log"`

	Layers []policy.Layer `json:"layers"` // the enforced layers
	// Without lists the layers that somebody switched off explicitly. Reports for a
	// person begin with them.
	Without []policy.Without `json:"without,omitempty"`
	// Runtime is the launcher's own directory for files that a run needs while it runs
	// (the skeleton of the root, its record). It is never visible inside.
	Runtime string `json:"runtime"`
	// Scratch is a directory that Start makes for a server without namespaces: its home
	// and its folder for temporary files. All runs of that name share it.
	Scratch string `json:"scratch,omitempty"`
	// CgroupParent is the delegated cgroup in which the server's cgroup is made; "" if
	// no cgroup v2 was delegated.
	CgroupParent string `json:"cgroup_parent,omitempty"`
	// Desk is the user and machine that a trial shows instead of the real ones.
	Desk *Desk `json:"desk,omitempty"`
	Gaps []Gap `json:"gaps,omitempty"`
}

// Digest is the SHA-256 of the plan's JSON, in hex. Two runs with the same digest ran
// under the same plan. Secret values are not part of it.
func (p Plan) Digest() string {
	b, err := Encode(p)
	if err != nil {
		panic("internal error: a plan that is not JSON: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Holds reports whether this plan enforces the layer.
func (p Plan) Holds(l policy.Layer) bool {
	for _, have := range p.Layers {
		if have == l {
			return true
		}
	}
	return false
}

// Process is the process to execute inside.
type Process struct {
	Path    string   `json:"path"` // the same outside and inside
	Args    []string `json:"args"` // Args[0] included
	Dir     string   `json:"dir"`
	Env     []Env    `json:"env"` // sorted by name
	Secrets []Secret `json:"secrets,omitempty"`
	UID     int      `json:"uid"`
	GID     int      `json:"gid"`
	Admin   bool     `json:"admin,omitempty"`   // see Host.Admin
	Counted bool     `json:"counted,omitempty"` // see Host.Counted
	Umask   int      `json:"umask"`
}

// Env is one variable of the server's environment.
type Env struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	At    string `json:"at,omitempty"`
}

// Secret is a variable whose value is fetched at start. Whoever starts the sandbox
// gives the value: see WithSecrets. It never appears in the JSON, in a digest or in a formatter's
// output.
type Secret struct {
	Name string `json:"name"`
	From string `json:"from"` // the reference, for people and for the one who fetches it
	At   string `json:"at,omitempty"`

	Value Opaque `json:"-"`
}

// WithSecrets returns the plan with the values of its secrets, by variable, as it is
// started. A secret without a value is left out. The receiver does not change.
func (p Plan) WithSecrets(values map[string]Opaque) Plan {
	var have []Secret
	for _, s := range p.Process.Secrets {
		if v, ok := values[s.Name]; ok {
			s.Value = v
			have = append(have, s)
		}
	}
	p.Process.Secrets = have
	return p
}

// WithLogins returns the plan with the credentials of its proxies, by the proxies'
// addresses. A proxy without an entry gets none. The receiver does not change.
func (p Plan) WithLogins(logins map[string]Opaque) Plan {
	via := &p.Network.Proxies
	via.HTTPS.Login, via.HTTP.Login = logins[via.HTTPS.Via], logins[via.HTTP.Via]
	return p
}

// WithWritable returns the plan with the mounts at the targets writable: a plan with one
// layer less on those folders, for a test of the layers that are left. The receiver does
// not change.
func (p Plan) WithWritable(targets []string) Plan {
	p.Root = slices.Clone(p.Root)
	for i, m := range p.Root {
		if slices.Contains(targets, m.Target) {
			p.Root[i].Writable = true
		}
	}
	return p
}

// Mediator returns the part of the plan that the mediator decides by. The mediator is
// not given the rest.
func (p Plan) Mediator() Plan {
	return Plan{Version: p.Version, Layers: p.Layers, Network: p.Network, Seccomp: p.Seccomp, Writes: p.Writes,
		Landlock: Landlock{ABI: p.Landlock.ABI, Connect: p.Landlock.Connect}}
}

// Opaque is a string that never prints its value, by any verb of fmt, in JSON, TOML or
// slog. Convert it to a string to use the value. Use it in exported fields and never as
// a key: fmt calls no method of a value in an unexported field, and encoding/json calls
// none of a key that is a string.
type Opaque string

const opaque = "[secret]"

// Format is always "[secret]".
func (Opaque) Format(f fmt.State, _ rune) { io.WriteString(f, opaque) }

// String is always "[secret]".
func (Opaque) String() string { return opaque }

// GoString is always "[secret]".
func (Opaque) GoString() string { return opaque }

// MarshalText is always "[secret]".
func (Opaque) MarshalText() ([]byte, error) { return []byte(opaque), nil }

// MountKind is the kind of one step that builds the root.
type MountKind string

// The kinds of mounts. The empty kind is an error.
const (
	MountBind    MountKind = "bind"    // Source at Target, recursively
	MountTmpfs   MountKind = "tmpfs"   // a private file system of Bytes and Inodes
	MountProc    MountKind = "proc"    // /proc of the sandbox's own processes
	MountPTY     MountKind = "pty"     // terminals of the sandbox's own (devpts)
	MountPipe    MountKind = "pipe"    // a pipe without a writer or reader of the host's; the launcher learns who opens it
	MountFile    MountKind = "file"    // a file with Content, made by mcpen
	MountCopy    MountKind = "copy"    // a copy of the host's small file Source, made at the start
	MountSymlink MountKind = "symlink" // Target points to Source
	MountDevice  MountKind = "device"  // the host's device node Source at Target
	MountMask    MountKind = "mask"    // something empty hides Target; Dir says whether that is a directory
	MountDir     MountKind = "dir"     // an empty directory
)

// Mount is one step that builds the server's root. Only paths that a Mount names are
// visible inside.
type Mount struct {
	Kind     MountKind `json:"kind"`
	Target   string    `json:"target"`           // absolute, inside
	Source   string    `json:"source,omitempty"` // absolute, outside; a symlink's text
	Writable bool      `json:"writable,omitempty"`
	Exec     bool      `json:"exec,omitempty"`
	Dir      bool      `json:"dir,omitempty"` // a bind of a directory; false: of a file, or unknown
	Mode     uint32    `json:"mode,omitempty"`
	Bytes    int64     `json:"bytes,omitempty"`
	Inodes   int64     `json:"inodes,omitempty"`
	Content  string    `json:"content,omitempty"`
	// Nameless is set for a bind of a directory that is not to name its Source inside:
	// mountinfo shows that of every other (proc_pid_mountinfo(5)). It is read-only.
	Nameless bool `json:"nameless,omitempty"`
	// Protected is set for a place that stays read-only in a writable folder because
	// code outside trusts it.
	Protected bool   `json:"protected,omitempty"`
	Why       string `json:"why"`          // for a person: "runtime of node", "declared"
	At        string `json:"at,omitempty"` // file:line:col of the rule
}

// Landlock is the Landlock ruleset: the second layer on files and, as far as the ABI
// supports them, on TCP, abstract sockets and signals.
type Landlock struct {
	ABI     int    `json:"abi"` // the ABI whose rights are handled; 0: the layer is off
	Paths   []Rule `json:"paths"`
	Connect []Span `json:"connect"` // TCP ports that the server may connect to (ABI 4)
	// Own are local ports. The server may connect to the odd ones: the kernel gives
	// those to listeners that ask for any port, and gives the even ones to connections
	// (inet_csk_find_open_port, Linux 4.2).
	Own    Span `json:"own"`
	Scoped bool `json:"scoped"` // abstract sockets and signals stay inside (ABI 6)
	// Anywhere leaves TCP unrestricted: in a trial the network namespace leads only to
	// the launcher.
	Anywhere bool `json:"anywhere,omitempty"`
}

// Connects reports whether Landlock allows a TCP connection to the port.
func (l Landlock) Connects(port uint16) bool {
	if l.Anywhere {
		return true
	}
	in := func(s Span) bool { return s.First <= port && port <= s.Last }
	return slices.ContainsFunc(l.Connect, in) || l.Own.First != 0 && in(l.Own) && port%2 == 1
}

// Access is the access that a Landlock rule grants below its path.
type Access string

// The kinds of access.
const (
	AccessRead  Access = "read"  // read, list, execute
	AccessWrite Access = "write" // read, write, create, remove, rename, link, truncate, execute; no device nodes, no sockets on project folders
	AccessTmp   Access = "tmp"   // AccessWrite, and make sockets and fifos
	AccessDev   Access = "dev"   // read and write a device node, with its ioctls
	AccessSelf  Access = "self"  // list directories (Landlock has no way to say "this one only": used for / where the mounts leave nothing undeclared to list)
)

// Rule is one path rule. Its path exists inside the new root.
type Rule struct {
	Path   string `json:"path"`
	Access Access `json:"access"`
}

// Span is a run of ports, both ends included.
type Span struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
}

// Seccomp selects from the system call table. The default action is always ENOSYS, and
// only the native ABI is allowed.
type Seccomp struct {
	On bool `json:"on"`
	// Notify reports refused calls by name to the launcher. It only observes: without
	// it, a call fails with the same errno.
	Notify bool `json:"notify"`
	// Opens reports every open to the launcher, which logs those that fail for lack of
	// a rule.
	Opens bool `json:"opens,omitempty"`
	// Trace also reports each executed program, each bind, each signal and each open
	// that succeeds; for a trial.
	Trace bool `json:"trace,omitempty"`
	// Alone is for a server without namespaces, in the weaker tier. It refuses the
	// calls that namespaces would keep from reaching outside: all sockets, System V IPC
	// and POSIX message queues, and the limits and scheduling of other processes.
	Alone bool `json:"alone,omitempty"`
	// Mediate hands every connect, and the calls that change files by path, to the
	// mediator, which makes them for the server (see Writes). It also refuses datagram
	// sockets of the unix family.
	Mediate bool `json:"mediate,omitempty"`
}

// Listens reports whether the filter has a listener (seccomp_unotify(2)).
func (s Seccomp) Listens() bool { return s.Notify || s.Opens || s.Mediate }

// Network configures the egress. If every list is empty, the server reaches only the
// sandbox's own loopback.
type Network struct {
	Hosts     []policy.Host `json:"hosts,omitempty"`
	Sockets   []Socket      `json:"sockets,omitempty"`
	Ports     []Span        `json:"ports,omitempty"`  // ports on which listeners wait inside; includes 80 and 443 if Hosts is not empty
	Ephemeral Span          `json:"ephemeral"`        // local ports the kernel hands out inside
	Proxies   Proxies       `json:"proxies,omitzero"` // the way out to Hosts
	// Every is set in a trial: each name resolves, each port answers, and every
	// connection ends in the launcher, which imitates the internet.
	Every bool `json:"every,omitempty"`
}

// Socket is a unix socket of the host. The egress connects it to a socket inside.
type Socket struct {
	policy.Socket
	// Real is the target of Path when the plan was made. Later connections use this
	// path, which contains no symlinks, so that a symlink made meanwhile has no effect.
	// If it is empty, the egress connects to nothing.
	Real string `json:"real"`
}

// Limit is one limit and the mechanism that holds it.
type Limit struct {
	Name  LimitName `json:"name"`
	Value int64     `json:"value"` // bytes, counts, thousandths of a core, milliseconds
	How   LimitHow  `json:"how"`
	// Required stops the start if the mechanism turns out to be missing.
	Required bool `json:"required,omitempty"`
}

// LimitName names a limit as the profile does.
type LimitName string

// The limits.
const (
	LimitMemory    LimitName = "memory"
	LimitProcesses LimitName = "processes"
	LimitOpenFiles LimitName = "open-files"
	LimitFileSize  LimitName = "file-size"
	LimitCPU       LimitName = "cpu"
	LimitCPUTime   LimitName = "cpu-time"
	LimitTmp       LimitName = "tmp"
	LimitTmpFiles  LimitName = "tmp-files"

	LimitConnections LimitName = "connections"
	LimitPerSecond   LimitName = "connection-rate"
)

// LimitHow names the mechanism that holds a limit.
type LimitHow string

// The mechanisms.
const (
	HowCgroup2 LimitHow = "cgroup2" // a delegated cgroup v2
	HowSystemd LimitHow = "systemd" // a scope of the systemd user manager
	HowCgroup1 LimitHow = "cgroup1" // as root
	HowRlimit  LimitHow = "rlimit"
	HowTmpfs   LimitHow = "tmpfs" // options of the mount
	HowEgress  LimitHow = "egress"
)

// Tools configures the guard.
type Tools struct {
	policy.Tools
	Prompts   policy.Filter  `json:"prompts"`
	Resources policy.Filter  `json:"resources"`
	Client    policy.Client  `json:"client"`
	Given     []policy.Given `json:"given,omitempty"`
}

// Relay configures the relay.
type Relay struct {
	MaxLine int64 `json:"max_line"`  // bytes
	Finish  int64 `json:"finish_ms"` // milliseconds for answers, and for the client to read them, once one side has ended
	Grace   int64 `json:"grace_ms"`  // milliseconds from the end of stdin, or from the last line after it, to SIGTERM
	Rush    int64 `json:"rush_ms"`   // milliseconds from SIGTERM to SIGKILL if a signal ends the run
}

// Log configures the log.
type Log struct {
	Arguments bool `json:"arguments,omitempty"`
	Stop      bool `json:"stop,omitempty"` // a log that cannot be written ends the run
}

// Gap is a protection that somebody wanted and that this machine cannot provide.
type Gap struct {
	Layer    policy.Layer `json:"layer"`
	Want     string       `json:"want"`
	Have     string       `json:"have"`
	Why      string       `json:"why"`
	Required bool         `json:"required,omitempty"` // an error: nothing starts
}
