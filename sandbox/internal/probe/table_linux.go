package probe

import "slices"

// Group holds the probes of one part of the boundary.
type Group struct {
	Name   string
	About  string // the target of the attacks, or their source
	Probes []Probe
}

// Groups returns every probe in the best order: those that may end the sandbox come
// last.
func Groups() []Group {
	return []Group{
		{"files", "what no rule names, or lends for reading", files()},
		{"protected", "places from which code runs later", protected()},
		{"planted", "such places made anew, or led to", planted()},
		{"devices", "device nodes", devices()},
		{"processes", "other programs, and mcpen's own", processes()},
		{"proc", "what /proc shows and takes", procfs()},
		{"namespaces", "new namespaces", namespaces()},
		{"mounts", "changes of the file tree", mounts()},
		{"handles", "files by handle", handles()},
		{"kernel", "system calls with a bad record", kernel()},
		{"abi", "other ways into the kernel", arch()},
		{"prctl", "what a process may say of itself", prctls()},
		{"credentials", "users, groups, capabilities", credentials()},
		{"terminals", "the person's terminal", terminals()},
		{"sockets", "protocols beside TCP and UDP", sockets()},
		{"network", "addresses that no rule names", network()},
		{"ipc", "shared memory and queues", ipc()},
		{"inherited", "descriptors, variables, daemons", inherited()},
		{"runtimes", "the same from node and python", runtimes()},
		{"limits", "memory, files, processes", limits()},
	}
}

// Table is every probe of every group.
func Table() []Probe {
	var all []Probe
	for _, g := range Groups() {
		all = slices.Concat(all, g.Probes)
	}
	return all
}

// Find returns the probe of that name.
func Find(id string) (Probe, bool) {
	table := Table()
	i := slices.IndexFunc(table, func(p Probe) bool { return p.ID == id })
	if i < 0 {
		return Probe{}, false
	}
	return table[i], true
}
