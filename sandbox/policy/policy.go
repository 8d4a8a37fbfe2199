// Package policy turns a profile, which a person wrote in TOML, into a Policy,
// which says what the profile means on this machine: absolute paths, inherited
// values folded in, defaults visible.
//
// The package is pure. It reads no file, no environment and no clock: Parse and
// Resolve take bytes and values and return values, and every mistake they find
// comes back with its file, line and column, all at once.
//
// The zero Policy allows nothing: no file, no host, no environment, no tool
// beyond what a closed server can do on its own.
//
// # Strings
//
// "${name}" in a path, an argument, a value of env.set or env.secret, a host or a
// socket stands for a parameter; "$${" for the two characters themselves. Every
// profile has ${workspace}, ${state} (the server's own directory, kept between
// runs) and ${home}. A parameter with many values is a whole element of a list
// and becomes that many elements. A secret is a whole value of env.secret.
// "~/" in front of a path is the home directory, "?" in front of a path rule
// means that the path may be absent, and in front of "env:NAME" that the variable
// may be unset: the server then starts without it. A path is no pattern, and an
// empty list of what is allowed allows nothing.
//
// # Keys
//
//	version = 1                        name, description, extends = ["node", "./base.toml"]
//	[params.NAME]                      type = string|secret|directory|file|port|choice
//	                                   many, default, description, pattern, choices,
//	                                   env = "NAME": the variable that gives it where --set does not
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
//	[client]                           sampling, elicitation, roots, logging: what of the client's the server may use
//	[limits]                           memory, processes, open-files, file-size, cpu, cpu-time, tmp, tmp-files,
//	                                   connections, connection-rate; each may be "unlimited"
//	[process]                          pty
//	[wire]                             max-line, finish, grace
//	[log]                              arguments, files, on-error = stop|continue
//	[install]                          scripts, build, min-age, python
//	[require]                          layers = limits (more than the default), without = namespaces|landlock|seccomp|mediation
package policy

import (
	"fmt"
	"time"
)

// Pos is where in a profile something was written. The zero Pos means "not
// written anywhere": a default.
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
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Policy is what a profile means on this machine. Every path in it is absolute
// and clean, every parameter is filled in, every inherited value is folded in.
// A Policy that Resolve returned without mistakes is valid as a whole: nothing
// after it checks it again.
type Policy struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Sources     []Source `json:"sources,omitempty"` // the profile first, then what it extends, outermost last

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

	// Bounds are what each baseline says of paths and sockets. The names are within
	// them; what the names lead to is for whoever follows symlinks to compare.
	Bounds []Bounds `json:"bounds,omitempty"`
	Given  []Given  `json:"given,omitempty"` // what was filled in, for who asks if a definition depends on it
}

// Unguarded is the policy with nothing between the server's words and its client: no
// definition is hidden, held or kept, and the server may ask the client nothing. What
// the server is given of this machine stays as it is. It is for a client that is mcpen
// itself, and asks what the server says to models.
func (p Policy) Unguarded() Policy {
	p.Tools = Tools{Pins: PinOff, Findings: FindingWarn, Results: TextPass}
	p.Prompts, p.Resources, p.Client = Filter{}, Filter{}, Client{}
	return p
}

// Bounds is what a baseline says of paths and sockets. A nil list bounds nothing,
// one that is empty allows nothing.
type Bounds struct {
	Read      []Path   `json:"read"` // what it lists to be written included
	Write     []Path   `json:"write"`
	Unprotect []Path   `json:"unprotect"`
	Connect   []Socket `json:"connect"`
}

// Source is one profile file that had a say.
type Source struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

// Server says what is started: a command, or a package whose entry point is
// looked up in the lock. At most one of Command and Package is set; both are
// empty in a profile that is only meant to be extended or used with "--".
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

// Name is a name that is protected below every writable folder: a base name, or a
// few joined by slashes. "*" stands for any run of characters in one of them.
type Name struct {
	Name string `json:"name"`
	At   Pos    `json:"at"`
}

// Filesystem lists what the server may see. Deny wins over Read and Write
// whatever the order, and denies everything below it.
type Filesystem struct {
	Read  []Path `json:"read,omitempty"`
	Write []Path `json:"write,omitempty"`
	Deny  []Path `json:"deny,omitempty"`
	// Unprotect names protected places (".git", ".vscode", …) below a writable
	// folder that the profile makes writable on purpose.
	// In it "*" stands for any run of characters of one element, "**" for any elements.
	Unprotect []Path `json:"unprotect,omitempty"`
	// Protect adds to the names that are protected.
	Protect []Name `json:"protect,omitempty"`
}

// Network lists what the server may connect to, and nothing else is reachable.
type Network struct {
	Allow []Host `json:"allow,omitempty"`
	// Listen names fixed TCP ports of the sandbox's own loopback on which the
	// server talks to itself. Ports that the kernel picks need no rule. Nothing
	// outside the sandbox can reach either.
	Listen []Port `json:"listen,omitempty"`
	// Proxy is the way out to what Allow names.
	Proxy Proxy `json:"proxy,omitzero"`
}

// Port is a TCP port with its position.
type Port struct {
	Port uint16 `json:"port"`
	At   Pos    `json:"at"`
}

// HostKind tells the four things a network rule can name.
type HostKind string

// The kinds of network rules. The empty kind matches nothing.
const (
	HostName     HostKind = "name"     // an exact name: Name
	HostWildcard HostKind = "wildcard" // "*." and a suffix: Name holds the suffix without "*."
	HostCIDR     HostKind = "cidr"     // an address or network, only as itself: Name holds the canonical CIDR
	HostLocal    HostKind = "local"    // one port of the host's own loopback
	// HostAny is every public host. No profile can say it.
	HostAny HostKind = "any"
)

// Host is one rule of network.allow. Names are lower case, in ASCII (punycode),
// without a trailing dot.
type Host struct {
	Kind    HostKind `json:"kind"`
	Name    string   `json:"name"`
	First   uint16   `json:"first"`             // first port
	Last    uint16   `json:"last"`              // last port, at least First
	TLS     TLS      `json:"tls,omitempty"`     // of names alone
	Private bool     `json:"private,omitempty"` // the name may lead to a private address
	At      Pos      `json:"at"`
}

// TLS says where a rule for a name looks for the name in a TLS ClientHello. What
// is none of the words, the empty one included, is TLSAlways.
type TLS string

// The words.
const (
	// TLSAlways lets nothing but TLS with the name pass, on every port of the rule.
	TLSAlways TLS = "always"
	// TLSUsual does so on port 443. On any other port a client may speak what it
	// likes; where it speaks TLS, it must name the name.
	TLSUsual TLS = "usual"
	// TLSNever looks at nothing: for a client that sends no name, or another.
	TLSNever TLS = "never"
)

// Demanded reports whether on the port nothing but TLS with the rule's name
// passes.
func (h Host) Demanded(port uint16) bool { return h.strictness(port) == 2 }

// Checked reports whether on the port a client that speaks TLS must name the
// rule's name.
func (h Host) Checked(port uint16) bool { return h.strictness(port) >= 1 }

// strictness compares rules for names: the higher, the less passes on the port.
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
	// Override holds the words with which the profile insists on a socket that
	// is the host itself (docker, D-Bus, …); empty otherwise.
	Override string `json:"override,omitempty"`
	At       Pos    `json:"at"`
}

// Env is the server's environment: empty but for this.
type Env struct {
	Pass   []EnvName    `json:"pass,omitempty"` // taken from mcpen's own environment where set
	Set    []EnvValue   `json:"set,omitempty"`
	Secret []SecretFrom `json:"secret,omitempty"`
}

// EnvName is the name of a variable.
type EnvName struct {
	Name string `json:"name"`
	At   Pos    `json:"at"`
}

// EnvValue is a variable with a value that may be shown.
type EnvValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	At    Pos    `json:"at"`
}

// SecretFrom is a variable whose value is fetched when the server starts and
// never shown. From is a reference ("env:NAME", "?env:NAME", "file:/path", "command:ARGV…",
// "keyring:SERVICE/NAME"), never the value.
type SecretFrom struct {
	Name string `json:"name"`
	From string `json:"from"`
	At   Pos    `json:"at"`
}

// PinMode says what happens to definitions that nobody approved.
type PinMode string

// The pin modes; "" is never in a resolved Policy.
const (
	PinFirstUse PinMode = "first-use" // what is seen first passes, what changes or appears later waits for review; the default
	PinEnforce  PinMode = "enforce"   // new and changed definitions wait for review
	PinWarn     PinMode = "warn"      // they pass and are reported
	PinOff      PinMode = "off"
)

// FindingMode says what happens to a text with findings.
type FindingMode string

// The finding modes.
const (
	FindingWarn FindingMode = "warn"
	FindingHold FindingMode = "hold"
)

// TextMode says what happens to invisible characters and escape sequences in
// results.
type TextMode string

// The text modes.
const (
	TextPass  TextMode = "pass"
	TextShow  TextMode = "show"  // made visible
	TextStrip TextMode = "strip" // removed
)

// Tools says which tools exist for the client.
type Tools struct {
	Filter
	Pins     PinMode     `json:"pins"`
	Except   []Glob      `json:"pins_except,omitempty"` // names whose definitions may change without a review
	Findings FindingMode `json:"findings"`
	Results  TextMode    `json:"results"`
	Validate bool        `json:"validate,omitempty"` // calls are checked against the server's own inputSchema
	Rules    []ToolRule  `json:"rules,omitempty"`
}

// Filter is a pair of glob lists over names. Without an Allow list every name is
// allowed that Deny does not match, unless Nothing is set; Deny wins.
type Filter struct {
	Allow []Glob `json:"allow,omitempty"`
	Deny  []Glob `json:"deny,omitempty"`
	// Nothing is where an empty list of what is allowed was written: no name is
	// allowed. The zero Pos: no such list was written.
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

// Limits bounds what the server may use. Zero means the default that Resolve
// filled in was switched off in words ("unlimited").
type Limits struct {
	Memory    Size          `json:"memory"`     // bytes, whole tree
	Processes int           `json:"processes"`  // processes and threads, whole tree
	OpenFiles int           `json:"open_files"` // descriptors of one process
	FileSize  Size          `json:"file_size"`  // bytes of one file
	CPU       float64       `json:"cpu"`        // cores
	CPUTime   time.Duration `json:"cpu_time"`   // processor time of one process
	Tmp       Size          `json:"tmp"`        // bytes of each private tmpfs
	TmpFiles  int           `json:"tmp_files"`  // inodes of each private tmpfs

	// Of the network; beyond them connections wait.
	Connections int `json:"connections"`     // open at once
	PerSecond   int `json:"connection_rate"` // new ones a second, after a burst of twice as many
}

// Size is a number of bytes.
type Size int64

// Process is what a server is given beside files.
type Process struct {
	PTY bool `json:"pty,omitempty"` // it may open terminals of its own
	At  Pos  `json:"at,omitzero"`
}

// Wire bounds and names what the relay does with odd lines.
type Wire struct {
	MaxLine Size          `json:"max_line"` // longest line in either direction
	Finish  time.Duration `json:"finish"`   // what answers, and the client's reading of them, may take once one side ended
	Grace   time.Duration `json:"grace"`    // what the server gets after its stdin closed, before SIGTERM; anew with each line
	Rush    time.Duration `json:"rush"`     // what it gets after SIGTERM, where a signal ends the run: Grace, where a profile says it
}

// Log says what goes to the audit log.
type Log struct {
	Arguments bool   `json:"arguments,omitempty"` // tool arguments are written as they are, not redacted
	Files     bool   `json:"files,omitempty"`     // every open is observed and the refused ones logged; costs some µs an open
	OnError   string `json:"on_error"`            // "stop" or "continue" when the log cannot be written
}

// Install says how a package may be installed.
type Install struct {
	Scripts []string      `json:"scripts,omitempty"` // npm packages whose lifecycle scripts run, in the install sandbox
	Build   []string      `json:"build,omitempty"`   // PyPI packages that may be built from source, in the install sandbox; normalized (PEP 503)
	MinAge  time.Duration `json:"min_age"`           // younger versions are refused
	Python  string        `json:"python,omitempty"`  // such as "3.13"; "" for the machine's python3
}

// Layer is one mechanism that holds the boundary.
type Layer string

// The layers.
const (
	LayerNamespaces Layer = "namespaces"
	LayerLandlock   Layer = "landlock"
	LayerSeccomp    Layer = "seccomp"
	LayerLimits     Layer = "limits"
	// LayerMediation makes the changes in the user's folders for the server, which
	// sees them read-only, and connects its unix sockets.
	LayerMediation Layer = "mediation"
)

// Require lists the layers without which nothing starts: namespaces, landlock,
// seccomp and mediation, and what a profile adds to them.
type Require struct {
	Layers []Layer `json:"layers"`
	At     Pos     `json:"at"`
	// Without lists the layers that the profile or the command line goes without in
	// words. None of them is in Layers.
	Without []Without `json:"without,omitempty"`
}

// Without is a layer that is not enforced because somebody said so.
type Without struct {
	Layer Layer `json:"layer"`
	At    Pos   `json:"at"` // zero: the command line
}
