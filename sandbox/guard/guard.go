package guard

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// Config is the configuration of a Guard.
type Config struct {
	Server  string // the profile's name, for sentences and for a server whose own name nobody approved
	Tools   plan.Tools
	Pins    definition.Pins
	Others  []finding.Other        // definitions of the other locked servers
	More    func() []finding.Other // further ones, asked for when the first definition is looked at; may be nil
	Given   []policy.Given         // values that the server got, by name: a definition may hold them
	Secrets []plan.Opaque          // values of this run; those shorter than six bytes are not looked for

	// Saw is called when there is something new in Pins. It returns at once and calls
	// nothing of the Guard's; nil: nobody asks.
	Saw func()

	Args bool             // events carry the arguments of calls
	Now  func() time.Time // for rate limits; may be called at any time; nil: time.Now
}

// Ruling decides about a line. The zero Ruling passes nothing on.
type Ruling struct {
	Forward  []byte        // the line for the other side; the line itself where nothing is changed
	Reply    []byte        // a line to the sender
	ToClient [][]byte      // further lines to the client, before Reply
	Events   []audit.Event // Kind, Verdict, Subject, Detail, Rule, Hint and Request are filled in
	Warn     []string      // sentences for the person at the terminal, safe to print

	// Later is the rest of the ruling, if there is one: Events and Warn that change
	// nothing about the line and take long to find. Any goroutine calls it, once.
	Later func() Ruling

	asked []audit.Event // requests of the server, until bounded
}

// Guard decides about the lines of one server. Client and Server may be called
// by one goroutine each at the same time, everything else at any time.
type Guard struct {
	cfg     Config
	pinning policy.PinMode // of cfg, or the default
	hidden  bool           // results are rewritten in text mode
	mask    *masker
	rules   []*rule
	scan    func() *finding.Scanner // made when it is first needed
	limit   limit

	flight Requests // requests of the client that the server has not answered
	asked  Requests // requests of the server that the client has not answered

	forms atomic.Int64 // bytes of definitions that nobody decided about

	mu sync.Mutex // guards the fields below

	// Of the pins; seen has the definitions of this run.
	decided  map[definition.Exact]definition.State
	trusted  map[definition.Key][]definition.Definition // the guard compares others of the name with these
	approved map[definition.Key]bool
	refused  map[definition.Key]bool // some definition of this name was rejected
	pinned   map[definition.Key]bool // some definition of this name is in the pins
	turned   map[definition.Key]bool // the server was seen to define it in a way that may not be used
	pins     definition.Pins

	sights   map[definition.Kind]*sight
	lists    map[definition.Kind]*list
	seen     map[seenKey]sighting
	own      map[string]bool    // the server's tools by name, as far as it listed them; replaced, never written to
	schemas  map[string]*tested // of tools, by name, where calls are validated
	told     map[saying]bool
	offers   offers // services of the client that the server may ask for
	modern   bool   // the client speaks the era without initialize
	legacy   bool   // initialize was answered
	logging  bool   // the server declared that it logs
	level    string // the client's minimum level, "" for none
	messages int    // sent to the client's log by Message

	listedBytes, schemaBytes, ownBytes int
}

// New makes a Guard. An error says that the pins were tampered with, or that a
// rule's schema cannot be used.
func New(cfg Config) (*Guard, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	pinning := cmp.Or(cfg.Tools.Pins, policy.PinEnforce)
	switch pinning {
	case policy.PinFirstUse, policy.PinEnforce, policy.PinWarn, policy.PinOff:
	default:
		return nil, fmt.Errorf("%q is not a pin mode", cfg.Tools.Pins)
	}
	switch cfg.Tools.Results {
	case policy.TextShow, policy.TextStrip, policy.TextPass, "":
	default:
		return nil, fmt.Errorf("%q is not a mode for the text of results", cfg.Tools.Results)
	}
	switch cfg.Tools.Findings {
	case policy.FindingWarn, policy.FindingHold, "":
	default:
		return nil, fmt.Errorf("%q is not a mode for findings", cfg.Tools.Findings)
	}
	g := &Guard{
		cfg:     cfg,
		pinning: pinning,
		hidden:  cfg.Tools.Results == policy.TextShow || cfg.Tools.Results == policy.TextStrip,
		mask:    newMasker(cfg.Secrets),
		scan: sync.OnceValue(func() *finding.Scanner {
			others := cfg.Others
			if cfg.More != nil {
				others = slices.Concat(others, cfg.More())
			}
			return finding.NewScanner(others)
		}),
		lists:   map[definition.Kind]*list{},
		seen:    map[seenKey]sighting{},
		own:     map[string]bool{},
		schemas: map[string]*tested{},
		told:    map[saying]bool{},
		sights:  map[definition.Kind]*sight{},
	}
	for _, r := range cfg.Tools.Rules {
		compiled, err := newRule(r)
		if err != nil {
			return nil, err
		}
		g.rules = append(g.rules, compiled)
	}
	if err := g.setPins(cfg.Pins); err != nil {
		return nil, err
	}
	return g, nil
}

// setPins takes pins, and keeps the definitions of this run beside them.
func (g *Guard) setPins(p definition.Pins) error {
	if err := p.Check(); err != nil {
		return fmt.Errorf("cannot use the lock: %v", err)
	}
	g.pins = p
	g.decided = make(map[definition.Exact]definition.State, len(p.Definitions))
	g.trusted = make(map[definition.Key][]definition.Definition, len(p.Definitions))
	g.approved = map[definition.Key]bool{}
	g.refused = map[definition.Key]bool{}
	g.pinned = make(map[definition.Key]bool, len(p.Definitions))
	g.turned = map[definition.Key]bool{}
	bytes := 0
	for _, d := range p.Definitions {
		if d.State == definition.Seen || d.State == definition.Waiting {
			bytes += len(d.Description) + len(d.Rest)
		}
		g.learn(d)
	}
	g.forms.Store(int64(bytes))
	for k, s := range g.seen {
		if g.decided[definition.Exact{Key: k.Key, Hash: s.hash}] != "" {
			delete(g.seen, k)
			continue
		}
		if k.state == definition.Seen && len(g.trusted[k.Key]) > 0 { // another run was first
			delete(g.seen, k)
			g.seen[seenKey{k.Key, definition.Waiting}] = s
		}
		g.forms.Add(int64(len(s.form)))
	}
	return nil
}

// learn takes in one definition of the pins.
func (g *Guard) learn(d definition.Definition) {
	n := definition.Key{Kind: d.Kind, Name: d.Name}
	g.decided[definition.Exact{Key: n, Hash: d.SHA256}] = d.State
	g.pinned[n] = true
	switch {
	case d.State == definition.Approved:
		g.approved[n] = true
		g.trusted[n] = append([]definition.Definition{d}, g.trusted[n]...)
	case d.State == definition.Seen && g.pinning != policy.PinEnforce:
		g.trusted[n] = append(g.trusted[n], d)
	case d.State == definition.Rejected:
		g.refused[n] = true
		g.turned[n] = true
	default:
		g.turned[n] = true
	}
}

// Pins are the pins of New or Reload and the definitions since, as seen or as
// waiting.
func (g *Guard) Pins() definition.Pins {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := make([]definition.Definition, 0, len(g.seen))
	for k, s := range g.seen {
		seen = append(seen, s.definition(k, g.cfg.Given))
	}
	p := g.pins.Seen(seen)
	for kind, s := range g.sights {
		if s.begun && !slices.Contains(p.Over, g.sightOf(kind)) {
			p.Over = append(slices.Clone(p.Over), g.sightOf(kind))
		}
	}
	slices.Sort(p.Over)
	return p
}

func refusedLine(from, why string) audit.Event {
	return audit.Event{Kind: audit.KindLine, Verdict: audit.Refused, Subject: from, Detail: why}
}

// warn adds a sentence for a person, the first time only.
func (g *Guard) warn(v *Ruling, format string, args ...any) {
	if s := fmt.Sprintf(format, args...); g.once(s) {
		v.Warn = append(v.Warn, s)
	}
}
