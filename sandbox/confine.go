package sandbox

import (
	"path/filepath"

	"mcpen/sandbox/internal/confine"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// Confinement has Start remove rights from this process, on every thread and for good:
// those that it does not need once the server runs, and before it reads a byte of the
// server's. It is for a process that runs one server and then ends, like the launcher:
// anything else that the process does afterwards fails as if it were another user's.
//
// The process keeps the needs of the sandbox itself (its directory, its control groups,
// /proc to read, the network of the plan), its open descriptors, and the paths named
// here. It loses programs, new processes, mounts, keyrings, namespaces, and other
// processes' memory. It lacks a layer here, too, if the plan goes without it. If a
// layer cannot be had, the error is a *Lack, and the server ends.
type Confinement struct {
	Read  []string // files, and folders with all below them; a path that is not there is left out
	Write []string // folders in which files are read, made, changed and removed; they are there
}

// needs lists the rights that this process keeps for a run of a plan: to its own
// directory, to the groups that hold the server, and to the paths of a Confinement.
func needs(p plan.Plan, c *Confinement, dir string, cgroups []string) confine.Needs {
	n := confine.Needs{Filter: p.Holds(policy.LayerSeccomp), Looks: p.Seccomp.Listens() && !p.Seccomp.Mediate}
	if p.Holds(policy.LayerLandlock) {
		n.ABI = p.Landlock.ABI
	}
	n.Calls.Dials = len(p.Network.Hosts) > 0
	n.Calls.Unix = len(p.Network.Sockets) > 0
	n.Rules = runPaths(dir, cgroups)
	for _, h := range p.Network.Hosts {
		n.Connect = append(n.Connect, plan.Span{First: h.First, Last: h.Last})
		n.Calls.Asks = n.Calls.Asks || h.Kind == policy.HostName || h.Kind == policy.HostWildcard
	}
	for _, proxy := range p.Network.Proxies.Both() {
		port, named := proxy.Port(), proxy.Named()
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
	for _, path := range c.Read {
		n.Rules = append(n.Rules, confine.Rule{Path: path, Access: confine.List})
	}
	for _, path := range c.Write {
		n.Rules = append(n.Rules, confine.Rule{Path: path, Access: confine.Edit, Needed: true})
	}
	return n
}

// runPaths are the paths of the run itself.
func runPaths(dir string, cgroups []string) []confine.Rule {
	rules := []confine.Rule{
		{Path: "/proc", Access: confine.List, Needed: true},
		{Path: dir, Access: confine.Remove, Needed: true},
		{Path: filepath.Dir(dir), Access: confine.Empty, Needed: true},
	}
	for _, group := range cgroups {
		rules = append(rules, confine.Rule{Path: filepath.Dir(group), Access: confine.Empty}, confine.Rule{Path: group, Access: confine.List})
	}
	return rules
}
