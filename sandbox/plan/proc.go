package plan

// ProcMasked are the places of /proc that are hidden: what they tell is of the
// whole machine. Those that a kernel does not have are skipped.
var ProcMasked = []string{
	"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/scsi",
	"/proc/sched_debug", "/proc/timer_stats",
}

// ProcMaskedRoot are hidden besides when root runs a server: the files are
// root's own, and so is the server's id outside of its namespace.
var ProcMaskedRoot = []string{
	"/proc/kallsyms", "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/proc/slabinfo", "/proc/timer_list", "/proc/vmallocinfo",
	"/proc/sysrq-trigger",
}

// ProcReadonly are the places of /proc that stay readable. A server has the id
// of the network namespace's owner and could otherwise set its sysctls.
var ProcReadonly = []string{"/proc/sys"}

// ProcReadonlyRoot are the places that stay readable besides when root runs a
// server.
var ProcReadonlyRoot = []string{"/proc/bus", "/proc/driver", "/proc/fs", "/proc/irq", "/proc/tty"}
