// Package plan turns a policy, a program and the facts of a machine into a Plan:
// plain data that says exactly what the kernel, the egress and the relay are
// told. The same JSON is what the stages inside the sandbox read, what
// "mcpen explain --json" prints and what the golden tests compare.
//
// Compile is pure: it reads no file, no environment and no clock. What it needs
// to know of the machine comes in as a Host.
//
// The zero Plan is not valid, and every list in a Plan that is empty grants
// nothing.
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

// Plan is all that is enforced on one run of one server.
type Plan struct {
	Version int             `json:"version"`
	Name    string          `json:"name"` // the profile's name, or the command's
	Sources []policy.Source `json:"sources,omitempty"`

	Process Process `json:"process"`
	Root    []Mount `json:"root"` // in the order in which they are made
	// Writes is what the mediator is told, where there is one (Seccomp.Mediate).
	Writes   Writes   `json:"writes,omitzero"`
	Landlock Landlock `json:"landlock"`
	Seccomp  Seccomp  `json:"seccomp"`
	Network  Network  `json:"network"`
	Limits   []Limit  `json:"limits"`
	Tools    Tools    `json:"tools"`
	Relay    Relay    `json:"relay"`
	Log      Log      `json:"log"`

	Layers []policy.Layer `json:"layers"` // the layers that are enforced
	// Without are the layers that somebody goes without in words: said first
	// wherever a person sees what holds.
	Without []policy.Without `json:"without,omitempty"`
	// Runtime is the directory of the launcher's own in which a run keeps what
	// it needs while it runs (the skeleton of the root, its record). It is never
	// visible inside.
	Runtime string `json:"runtime"`
	// Scratch is a directory that Start makes for a server without namespaces: its
	// home and place for temporary files, shared by all runs of that name.
	Scratch string `json:"scratch,omitempty"`
	// CgroupParent is the delegated cgroup below which the server's is made;
	// empty where no cgroup v2 was delegated.
	CgroupParent string `json:"cgroup_parent,omitempty"`
	// Desk is what stands in for the user's home and machine in a trial.
	Desk *Desk `json:"desk,omitempty"`
	Gaps []Gap `json:"gaps,omitempty"`
}

// Digest is the SHA-256 of the plan's JSON, in hex: two runs with the same
// digest were told the same. Secret values are not part of it.
func (p Plan) Digest() string {
	b, err := Encode(p)
	if err != nil {
		panic("internal error: a plan that is not JSON: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Holds reports whether the layer is enforced by this plan.
func (p Plan) Holds(l policy.Layer) bool {
	for _, have := range p.Layers {
		if have == l {
			return true
		}
	}
	return false
}

// Process is what is executed inside.
type Process struct {
	Path    string   `json:"path"` // the same outside and inside
	Args    []string `json:"args"` // Args[0] included
	Dir     string   `json:"dir"`
	Env     []Env    `json:"env"` // sorted by name
	Secrets []Secret `json:"secrets,omitempty"`
	UID     int      `json:"uid"`
	GID     int      `json:"gid"`
	Umask   int      `json:"umask"`
}

// Env is one variable of the server's environment.
type Env struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	At    string `json:"at,omitempty"`
}

// Secret is a variable whose value is fetched at start. The value is filled in
// by whoever starts the sandbox and is never part of the JSON, of a digest or
// of what a formatter prints.
type Secret struct {
	Name string `json:"name"`
	From string `json:"from"` // the reference, for people and for the one who fetches it
	At   string `json:"at,omitempty"`

	Value Opaque `json:"-"`
}

// Opaque is a string that does not print, by any verb of fmt, in JSON, TOML or
// slog. Convert it to a string where the value itself is needed. It is for
// exported fields and never a key: fmt asks no method of a value in an
// unexported field, and encoding/json none of a key that is a string.
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

// MountKind is one kind of step that builds the root.
type MountKind string

// The kinds of mounts. The empty kind is an error.
const (
	MountBind    MountKind = "bind"    // Source at Target, recursively
	MountTmpfs   MountKind = "tmpfs"   // a private file system of Bytes and Inodes
	MountProc    MountKind = "proc"    // /proc of the sandbox's own processes
	MountPTY     MountKind = "pty"     // terminals of the sandbox's own (devpts)
	MountPipe    MountKind = "pipe"    // a pipe that leads nowhere; the launcher hears who opens it
	MountFile    MountKind = "file"    // a file with Content, made by mcpen
	MountCopy    MountKind = "copy"    // a copy of the host's small file Source, made at the start
	MountSymlink MountKind = "symlink" // Target points to Source
	MountDevice  MountKind = "device"  // the host's device node Source at Target
	MountMask    MountKind = "mask"    // Target is hidden by something empty; Dir says of which kind
	MountDir     MountKind = "dir"     // an empty directory
)

// Mount is one step that builds the server's root. Nothing is visible inside
// that no Mount names.
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
	// Protected is set for what stays read-only in a writable folder because code
	// outside trusts it.
	Protected bool   `json:"protected,omitempty"`
	Why       string `json:"why"`          // for a person: "runtime of node", "declared"
	At        string `json:"at,omitempty"` // file:line:col of the rule
}

// Landlock is the ruleset of the second layer on files, and of TCP, abstract
// sockets and signals as far as the ABI holds them.
type Landlock struct {
	ABI     int    `json:"abi"` // the ABI whose rights are handled; 0: the layer is off
	Paths   []Rule `json:"paths"`
	Connect []Span `json:"connect"` // TCP ports that may be connected to (ABI 4)
	// Own are the local ports, of which every second one, the odd ones, may be
	// connected to: those the kernel gives to listeners that want any port, while
	// connections get the even ones (inet_csk_find_open_port, Linux 4.2).
	Own    Span `json:"own"`
	Scoped bool `json:"scoped"` // abstract sockets and signals stay inside (ABI 6)
	// Anywhere leaves TCP alone: in a trial the network namespace leads nowhere but
	// to the launcher.
	Anywhere bool `json:"anywhere,omitempty"`
}

// Connects reports whether Landlock lets connections to the port through.
func (l Landlock) Connects(port uint16) bool {
	if l.Anywhere {
		return true
	}
	in := func(s Span) bool { return s.First <= port && port <= s.Last }
	return slices.ContainsFunc(l.Connect, in) || l.Own.First != 0 && in(l.Own) && port%2 == 1
}

// Access is what a Landlock rule grants below its path.
type Access string

// The kinds of access.
const (
	AccessRead  Access = "read"  // read, list, execute
	AccessWrite Access = "write" // read, write, create, remove, rename, link, truncate, execute; no device nodes, no sockets on project folders
	AccessTmp   Access = "tmp"   // AccessWrite and making sockets and fifos
	AccessDev   Access = "dev"   // read and write a device node, with its ioctls
	AccessSelf  Access = "self"  // list directories (Landlock has no way to say "this one only": used for / where the mounts leave nothing undeclared to list)
)

// Rule is one path rule. The path exists inside the new root.
type Rule struct {
	Path   string `json:"path"`
	Access Access `json:"access"`
}

// Span is a run of ports, both ends included.
type Span struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
}

// Seccomp selects from the system call table. The default action is always
// ENOSYS, the native ABI is always the only one.
type Seccomp struct {
	On bool `json:"on"`
	// Notify reports refused calls by name to the launcher. It only observes:
	// a call is refused with the same errno without it.
	Notify bool `json:"notify"`
	// Opens reports every open to the launcher, which logs those that fail for
	// want of a rule.
	Opens bool `json:"opens,omitempty"`
	// Trace reports each program that is executed, each bind and each signal, too,
	// and each open that succeeds: for a trial.
	Trace bool `json:"trace,omitempty"`
	// Alone is for a server without namespaces, in the weaker tier. It refuses what
	// they would keep from the outside: all sockets, System V IPC and POSIX message
	// queues, and other processes' limits and scheduling.
	Alone bool `json:"alone,omitempty"`
	// Mediate hands calls that change files by path, and every connect, to the
	// mediator, which makes them for the server (see Writes). Datagram sockets of
	// the unix family are refused with it.
	Mediate bool `json:"mediate,omitempty"`
}

// Listens reports whether the filter has a listener.
func (s Seccomp) Listens() bool { return s.Notify || s.Opens || s.Mediate }

// Network is what the egress serves. With every list empty nothing is
// reachable but the sandbox's own loopback.
type Network struct {
	Hosts     []policy.Host `json:"hosts,omitempty"`
	Sockets   []Socket      `json:"sockets,omitempty"`
	Ports     []Span        `json:"ports,omitempty"`  // on which listeners wait inside; 80 and 443 are always among them when Hosts is not empty
	Ephemeral Span          `json:"ephemeral"`        // local ports the kernel hands out inside
	Proxies   Proxies       `json:"proxies,omitzero"` // the way out to Hosts
	// Every is set in a trial: each name has an address, each port answers, and all
	// of it ends in the launcher, which stands in for the internet.
	Every bool `json:"every,omitempty"`
}

// Socket is a unix socket of the host to which the egress joins one inside.
type Socket struct {
	policy.Socket
	// Real is where Path led when the plan was made. What is connected to later lies
	// there by a path without symlinks, so that none that somebody puts there meanwhile
	// decides anything. Empty joins nothing.
	Real string `json:"real"`
}

// Limit is one limit and how it is held.
type Limit struct {
	Name  LimitName `json:"name"`
	Value int64     `json:"value"` // bytes, counts, thousandths of a core, milliseconds
	How   LimitHow  `json:"how"`
	// Required has nothing start where it turns out not to be had.
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
	HowCgroup2 LimitHow = "cgroup2" // a cgroup v2 that was delegated
	HowSystemd LimitHow = "systemd" // a scope of the systemd user manager
	HowCgroup1 LimitHow = "cgroup1" // as root
	HowRlimit  LimitHow = "rlimit"
	HowTmpfs   LimitHow = "tmpfs" // options of the mount
	HowEgress  LimitHow = "egress"
)

// Tools is what the guard is told.
type Tools struct {
	policy.Tools
	Prompts   policy.Filter  `json:"prompts"`
	Resources policy.Filter  `json:"resources"`
	Client    policy.Client  `json:"client"`
	Given     []policy.Given `json:"given,omitempty"`
}

// Relay is what the relay is told.
type Relay struct {
	MaxLine int64 `json:"max_line"`  // bytes
	Finish  int64 `json:"finish_ms"` // milliseconds that answers, and the client's reading of them, may take once one side ended
	Grace   int64 `json:"grace_ms"`  // milliseconds between the end of stdin, or the last line behind it, and SIGTERM
	Rush    int64 `json:"rush_ms"`   // milliseconds between SIGTERM and SIGKILL, where a signal ends the run
}

// Log is what the log is told.
type Log struct {
	Arguments bool `json:"arguments,omitempty"`
	Stop      bool `json:"stop,omitempty"` // a log that cannot be written ends the run
}

// Gap is a protection that was wanted and cannot be had on this machine.
type Gap struct {
	Layer    policy.Layer `json:"layer"`
	Want     string       `json:"want"`
	Have     string       `json:"have"`
	Why      string       `json:"why"`
	Required bool         `json:"required,omitempty"` // an error: nothing starts
}
