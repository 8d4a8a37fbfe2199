package clients

import (
	"path"
	"slices"
	"strings"
)

// State says whether an entry can be wrapped, and if not, why.
type State string

// The states. Only Open entries are offered to be wrapped.
const (
	Open     State = "open"     // a command of this machine, not in a pen
	Wrapped  State = "wrapped"  // mcpen starts it; its former command follows "--"
	Own      State = "own"      // mcpen starts it by name: there is no other command
	Remote   State = "remote"   // reached over HTTP
	Disabled State = "disabled" // the client does not start it
	Asks     State = "asks"     // the client asks the person for a part of it: ${input:…}
	Foreign  State = "foreign"  // something else confines it: a container, the client's own sandbox
	Odd      State = "odd"      // it starts nothing that mcpen can wrap
)

// Var is a variable that an entry sets.
type Var struct {
	Name  string
	Value string

	at *node
}

// Entry is one server in a file.
type Entry struct {
	Server  string
	Scope   string // of Claude Code's local servers, the project; else ""
	Command []string
	Env     []Var
	Names   []string // variables that the client passes on by name
	EnvFile string   // a file of variables that the client reads
	State   State
	Why     string // a few words to the state

	words []string // of a wrapped entry: mcpen's own, up to and with "--"
	at    place
}

// Inner is the command that a wrapped entry had, and Command that of any other one.
func (e Entry) Inner() []string {
	if e.State == Wrapped {
		return e.Command[len(e.words)+1:]
	}
	return e.Command
}

// Options are the words between "run" and "--" of a wrapped entry.
func (e Entry) Options() []string {
	if len(e.words) < 2 {
		return nil
	}
	return e.words[1 : len(e.words)-1]
}

// Starter is the program that a wrapped entry starts: mcpen, wherever it was.
func (e Entry) Starter() string {
	if e.State != Wrapped && e.State != Own {
		return ""
	}
	return e.Command[0]
}

// place is where an entry's command and arguments stand.
type place struct {
	in      *node   // the object that has them
	command *member // its value is a string, or a list that is the whole command
	args    *member // nil if it has none, or the command is a list
	argsKey string  // their key; "" if the command is a list
}

// shape says how a client writes its servers.
type shape struct {
	at      []string // the keys that lead to them; "*" is any key, which is the scope
	list    bool     // they are a list whose items have names, instead of an object
	command string   // "command" where empty
	args    string   // "args" where empty
	env     string   // "env" where empty
	whole   bool     // the command is a list with the arguments in it
	nested  bool     // the command may be an object {path, args, env}

	with [][2]string // further keys of a new server and their JSON
}

func (s shape) keys() (command, args, env string) {
	or := func(a, b string) string {
		if a == "" {
			return b
		}
		return a
	}
	return or(s.command, "command"), or(s.args, "args"), or(s.env, "env")
}

// entries are the servers of a tree.
func (s shape) entries(root *node) []Entry {
	var out []Entry
	s.walk(root, s.at, "", func(servers *node, scope string) {
		for _, m := range servers.members {
			if !s.list {
				out = append(out, s.entry(m.key, scope, m.value))
			}
		}
		for _, item := range servers.items {
			if name := item.get("name"); s.list && name != nil {
				out = append(out, s.entry(name.text, scope, item))
			}
		}
	})
	return out
}

func (s shape) walk(n *node, at []string, scope string, found func(*node, string)) {
	switch {
	case n == nil:
	case len(at) == 0:
		found(n, scope)
	case at[0] == "*":
		for _, m := range n.members {
			s.walk(m.value, at[1:], m.key, found)
		}
	default:
		s.walk(n.get(at[0]), at[1:], scope, found)
	}
}

func (s shape) entry(name, scope string, n *node) Entry {
	e := Entry{Server: name, Scope: scope}
	if n.kind != kindObject {
		e.State, e.Why = Odd, "it is no table of settings"
		return e
	}
	commandKey, argsKey, envKey := s.keys()
	in := n
	if c := n.get(commandKey); s.nested && c != nil && c.kind == kindObject {
		in, commandKey = c, "path"
	}
	e.at = place{in: in, command: in.member(commandKey)}
	if !s.whole {
		e.at.args, e.at.argsKey = in.member(argsKey), argsKey
	}
	e.env(in.get(envKey))
	e.names(n)
	e.State, e.Why = e.state(n)
	return e
}

// env reads the variables that an entry sets.
func (e *Entry) env(n *node) {
	if n == nil {
		return
	}
	for _, m := range n.members {
		if m.value.kind == kindText || m.value.kind == kindOther {
			e.Env = append(e.Env, Var{m.key, m.value.text, m.value})
		}
	}
}

// names reads the variables that an entry passes on: Codex's env_vars, Goose's env_keys.
func (e *Entry) names(n *node) {
	for _, key := range []string{"env_vars", "env_keys"} {
		list := n.get(key)
		if list == nil {
			continue
		}
		for _, item := range list.items {
			if item.kind == kindObject {
				item = item.get("name")
			}
			if item != nil && item.kind == kindText {
				e.Names = append(e.Names, item.text)
			}
		}
	}
	if file := n.get("envFile"); file != nil {
		e.EnvFile = file.text
	}
}

var (
	remoteKeys  = []string{"url", "httpUrl", "serverUrl", "uri"}
	remoteKinds = []string{"http", "sse", "streamable-http", "streamable_http", "streamableHttp", "remote", "ws"}
)

// state reads the command and classifies the entry.
func (e *Entry) state(n *node) (State, string) {
	kind := n.get("type")
	switch {
	case kind != nil && slices.Contains(remoteKinds, kind.text):
		return Remote, "over HTTP"
	case e.at.command == nil && slices.ContainsFunc(remoteKeys, func(key string) bool { return n.get(key) != nil }):
		return Remote, "over HTTP"
	case kind != nil && kind.kind == kindText && !slices.Contains([]string{"stdio", "local", ""}, kind.text):
		return Odd, "its client starts it by itself: " + kind.text
	case e.at.command == nil:
		return Odd, "it names no command"
	}
	if why := e.read(); why != "" {
		return Odd, why
	}
	if i := slices.IndexFunc(e.asked(), func(s string) bool { return strings.Contains(s, "${input:") }); i >= 0 && !isMcpen(e.Command) {
		return Asks, "the client asks for a part of it: ${input:…}"
	}
	return e.judge(n)
}

// asked lists the texts into which a client inserts a person's answers.
func (e *Entry) asked() []string {
	out := slices.Clone(e.Command)
	for _, v := range e.Env {
		out = append(out, v.Value)
	}
	return out
}

// read fills in the command.
func (e *Entry) read() (why string) {
	c := e.at.command.value
	if e.at.argsKey == "" {
		list, ok := c.texts()
		if !ok || len(list) == 0 {
			return "its command is no list of words"
		}
		e.Command = list
		return ""
	}
	if c.kind != kindText || strings.TrimSpace(c.text) == "" {
		return "its command is no text"
	}
	e.Command = []string{c.text}
	if e.at.args == nil {
		return ""
	}
	args, ok := e.at.args.value.texts()
	if !ok {
		return "its arguments are no list of words"
	}
	e.Command = append(e.Command, args...)
	return ""
}

// judge tells the entries that have a command apart.
func (e *Entry) judge(n *node) (State, string) {
	if isMcpen(e.Command) {
		for i, w := range e.Command[1:] {
			if w == "--" && i+2 < len(e.Command) {
				e.words = e.Command[1 : i+2]
				return Wrapped, ""
			}
		}
		return Own, "mcpen starts it by its name"
	}
	off := func(key, text string) bool {
		v := n.get(key)
		return v != nil && v.kind == kindOther && v.text == text
	}
	switch tool := strings.ToLower(path.Base(e.Command[0])); {
	case off("disabled", "true"), off("enabled", "false"):
		return Disabled, "the client does not start it"
	case off("sandboxEnabled", "true"):
		return Foreign, "the client's own sandbox holds it"
	case (tool == "docker" || tool == "podman") && slices.Contains(e.Command[1:], "run"):
		return Foreign, "a container holds it"
	case tool == "flatpak-spawn":
		return Foreign, "it is started from inside a Flatpak"
	case tool == "cmd" || tool == "cmd.exe":
		return Odd, "it is a command of Windows"
	case strings.ContainsAny(e.Command[0], " \t\n") && !strings.HasPrefix(e.Command[0], "/"):
		return Odd, "its command is a line for a shell"
	}
	return Open, ""
}

// isMcpen reports whether a command is "mcpen run …".
func isMcpen(command []string) bool {
	return len(command) > 1 && path.Base(command[0]) == "mcpen" && command[1] == "run"
}
