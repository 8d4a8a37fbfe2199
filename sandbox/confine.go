package sandbox

import (
	"path/filepath"
	"sync"
	"time"

	"mcpen/sandbox/internal/child"
	"mcpen/sandbox/internal/confine"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// Confinement has Start take from this process, on every thread and for good, what
// it does not need once the server runs and before it reads a byte of the server's.
// It is for a process that runs one server and then ends, like the launcher: what
// else the process does afterwards fails as if it were another user's.
//
// What is left is what the sandbox itself takes (its directory, its control groups,
// /proc to read, what the plan allows of the network), open descriptors, and the
// paths named here. Programs, new processes, mounts, keyrings, namespaces, other
// processes' memory are gone. A layer that the plan goes without is gone without
// here, too; one that cannot be had is a *Lack, and the server ends.
type Confinement struct {
	Read  []string // files, and folders with all below them; a path that is not there is left out
	Write []string // folders in which files are read, made, changed and removed; they are there
}

// confine gives up what the run does not need any more.
func (b *Box) confine() error {
	if b.keeps == nil {
		return nil
	}
	_ = time.Local.String() // read from a file when it is first asked for
	if err := confine.Process(b.needs()); err != nil {
		return &Lack{Step: "confine the launcher", Err: err}
	}
	return nil
}

// needs is what this process keeps.
func (b *Box) needs() confine.Needs {
	n := confine.Needs{Filter: b.plan.Holds(policy.LayerSeccomp), Looks: b.plan.Seccomp.Listens() && !b.plan.Seccomp.Mediate}
	if b.plan.Holds(policy.LayerLandlock) {
		n.ABI = b.plan.Landlock.ABI
	}
	n.Calls.Dials = len(b.plan.Network.Hosts) > 0
	n.Calls.Unix = len(b.plan.Network.Sockets) > 0
	n.Rules = b.own()
	for _, h := range b.plan.Network.Hosts {
		n.Connect = append(n.Connect, plan.Span{First: h.First, Last: h.Last})
		n.Calls.Asks = n.Calls.Asks || h.Kind == policy.HostName || h.Kind == policy.HostWildcard
	}
	for _, p := range b.plan.Network.Proxies.Both() {
		port, named := p.Port(), p.Named()
		n.Connect = append(n.Connect, plan.Span{First: port, Last: port})
		n.Calls.Asks = n.Calls.Asks || named
	}
	if n.Calls.Asks {
		n.Connect = append(n.Connect, plan.Span{First: 53, Last: 53}) // long answers of DNS
		rules, modules := confine.Resolver()
		n.Rules = append(n.Rules, rules...)
		n.Calls.Loads = modules
		n.Calls.Unix = n.Calls.Unix || modules
	}
	for _, path := range b.keeps.Read {
		n.Rules = append(n.Rules, confine.Rule{Path: path, Access: confine.List})
	}
	for _, path := range b.keeps.Write {
		n.Rules = append(n.Rules, confine.Rule{Path: path, Access: confine.Edit, Needed: true})
	}
	return n
}

// own are the paths that the sandbox itself takes.
func (b *Box) own() []confine.Rule {
	rules := []confine.Rule{
		{Path: "/proc", Access: confine.List, Needed: true},
		{Path: b.session.dir, Access: confine.Remove, Needed: true},
		{Path: filepath.Dir(b.session.dir), Access: confine.Empty, Needed: true},
	}
	for _, dir := range b.cgroups {
		rules = append(rules, confine.Rule{Path: filepath.Dir(dir), Access: confine.Empty}, confine.Rule{Path: dir, Access: confine.List})
	}
	return rules
}

// hear begins to hear what one message has brought a descriptor for, and takes what
// the mediator tells.
func (b *Box) hear(m child.Message, listeners *sync.WaitGroup) error {
	switch m.Kind {
	case child.Notify:
		listeners.Go(func() { b.observe(m.Files[0]) })
	case child.Seen:
		b.mediated(m)
	case child.Laid:
		b.laid(m)
	default:
		return b.serve(m)
	}
	return nil
}

// hearAll waits until this process is confined, and hears all that came before. The
// server waits meanwhile, for the little that it asks for so early.
func (b *Box) hearAll(held []child.Message, listeners *sync.WaitGroup) error {
	if !<-b.attend {
		closeHeld(held)
		return nil
	}
	for i, m := range held {
		if err := b.hear(m, listeners); err != nil {
			closeHeld(held[i+1:])
			return err
		}
	}
	return nil
}

func closeHeld(held []child.Message) {
	for _, m := range held {
		for _, f := range m.Files {
			f.Close()
		}
	}
}
