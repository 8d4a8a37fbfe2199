package policy

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Profile is a parsed profile, with the extended profiles folded in and the parameters
// still open. Only Parse makes one. It never changes afterwards, so several goroutines
// may resolve it at once.
type Profile struct {
	Name        string // as written, or else the file's name without ".toml"
	Description string
	Sources     []Source // this file first, then the files it extends
	Params      []Param

	body body
}

// body is the content of one file, or of several folded into one. Strings in it may
// still hold "${name}".
type body struct {
	command list[word]
	pkg     opt[string]
	args    list[word]
	dir     opt[string]

	read, write, deny, unprotect, protect list[word]

	allow   list[hostRule]
	listen  list[opt[uint16]]
	proxy   opt[string]
	connect list[socketRule]

	env []variable

	tools, prompts, resources filter
	pins                      opt[PinMode]
	except                    list[word]
	client                    client
	findings                  opt[FindingMode]
	results                   opt[TextMode]
	validate                  opt[bool]
	rules                     []ToolRule

	memory, fileSize, tmp          opt[Size]
	processes, openFiles, tmpFiles opt[int]
	connections, perSecond         opt[int]
	cpu                            opt[float64]
	cpuTime                        opt[time.Duration]

	pty           opt[bool]
	maxLine       opt[Size]
	finish, grace opt[time.Duration]

	arguments, files opt[bool]
	onError          opt[string]

	scripts list[word]
	build   list[word]
	minAge  opt[time.Duration]
	python  opt[string]

	layers, without list[opt[Layer]]

	envTables map[envKind]Pos // the keys of env that the profile has, for a baseline
}

// hostRule is one element of network.allow.
type hostRule struct {
	word
	tls     opt[bool]
	private opt[bool]
}

// socketRule is one element of sockets.connect.
type socketRule struct {
	word
	override opt[string]
}

// envKind is the source of a variable's value.
type envKind string

const (
	envPass   envKind = "pass"
	envSet    envKind = "set"
	envSecret envKind = "secret"
)

// variable is one variable of the server's environment.
type variable struct {
	name  string
	kind  envKind
	value word
}

type filter struct{ allow, deny list[word] }

func readBody(t *table) body {
	b := body{}
	readServer(&b, t.table("server"))
	readFilesystem(&b, t.table("filesystem"))
	readNetwork(&b, t.table("network"))
	readSockets(&b, t.table("sockets"))
	readEnv(&b, t.table("env"))
	readTools(&b, t.table("tools"))
	b.prompts = readFilter(t.table("prompts"))
	b.resources = readFilter(t.table("resources"))
	b.client = readClient(t.table("client"))
	readLimits(&b, t.table("limits"))
	readRest(&b, t)
	return b
}

func readServer(b *body, t *table) {
	b.command = argv(t, "command")
	b.pkg = read(t, "package", asPackage)
	b.args = argv(t, "args")
	b.dir = read(t, "dir", asString)
	t.done()
	switch {
	case b.command.set && b.pkg.set:
		t.doc.add(b.pkg.at, b.pkg.key, "", "server.command is there too: a server is one or the other")
	case isEmpty(t.vals["command"]):
		t.doc.add(b.command.at, t.key+".command", "", "names no program")
	}
}

func isEmpty(v any) bool {
	list, ok := v.([]any)
	return ok && len(list) == 0
}

func readFilesystem(b *body, t *table) {
	b.read = words(t, "read", asString)
	b.write = words(t, "write", asString)
	b.deny = words(t, "deny", asString)
	b.unprotect = words(t, "unprotect", asString)
	b.protect = words(t, "protect", asString)
	t.done()
}

func readNetwork(b *body, t *table) {
	seen := make(map[string]bool)
	b.allow = each(t, "allow", func(v value) (hostRule, bool) {
		r := hostRule{word: word{key: v.key, at: v.at()}}
		if s, ok := v.v.(string); ok {
			r.text = s
		} else if _, ok := v.v.(map[string]any); ok {
			sub := v.table()
			host := read(sub, "host", asString)
			r.tls, r.private = read(sub, "tls", asBool), read(sub, "private", asBool)
			sub.done()
			if _, ok := sub.vals["host"]; !ok {
				v.bad(faultf(`host = "name:443"`, "has no host"))
			}
			r.text = host.v
		} else {
			v.bad(faultf("", "%s is neither a host and port nor a table", describe(v.v)))
		}
		if r.text != "" && seen[r.text] {
			v.bad(faultf("", "%s is there twice", quote(r.text)))
			return r, false
		}
		seen[r.text] = true
		if _, ok := v.v.(string); ok {
			return r, true
		}
		return r, r.text != ""
	})
	b.listen = each(t, "listen", func(v value) (opt[uint16], bool) {
		n, err := asPort(v.v)
		if err != nil {
			v.bad(err)
		}
		return opt[uint16]{n, v.key, v.at(), true}, err == nil
	})
	b.proxy = read(t, "proxy", asProxy)
	t.done()
}

func readSockets(b *body, t *table) {
	b.connect = each(t, "connect", func(v value) (socketRule, bool) {
		r := socketRule{word: word{key: v.key, at: v.at()}}
		switch x := v.v.(type) {
		case string:
			r.text = x
			return r, true
		case map[string]any:
			sub := v.table()
			path := read(sub, "path", asString)
			r.override = read(sub, "override", oneOf(Override))
			sub.done()
			if _, ok := sub.vals["path"]; !ok {
				v.bad(faultf(`path = "/run/app.sock"`, "has no path"))
			}
			r.text = path.v
			_, overrides := sub.vals["override"]
			return r, path.set && overrides == r.override.set
		}
		v.bad(faultf("", "%s is neither a path nor a table", describe(v.v)))
		return r, false
	})
	t.done()
}

func readEnv(b *body, t *table) {
	b.envTables = make(map[envKind]Pos)
	kinds := make(map[string]envKind)
	add := func(kind envKind, name string, w word) {
		if was, ok := kinds[name]; ok {
			t.doc.add(w.at, w.key, "", "%s is in env.%s too", quote(name), was)
			return
		}
		kinds[name] = kind
		b.env = append(b.env, variable{name, kind, w})
	}
	pass := words(t, "pass", asEnvName)
	if pass.set {
		b.envTables[envPass] = pass.at
	}
	for _, w := range pass.items {
		add(envPass, w.text, w)
	}
	for _, kind := range []envKind{envSet, envSecret} {
		sub := t.table(string(kind))
		if sub.wrote {
			b.envTables[kind] = sub.at()
		}
		for _, name := range sub.names() {
			v, _ := sub.get(name)
			if _, err := asEnvName(name); err != nil {
				t.doc.fault(t.doc.lines.pos(v.node.Key), v.key, err)
				continue
			}
			s, ok := v.v.(string)
			if !ok {
				v.bad(faultf("", "the value is not a string")) // and not shown: it may be a secret
				continue
			}
			add(kind, name, word{s, v.key, v.at()})
		}
	}
	t.done()
}

func readFilter(t *table) filter {
	f := filter{allow: words(t, "allow", asGlob), deny: words(t, "deny", asGlob)}
	t.done()
	return f
}

func readTools(b *body, t *table) {
	b.pins = read(t, "pins", oneOf(PinFirstUse, PinEnforce, PinWarn, PinOff))
	b.except = words(t, "pins-except", asGlob)
	b.findings = read(t, "findings", oneOf(FindingWarn, FindingHold))
	b.results = read(t, "results", oneOf(TextPass, TextShow, TextStrip))
	b.validate = read(t, "validate", asBool)
	rules := t.table("rule")
	names := rules.names()
	if len(names) > maxRules {
		t.doc.add(rules.at(), rules.key, "", "%d rules are too many (want %d at most)", len(names), maxRules)
		names = nil
	}
	for _, name := range names {
		v, _ := rules.get(name)
		if r, ok := readRule(v, name); ok {
			b.rules = append(b.rules, r)
		}
	}
	b.tools = readFilter(t) // the last: it reports unknown keys
}

func readLimits(b *body, t *table) {
	size := sizeFrom(4096, math.MaxInt64, true)
	count := countFrom(1, math.MaxInt32, true)
	b.memory = read(t, "memory", sizeFrom(1<<20, math.MaxInt64, true))
	b.processes = read(t, "processes", count)
	b.openFiles = read(t, "open-files", countFrom(16, 1<<20, true))
	b.fileSize = read(t, "file-size", size)
	b.cpu = read(t, "cpu", asCores)
	b.cpuTime = read(t, "cpu-time", durationFrom(time.Second, math.MaxInt64, true))
	b.tmp = read(t, "tmp", size)
	b.tmpFiles = read(t, "tmp-files", countFrom(16, math.MaxInt32, true))
	b.connections = read(t, "connections", countFrom(1, 1<<16, true))
	b.perSecond = read(t, "connection-rate", countFrom(1, 1e6, true))
	t.done()
}

// readRest reads [process], [wire], [log], [install] and [require].
func readRest(b *body, t *table) {
	process := t.table("process")
	b.pty = read(process, "pty", asBool)
	process.done()

	wire := t.table("wire")
	b.maxLine = read(wire, "max-line", sizeFrom(64<<10, 1<<30, false))
	b.finish = read(wire, "finish", durationFrom(0, 24*time.Hour, false))
	b.grace = read(wire, "grace", durationFrom(0, 10*time.Minute, false))
	wire.done()

	log := t.table("log")
	b.arguments = read(log, "arguments", asBool)
	b.files = read(log, "files", asBool)
	b.onError = read(log, "on-error", oneOf(OnErrorStop, OnErrorContinue))
	log.done()

	install := t.table("install")
	b.scripts = words(install, "scripts", asScript)
	b.build = words(install, "build", asBuild)
	b.minAge = read(install, "min-age", durationFrom(0, math.MaxInt64, false))
	b.python = read(install, "python", asPython)
	install.done()

	readRequire(b, t.table("require"))
}

// readRequire reads [require]. A layer may stand in one of its two lists only, and
// once.
func readRequire(b *body, t *table) {
	seen := make(map[Layer]string)
	layers := func(key string, known ...Layer) list[opt[Layer]] {
		return each(t, key, func(v value) (opt[Layer], bool) {
			l, err := oneOf(known...)(v.v)
			switch was, again := seen[l]; {
			case err != nil:
			case again && was == key:
				err = faultf("", "%s is there twice", quote(string(l)))
			case again:
				err = faultf("", "%s is in require.%s too", quote(string(l)), was)
			}
			if err != nil {
				v.bad(err)
			}
			seen[l] = key
			return opt[Layer]{l, v.key, v.at(), true}, err == nil
		})
	}
	b.layers = layers("layers", append(DefaultLayers(), LayerLimits)...)
	b.without = layers("without", DefaultLayers()...)
	t.done()
}

// asPython reads the minor version of a Python, such as "3.13".
func asPython(v any) (string, error) {
	s, err := asString(v)
	if err == nil && !pythonVersion().MatchString(s) {
		return "", faultf("", "%s is no minor version of Python (want \"3.13\" or the like)", quote(s))
	}
	return s, err
}

// asScript reads the name of a package whose lifecycle scripts may run.
func asScript(v any) (string, error) {
	s, err := asString(v)
	if err == nil && (!npmName().MatchString(s) || len(s) > 214) {
		return "", faultf("", "%s is not the name of a package", quote(s))
	}
	return s, err
}

// asBuild reads the name of a PyPI package that may be built from source, as an
// index knows it (PEP 503).
func asBuild(v any) (string, error) {
	s, err := asString(v)
	if err == nil && (!pypiName().MatchString(s) || len(s) > 214) {
		return "", faultf("", "%s is not the name of a PyPI package", quote(s))
	}
	return strings.ToLower(pypiSeparator().ReplaceAllString(s, "-")), err
}

// fold applies a child's settings to the inherited ones. Parse documents the rules.
func (b *body) fold(c body) {
	b.foldServer(c)
	b.read.extend(c.read)
	b.write.extend(c.write)
	b.deny.extend(c.deny)
	b.unprotect.extend(c.unprotect)
	b.protect.extend(c.protect)
	b.allow.extend(c.allow)
	b.listen.extend(c.listen)
	b.proxy.over(c.proxy)
	b.connect.extend(c.connect)
	b.foldEnv(c)
	b.tools.extend(c.tools)
	b.prompts.extend(c.prompts)
	b.resources.extend(c.resources)
	b.foldRules(c.rules)
	b.scripts.extend(c.scripts)
	b.build.extend(c.build)
	b.foldRequire(c)
	b.foldValues(c)
}

// foldRequire lets the child override its parents: the child may go without a layer
// that they require, or require one that they go without.
func (b *body) foldRequire(c body) {
	except(&b.layers, c.without)
	except(&b.without, c.layers)
	b.layers.extend(c.layers)
	b.without.extend(c.without)
}

func (b *body) foldServer(c body) {
	if c.command.set || c.pkg.set {
		b.command, b.pkg, b.args = c.command, c.pkg, c.args
	} else {
		b.args.extend(c.args)
	}
	b.dir.over(c.dir)
}

func (f *filter) extend(c filter) {
	f.allow.extend(c.allow)
	f.deny.extend(c.deny)
}

func (b *body) foldEnv(c body) {
	own := make(map[string]bool, len(c.env))
	for _, v := range c.env {
		own[v.name] = true
	}
	b.env = slices.DeleteFunc(slices.Clone(b.env), func(v variable) bool { return own[v.name] })
	b.env = append(b.env, c.env...)
	if b.envTables == nil {
		b.envTables = make(map[envKind]Pos)
	}
	for kind, at := range c.envTables {
		b.envTables[kind] = at
	}
}

func (b *body) foldRules(rules []ToolRule) {
	own := make(map[string]bool, len(rules))
	for _, r := range rules {
		own[r.Tool] = true
	}
	b.rules = slices.DeleteFunc(slices.Clone(b.rules), func(r ToolRule) bool { return own[r.Tool] })
	b.rules = append(b.rules, rules...)
}

func (b *body) foldValues(c body) {
	b.pins.over(c.pins)
	b.except.extend(c.except)
	b.client.fold(c.client)
	b.findings.over(c.findings)
	b.results.over(c.results)
	b.validate.over(c.validate)
	b.memory.over(c.memory)
	b.processes.over(c.processes)
	b.openFiles.over(c.openFiles)
	b.fileSize.over(c.fileSize)
	b.cpu.over(c.cpu)
	b.cpuTime.over(c.cpuTime)
	b.tmp.over(c.tmp)
	b.tmpFiles.over(c.tmpFiles)
	b.pty.over(c.pty)
	b.connections.over(c.connections)
	b.perSecond.over(c.perSecond)
	b.maxLine.over(c.maxLine)
	b.finish.over(c.finish)
	b.grace.over(c.grace)
	b.arguments.over(c.arguments)
	b.files.over(c.files)
	b.onError.over(c.onError)
	b.minAge.over(c.minAge)
	b.python.over(c.python)
}

func foldParams(inherited, own []Param) []Param {
	again := make(map[string]bool, len(own))
	for _, p := range own {
		again[p.Name] = true
	}
	out := slices.DeleteFunc(slices.Clone(inherited), func(p Param) bool { return again[p.Name] })
	return append(out, own...)
}

// except removes another list's layers from l.
func except(l *list[opt[Layer]], other list[opt[Layer]]) {
	l.items = slices.DeleteFunc(slices.Clone(l.items), func(o opt[Layer]) bool {
		return slices.ContainsFunc(other.items, func(c opt[Layer]) bool { return c.v == o.v })
	})
}
