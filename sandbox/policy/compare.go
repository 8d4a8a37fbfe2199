package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Change is one difference between two profiles.
type Change struct {
	Key   string // "network.allow"
	Text  string // as written
	Added bool   // only the second profile has it; else only the first
	Wider bool   // the server may do more because of it
	At    Pos    // its position; the zero Pos for a default
}

// Compare lists the differences between two profiles, with extended profiles folded in
// and before parameters get values. A change that is not Wider is narrower, or does not
// affect the server's rights: its arguments, a variable that is set. Another program is
// wider.
func Compare(a, b *Profile) []Change {
	var out []Change
	was, is := factsOf(a), factsOf(b)
	for _, f := range was {
		if !is.has(f) {
			out = append(out, Change{Key: f.key, Text: f.text, At: f.at, Wider: f.kind == refusal || f.kind == only && !is.lists(f.key)})
		}
	}
	for _, f := range is {
		if !was.has(f) {
			out = append(out, Change{Key: f.key, Text: f.text, Added: true, At: f.at, Wider: f.kind == grant || f.kind == only && was.lists(f.key)})
		}
	}
	before, after := settingsOf(a), settingsOf(b)
	for i, s := range before {
		if t := after[i]; s.text != t.text {
			out = append(out, Change{Key: s.key, Text: s.text}, Change{Key: t.key, Text: t.text, Added: true, Wider: t.rank > s.rank})
		}
	}
	slices.SortStableFunc(out, func(x, y Change) int { return cmp.Compare(x.Key, y.Key) })
	return out
}

// kind says how a fact affects the server's rights.
type kind int

const (
	neutral kind = iota
	grant        // the server may do more
	refusal      // it may do less
	only         // the server may do this, and nothing outside the list
)

// fact is one statement of a profile.
type fact struct {
	key, text string
	kind      kind
	at        Pos
}

type facts []fact

func (l facts) has(f fact) bool {
	return slices.ContainsFunc(l, func(g fact) bool { return g.key == f.key && g.text == f.text })
}

func (l facts) lists(key string) bool {
	return slices.ContainsFunc(l, func(g fact) bool { return g.key == key })
}

func factsOf(p *Profile) facts {
	b := p.body
	var out facts
	add := func(k kind, key, text string, at Pos) { out = append(out, fact{key, text, k, at}) }
	for _, s := range p.Said() {
		switch {
		case s.Key == "network.allow": // with its words, below
		case s.Key == "filesystem.deny":
			add(refusal, s.Key, s.Text, s.At)
		case s.Key == "server.args" || s.Key == "server.dir" || strings.HasPrefix(s.Key, "env.set."):
			add(neutral, s.Key, s.Text, s.At)
		default:
			add(grant, s.Key, s.Text, s.At)
		}
	}
	for _, w := range b.protect.items {
		add(refusal, "filesystem.protect", w.text, w.at)
	}
	for _, h := range b.allow.items {
		add(grant, "network.allow", h.said(), h.at)
	}
	if b.proxy.set { // whoever carries the connections sees them
		add(grant, "network.proxy", b.proxy.v, b.proxy.at)
	}
	for _, o := range b.listen.items {
		add(grant, "network.listen", portText(o.v), o.at)
	}
	for _, q := range p.Params {
		for _, v := range q.Default {
			add(grant, "params."+q.Name+".default", v, q.At)
		}
		if q.Pattern != "" {
			add(refusal, "params."+q.Name+".pattern", q.Pattern, q.At)
		}
	}
	for _, f := range []struct {
		key string
		filter
	}{{"tools", b.tools}, {"prompts", b.prompts}, {"resources", b.resources}} {
		out = append(out, f.facts(f.key)...)
	}
	for _, w := range b.except.items {
		add(grant, "tools.pins-except", w.text, w.at)
	}
	return append(out, ruleFacts(b.rules)...)
}

// said formats a host rule with its further settings.
func (h hostRule) said() string {
	text := h.text
	if h.private.v {
		text += ", private"
	}
	if h.tls.set {
		text += ", tls = " + strconv.FormatBool(h.tls.v)
	}
	return text
}

func (f filter) facts(key string) (out facts) {
	for _, w := range f.allow.items {
		out = append(out, fact{key + ".allow", w.text, only, w.at})
	}
	if f.allow.set && len(f.allow.items) == 0 {
		out = append(out, fact{key + ".allow", "nothing", only, f.allow.at})
	}
	for _, w := range f.deny.items {
		out = append(out, fact{key + ".deny", w.text, refusal, w.at})
	}
	return out
}

func ruleFacts(rules []ToolRule) (out facts) {
	for _, r := range rules {
		out = append(out, fact{"tools.rule." + r.Tool, fmt.Sprintf("%d a minute, %d at once, arguments %v", r.PerMinute, r.Concurrent, r.Schema), refusal, r.At})
	}
	return out
}

// setting is a value that every profile has, at least by default. The one with the
// higher rank lets the server do more.
type setting struct {
	key, text string
	rank      float64
}

func settingsOf(p *Profile) []setting {
	r := &resolver{ledger: &ledger{}, name: p.Name, sample: true, in: sampleInput()}
	pol := r.resolve(p)
	l := pol.Limits
	out := []setting{
		limit("limits.memory", int64(l.Memory)), limit("limits.processes", int64(l.Processes)), limit("limits.open-files", int64(l.OpenFiles)),
		limit("limits.file-size", int64(l.FileSize)), limit("limits.cpu-time", int64(l.CPUTime)), limit("limits.tmp", int64(l.Tmp)),
		limit("limits.tmp-files", int64(l.TmpFiles)), limit("limits.connections", int64(l.Connections)), limit("limits.connection-rate", int64(l.PerSecond)),
		{"limits.cpu", fmt.Sprint(l.CPU), unbounded(l.CPU)},
		ranked("tools.pins", pol.Tools.Pins, PinEnforce, PinFirstUse, PinWarn, PinOff),
		ranked("tools.findings", pol.Tools.Findings, FindingHold, FindingWarn),
		ranked("tools.results", pol.Tools.Results, TextStrip, TextShow, TextPass),
		ranked("tools.validate", pol.Tools.Validate, true, false),
		ranked("process.pty", pol.Process.PTY, false, true),
		ranked("client.sampling", pol.Client.Sampling, false, true), ranked("client.elicitation", pol.Client.Elicitation, false, true),
		ranked("client.roots", pol.Client.Roots, false, true), ranked("client.logging", pol.Client.Logging, false, true),
		ranked("log.on-error", pol.Log.OnError, OnErrorStop, OnErrorContinue),
		{"install.min-age", pol.Install.MinAge.String(), -float64(pol.Install.MinAge)},
		{"install.python", pol.Install.Python, 0},
		limit("wire.max-line", int64(pol.Wire.MaxLine)),
	}
	return append(out, ranked("require.limits", slices.Contains(pol.Require.Layers, LayerLimits), true, false))
}

// limit is a setting of [limits]; 0 means no limit.
func limit(key string, n int64) setting {
	text := strconv.FormatInt(n, 10)
	if n == 0 {
		text = noLimit
	}
	return setting{key, text, unbounded(float64(n))}
}

func unbounded(n float64) float64 {
	if n == 0 {
		return 1e300
	}
	return n
}

// ranked is a setting with a fixed set of words, listed from the narrowest.
func ranked[T comparable](key string, v T, narrow ...T) setting {
	return setting{key, fmt.Sprint(v), float64(slices.Index(narrow, v))}
}

// Said is one setting of a profile as written, before substitution.
type Said struct {
	Key  string // "filesystem.read", "env.secret.TOKEN"
	Text string
	At   Pos
	// Insists is set for a socket that is the host itself and that the profile wants
	// nevertheless.
	Insists bool
}

// Said lists the requests of the profile, with the extended ones folded in: the
// command, files, hosts, sockets, variables and layers to go without. It is for
// decisions about a profile before any part of it is resolved.
func (p *Profile) Said() []Said {
	b := p.body
	var out []Said
	add := func(key string, words ...word) {
		for _, w := range words {
			out = append(out, Said{Key: key, Text: w.text, At: w.at})
		}
	}
	add("server.command", b.command.items...)
	add("server.package", b.pkg.word()...)
	add("server.args", b.args.items...)
	add("server.dir", b.dir.word()...)
	for _, v := range b.env {
		add("env."+string(v.kind)+"."+v.name, v.value)
	}
	for _, q := range p.Params {
		if q.Env != "" {
			add("params."+q.Name+".env", word{q.Env, "", q.At})
		}
	}
	add("filesystem.write", b.write.items...)
	add("filesystem.unprotect", b.unprotect.items...)
	add("filesystem.read", b.read.items...)
	add("filesystem.deny", b.deny.items...)
	for _, h := range b.allow.items {
		add("network.allow", h.word)
	}
	for _, s := range b.connect.items {
		out = append(out, Said{Key: "sockets.connect", Text: s.text, At: s.at, Insists: s.override.v != ""})
	}
	add("install.scripts", b.scripts.items...)
	add("install.build", b.build.items...)
	for _, l := range b.without.items {
		out = append(out, Said{Key: "require.without", Text: string(l.v), At: l.at})
	}
	return slices.Clip(out)
}

// word returns a text setting as a list of at most one word.
func (o opt[T]) word() []word {
	if text, ok := any(o.v).(string); ok && o.set {
		return []word{{text, o.key, o.at}}
	}
	return nil
}

// Asks reports whether a parameter, or a builtin such as "workspace", appears in any
// request of the profile.
func (p *Profile) Asks(name string) bool {
	return slices.ContainsFunc(p.Said(), func(s Said) bool {
		segs, err := segments(s.Text)
		return err != nil || slices.ContainsFunc(segs, func(seg segment) bool { return seg.name == name })
	})
}

// Filter returns the profile's lists over the names of a table: tools, prompts or
// resources. Any other table has none.
func (p *Profile) Filter(table string) Filter {
	return map[string]filter{"tools": p.body.tools, "prompts": p.body.prompts, "resources": p.body.resources}[table].resolve()
}
