// Package policy turns a profile, which a person wrote in TOML, into a Policy: the
// profile's meaning on this machine, with absolute paths, inherited values folded in
// and defaults visible.
//
// The package is pure. It reads no file, no environment and no clock: Parse and Resolve
// take bytes and values and return values. They return all mistakes at once, each with
// its file, line and column.
//
// The zero Policy allows nothing: no file, no host, no environment, no tool beyond the
// abilities of a closed server.
//
// # Strings
//
// "${name}" in a path, an argument, a value of env.set or env.secret, a host or a
// socket is replaced by a parameter; "$${" stands for a literal "${". Every profile has
// ${workspace}, ${state} (the server's own directory, kept between runs) and ${home}. A
// parameter with many values must be a whole element of a list and becomes that many
// elements. A secret must be a whole value of env.secret. "~/" at the start of a path
// is the home directory. "?" at the start of a path rule means that the path may be
// absent, and at the start of "env:NAME" that the variable may be unset: the server
// then starts without it. A path is never a pattern, and an empty allow list allows
// nothing.
//
// # Keys
//
//	version = 1                        name, description, extends = ["node", "./base.toml"]
//	[params.NAME]                      type = string|secret|directory|file|port|choice
//	                                   many, default, description, pattern, choices,
//	                                   env = "NAME": the variable with its value if --set has none
//	[server]                           command = [...] or package = "npm:NAME"|"pypi:NAME", args, dir
//	[filesystem]                       read, write, deny, unprotect, protect
//	[network]                          allow = ["name:443", "*.name:443", "10.0.0.0/8:5432", "localhost:5432",
//	                                            { host = "name:8443", tls = true, private = true }]
//	                                   listen = [9000], proxy = "environment"|"none"|"http://proxy:3128"
//	[sockets]                          connect = ["/path", { path = "/run/docker.sock", override = "yes, this is the host" }]
//	[env]                              pass = ["LANG"], set = { NAME = "text" }
//	                                   secret = { NAME = "env:NAME"|"?env:NAME"|"file:/path"|"command:PROGRAM ARGUMENTS"|"keyring:service/name" }
//	[tools]                            allow, deny, pins = first-use|enforce|warn|off, pins-except,
//	                                   findings = warn|hold, results = pass|show|strip, validate
//	[tools.rule.NAME]                  per-minute, concurrent, and words of JSON Schema for the arguments
//	[prompts] [resources]              allow, deny
//	[client]                           sampling, elicitation, roots, logging: the client's features that the server may use
//	[limits]                           memory, processes, open-files, file-size, cpu, cpu-time, tmp, tmp-files,
//	                                   connections, connection-rate; each may be "unlimited"
//	[process]                          pty
//	[wire]                             max-line, finish, grace
//	[log]                              arguments, files, on-error = stop|continue
//	[install]                          scripts, build, min-age, python
//	[require]                          layers = limits (more than the default), without = namespaces|landlock|seccomp|mediation
package policy

import (
	"strconv"
	"time"
)

// Pos is a position in a profile. The zero Pos means "not written anywhere": a default.
type Pos struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`
}

// String is file:line:col, or "default" for the zero Pos.
func (p Pos) String() string {
	if p.File == "" {
		return "default"
	}
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col)
}

// Policy is the meaning of a profile on this machine. Every path in it is absolute and
// clean, every parameter is filled in, and every inherited value is folded in. A Policy
// that Resolve returned without mistakes is valid as a whole: later steps do not check
// it again.
type Policy struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Sources     []Source `json:"sources,omitempty"` // the profile first, then the profiles it extends, outermost last

	Server     Server     `json:"server"`
	Filesystem Filesystem `json:"filesystem"`
	Network    Network    `json:"network"`
	Sockets    []Socket   `json:"sockets,omitempty"`
	Env        Env        `json:"env"`
	Tools      Tools      `json:"tools"`
	Prompts    Filter     `json:"prompts"`
	Resources  Filter     `json:"resources"`
	Client     Client     `json:"client"`
	Limits     Limits     `json:"limits"`
	Process    Process    `json:"process,omitzero"`
	Wire       Wire       `json:"wire"`
	Log        Log        `json:"log"`
	Install    Install    `json:"install"`
	Require    Require    `json:"require"`

	// Bounds holds each baseline's lists of paths and sockets. The policy's names are
	// within them. Whoever follows symlinks compares the targets.
	Bounds []Bounds `json:"bounds,omitempty"`
	Given  []Given  `json:"given,omitempty"` // filled-in values, for checks whether a definition depends on them
}

// Unguarded returns the policy without any guard between the server's messages and its
// client: no definition is hidden, held or pinned, and the server may ask the client
// for nothing. The server's access to this machine does not change. It is for mcpen as
// the client, when it asks a server for the text that models would see.
func (p Policy) Unguarded() Policy {
	p.Tools = Tools{Pins: PinOff, Findings: FindingWarn, Results: TextPass}
	p.Prompts, p.Resources, p.Client = Filter{}, Filter{}, Client{}
	return p
}

// Bounds is a baseline's lists of paths and sockets. A nil list bounds nothing; an
// empty list allows nothing.
type Bounds struct {
	Read      []Path   `json:"read"` // includes the paths under write
	Write     []Path   `json:"write"`
	Unprotect []Path   `json:"unprotect"`
	Connect   []Socket `json:"connect"`
}

// Source is one profile file that contributed.
type Source struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

// Server says what to start: a command, or a package whose entry point the lock names.
// At most one of Command and Package is set. Both are empty in a profile that is only
// meant to be extended or used with "--".
type Server struct {
	Command []string `json:"command,omitempty"` // program and leading arguments
	Package string   `json:"package,omitempty"` // "npm:NAME" or "pypi:NAME"
	Args    []string `json:"args,omitempty"`    // appended after Command or the entry point
	Dir     string   `json:"dir,omitempty"`     // working directory; empty: the workspace, or else the private home
	At      Pos      `json:"at"`
}

// Path is one path rule.
type Path struct {
	Path     string `json:"path"`
	Optional bool   `json:"optional,omitempty"` // written with a leading "?": absent is no error
	At       Pos    `json:"at"`
}

// Name is a name that is protected below every writable folder: a base name, or several
// elements joined by slashes. "*" matches any run of characters in one element.
type Name struct {
	Name string `json:"name"`
	At   Pos    `json:"at"`
}

// Filesystem lists the paths that the server may see. Deny wins over Read and Write in
// any order, and covers everything below the path.
type Filesystem struct {
	Read  []Path `json:"read,omitempty"`
	Write []Path `json:"write,omitempty"`
	Deny  []Path `json:"deny,omitempty"`
	// Unprotect names protected places (".git", ".vscode", …) below a writable folder
	// that the profile makes writable on purpose. "*" matches any run of characters of
	// one element, "**" any run of elements.
	Unprotect []Path `json:"unprotect,omitempty"`
	// Protect adds to the protected names.
	Protect []Name `json:"protect,omitempty"`
}

// Network lists the hosts that the server may connect to; no other is reachable.
type Network struct {
	Allow []Host `json:"allow,omitempty"`
	// Listen names fixed TCP ports of the sandbox's own loopback on which the
	// server talks to itself. Ports that the kernel picks need no rule. Nothing
	// outside the sandbox can reach either.
	Listen []Port `json:"listen,omitempty"`
	// Proxy is the proxy for connections to the hosts in Allow.
	Proxy Proxy `json:"proxy,omitzero"`
}

// Port is a TCP port with its position.
type Port struct {
	Port uint16 `json:"port"`
	At   Pos    `json:"at"`
}

// HostKind distinguishes the kinds of network rules.
type HostKind string

// The kinds of network rules. The empty kind matches nothing.
const (
	HostName     HostKind = "name"     // an exact name: Name
	HostWildcard HostKind = "wildcard" // "*." and a suffix: Name holds the suffix without "*."
	HostCIDR     HostKind = "cidr"     // an address or network, matched only as an address: Name holds the canonical CIDR
	HostLocal    HostKind = "local"    // one port of the host's own loopback
	// HostAny is every public host. No profile can express it.
	HostAny HostKind = "any"
)

// Host is one rule of network.allow. Names are lower case, in ASCII (punycode),
// without a trailing dot.
type Host struct {
	Kind    HostKind `json:"kind"`
	Name    string   `json:"name"`
	First   uint16   `json:"first"`             // first port
	Last    uint16   `json:"last"`              // last port, at least First
	TLS     TLS      `json:"tls,omitempty"`     // only for names
	Private bool     `json:"private,omitempty"` // the name may resolve to a private address
	At      Pos      `json:"at"`
}

// TLS says on which ports of a rule the name must appear in a TLS ClientHello. Any
// other value, the empty one included, means TLSAlways.
type TLS string

// The words.
const (
	// TLSAlways allows only TLS with the name, on every port of the rule.
	TLSAlways TLS = "always"
	// TLSUsual is TLSAlways on port 443. On any other port the client may speak any
	// protocol; if it speaks TLS, it must send the name.
	TLSUsual TLS = "usual"
	// TLSNever checks nothing: for a client that sends no name, or a different one.
	TLSNever TLS = "never"
)

// Demanded reports whether the rule allows only TLS with its name on the port.
func (h Host) Demanded(port uint16) bool { return h.strictness(port) == 2 }

// Checked reports whether a client that speaks TLS on the port must send the rule's
// name.
func (h Host) Checked(port uint16) bool { return h.strictness(port) >= 1 }

// strictness orders rules for names: the higher, the less the rule allows on the port.
func (h Host) strictness(port uint16) int {
	switch {
	case h.Kind != HostName && h.Kind != HostWildcard, h.TLS == TLSNever:
		return 0
	case h.TLS == TLSUsual && port != 443:
		return 1
	}
	return 2
}

// Socket is one unix socket of the host that the server may connect to.
type Socket struct {
	Path string `json:"path"`
	// Override holds the text with which the profile insists on a socket that is the
	// host itself (docker, D-Bus, …); empty otherwise.
	Override string `json:"override,omitempty"`
	At       Pos    `json:"at"`
}

// Env is the server's whole environment.
type Env struct {
	Pass   []EnvName    `json:"pass,omitempty"` // taken from mcpen's own environment if set
	Set    []EnvValue   `json:"set,omitempty"`
	Secret []SecretFrom `json:"secret,omitempty"`
}

// EnvName is the name of a variable.
type EnvName struct {
	Name string `json:"name"`
	At   Pos    `json:"at"`
}

// EnvValue is a variable with a value that is not secret.
type EnvValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	At    Pos    `json:"at"`
}

// SecretFrom is a variable whose value is fetched when the server starts and never
// printed. From is a reference ("env:NAME", "?env:NAME", "file:/path", "command:ARGV…",
// "keyring:SERVICE/NAME"), never the value.
type SecretFrom struct {
	Name string `json:"name"`
	From string `json:"from"`
	At   Pos    `json:"at"`
}

// PinMode says how definitions that nobody approved are treated.
type PinMode string

// The pin modes; "" is never in a resolved Policy.
const (
	PinFirstUse PinMode = "first-use" // the first definitions pass, later additions and changes wait for review; the default
	PinEnforce  PinMode = "enforce"   // new and changed definitions wait for review
	PinWarn     PinMode = "warn"      // definitions pass and changes are reported
	PinOff      PinMode = "off"
)

// FindingMode says how a text with findings is treated.
type FindingMode string

// The finding modes.
const (
	FindingWarn FindingMode = "warn"
	FindingHold FindingMode = "hold"
)

// TextMode says how invisible characters and escape sequences in results are treated.
type TextMode string

// The text modes.
const (
	TextPass  TextMode = "pass"
	TextShow  TextMode = "show"  // made visible
	TextStrip TextMode = "strip" // removed
)

// Tools says which tools the client can see, and how they are checked.
type Tools struct {
	Filter
	Pins     PinMode     `json:"pins"`
	Except   []Glob      `json:"pins_except,omitempty"` // names whose definitions may change without a review
	Findings FindingMode `json:"findings"`
	Results  TextMode    `json:"results"`
	Validate bool        `json:"validate,omitempty"` // calls are checked against the server's own inputSchema
	Rules    []ToolRule  `json:"rules,omitempty"`
}

// Filter is a pair of glob lists over names. Deny wins. Without an Allow list, every
// name that Deny does not match is allowed, unless Nothing is set.
type Filter struct {
	Allow []Glob `json:"allow,omitempty"`
	Deny  []Glob `json:"deny,omitempty"`
	// Nothing is the position of an empty allow list, which allows no name. The zero
	// Pos means that the profile has no such list.
	Nothing Pos `json:"nothing,omitzero"`
}

// Glob is a pattern over names: "*" matches any run of characters, "?" one, and
// everything else itself.
type Glob struct {
	Pattern string `json:"pattern"`
	At      Pos    `json:"at"`
}

// ToolRule restricts the calls of one tool.
type ToolRule struct {
	Tool       string         `json:"tool"`
	Schema     map[string]any `json:"schema,omitempty"`     // JSON Schema 2020-12 that the arguments must meet
	PerMinute  int            `json:"per_minute,omitempty"` // 0: no limit
	Concurrent int            `json:"concurrent,omitempty"` // 0: no limit
	At         Pos            `json:"at"`
}

// Limits bounds the server's use of resources. Zero means that the profile switched the
// default off ("unlimited").
type Limits struct {
	Memory    Size          `json:"memory"`     // bytes, whole tree
	Processes int           `json:"processes"`  // processes and threads, whole tree
	OpenFiles int           `json:"open_files"` // descriptors of one process
	FileSize  Size          `json:"file_size"`  // bytes of one file
	CPU       float64       `json:"cpu"`        // cores
	CPUTime   time.Duration `json:"cpu_time"`   // processor time of one process
	Tmp       Size          `json:"tmp"`        // bytes of each private tmpfs
	TmpFiles  int           `json:"tmp_files"`  // inodes of each private tmpfs

	// Of the network; connections beyond them wait.
	Connections int `json:"connections"`     // open at once
	PerSecond   int `json:"connection_rate"` // new ones a second, after a burst of twice as many
}

// Size is a number of bytes.
type Size int64

// Process lists further rights of the server's process.
type Process struct {
	PTY bool `json:"pty,omitempty"` // may open terminals of its own
	At  Pos  `json:"at,omitzero"`
}

// Wire configures the relay: the longest line and the times of the shutdown.
type Wire struct {
	MaxLine Size          `json:"max_line"` // longest line in either direction
	Finish  time.Duration `json:"finish"`   // time for answers, and for the client to read them, once one side has ended
	Grace   time.Duration `json:"grace"`    // time from the end of the server's stdin to SIGTERM; restarts with each line
	Rush    time.Duration `json:"rush"`     // time from SIGTERM to SIGKILL if a signal ends the run; Grace, if the profile sets that
}

// Log configures the audit log.
type Log struct {
	Arguments bool   `json:"arguments,omitempty"` // log tool arguments unredacted
	Files     bool   `json:"files,omitempty"`     // observe every open and log the refused ones; costs some µs an open
	OnError   string `json:"on_error"`            // "stop" or "continue" if the log cannot be written
}

// Install says how a package may be installed.
type Install struct {
	Scripts []string      `json:"scripts,omitempty"` // npm packages whose lifecycle scripts run, in the install sandbox
	Build   []string      `json:"build,omitempty"`   // PyPI packages that may be built from source, in the install sandbox; normalized (PEP 503)
	MinAge  time.Duration `json:"min_age"`           // younger versions are refused
	Python  string        `json:"python,omitempty"`  // such as "3.13"; "" for the machine's python3
}

// Layer is one mechanism that enforces the boundary.
type Layer string

// The layers.
const (
	LayerNamespaces Layer = "namespaces"
	LayerLandlock   Layer = "landlock"
	LayerSeccomp    Layer = "seccomp"
	LayerLimits     Layer = "limits"
	// LayerMediation makes the changes in the user's folders for the server, which sees
	// them read-only, and connects its unix sockets.
	LayerMediation Layer = "mediation"
)

// Require lists the layers that a start requires: namespaces, landlock, seccomp,
// mediation, and those that a profile adds.
type Require struct {
	Layers []Layer `json:"layers"`
	At     Pos     `json:"at"`
	// Without lists the layers that the profile or the command line explicitly goes
	// without. None of them is in Layers.
	Without []Without `json:"without,omitempty"`
}

// Without is a layer that somebody explicitly switched off.
type Without struct {
	Layer Layer `json:"layer"`
	At    Pos   `json:"at"` // zero: the command line
}

// The defaults of a profile's settings.
const (
	DefaultMemory    Size = 2 << 30   // several times the needs of a busy Node server
	DefaultProcesses      = 256       // Node alone starts about a dozen threads
	DefaultOpenFiles      = 4096      // enough for a file watcher on a middling project
	DefaultFileSize  Size = 1 << 30   // a runaway log ends before the disk does
	DefaultTmp       Size = 128 << 20 // it counts against memory
	DefaultTmpFiles       = 16384     // a tmpfs without a bound on inodes fills kernel memory

	DefaultConnections      = 2048     // each costs the launcher some 15 KB
	DefaultPerSecond        = 5000     // more than one processor can open
	DefaultMaxLine     Size = 64 << 20 // tools/list of real servers reaches 1 MB, a page as base64 more

	DefaultGrace  = 2 * time.Second        // most servers exit at once when their stdin closes
	DefaultFinish = 5 * time.Minute        // longer than clients wait for an answer
	DefaultRush   = 250 * time.Millisecond // Claude Code kills half a second after its first signal
	DefaultMinAge = 3 * 24 * time.Hour     // most packages that turn out malicious are taken down sooner

	DefaultPins     = PinFirstUse
	DefaultFindings = FindingWarn
	DefaultResults  = TextPass
)

// The values of log.on-error: the reaction to a log that cannot be written.
const (
	OnErrorStop     = "stop"
	OnErrorContinue = "continue" // the default
)

// Override is the text with which a profile insists on a socket that is the host
// itself, such as Docker's.
const Override = "yes, this is the host"

// DefaultLayers are the layers that a start requires, unless a profile says otherwise.
func DefaultLayers() []Layer {
	return []Layer{LayerNamespaces, LayerLandlock, LayerSeccomp, LayerMediation}
}

// Closed is the policy of a server without a profile: no network, no file of the
// user's, no environment, the default limits, every layer required.
func Closed(name string) Policy {
	return Policy{
		Name:   name,
		Tools:  Tools{Pins: DefaultPins, Findings: DefaultFindings, Results: DefaultResults},
		Client: everyRequest(),
		Limits: Limits{
			Memory:    DefaultMemory,
			Processes: DefaultProcesses,
			OpenFiles: DefaultOpenFiles,
			FileSize:  DefaultFileSize,
			Tmp:       DefaultTmp,
			TmpFiles:  DefaultTmpFiles,

			Connections: DefaultConnections,
			PerSecond:   DefaultPerSecond,
		},
		Wire:    Wire{MaxLine: DefaultMaxLine, Finish: DefaultFinish, Grace: DefaultGrace, Rush: DefaultRush},
		Log:     Log{OnError: OnErrorContinue},
		Install: Install{MinAge: DefaultMinAge},
		Require: Require{Layers: DefaultLayers()},
	}
}
