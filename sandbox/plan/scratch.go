package plan

import "path"

// bareProc lists the parts of /proc that are visible without a pid namespace: the
// process's own directory and the files that runtimes read about the machine. Other
// processes' directories stay closed, since a command line may hold a secret.
var bareProc = []string{"/proc/self", "/proc/cpuinfo", "/proc/filesystems", "/proc/loadavg", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/version",
	"/proc/sys/kernel/osrelease", "/proc/sys/vm/overcommit_memory"}

// scratch replaces the private file systems and /proc if there are no namespaces.
func (c *compiler) scratch() {
	for _, p := range bareProc {
		c.add(fromUs, Mount{Kind: MountProc, Target: p, Why: "what runtimes ask of the machine"})
	}
	if c.pol.Process.PTY {
		c.problem(Problem{At: at(c.pol.Process.At), Lack: layerNamespaces, Text: "cannot give a terminal without namespaces: it would be one of the user's",
			Hint: "take [process] pty out of the profile"})
	}
	c.plan.Scratch = path.Join(c.host.Runtime, "scratch", c.pol.Name)
	c.add(fromUs, Mount{Kind: MountDir, Target: c.plan.Scratch, Writable: true, Why: "home and temporary files of this server"})
}
