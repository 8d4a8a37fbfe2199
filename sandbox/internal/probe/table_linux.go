package probe

import "slices"

// Table is every probe, in the order in which they are best run: those that may
// end the sandbox come last.
func Table() []Probe {
	return slices.Concat(
		files(), protected(), planted(), devices(),
		processes(), procfs(),
		namespaces(), mounts(), handles(),
		kernel(), arch(), prctls(), credentials(),
		terminals(), sockets(), network(), ipc(),
		inherited(), runtimes(), limits(),
	)
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
