package plan

// ProcMasked are the places of /proc that are hidden because they describe the whole
// machine. Places that the kernel does not have are skipped.
var ProcMasked = []string{
	"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/scsi",
	"/proc/sched_debug", "/proc/timer_stats",
}

// ProcMaskedRoot are additional hidden places if root runs the server: root owns these
// files, and the server's uid outside of its namespace is root's.
var ProcMaskedRoot = []string{
	"/proc/kallsyms", "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/proc/slabinfo", "/proc/timer_list", "/proc/vmallocinfo",
	"/proc/sysrq-trigger",
}

// ProcReadonly are the places of /proc that are readable but not writable. The server's
// uid owns the network namespace and could otherwise set its sysctls.
var ProcReadonly = []string{"/proc/sys"}

// ProcReadonlyRoot are additional read-only places if root runs the server.
var ProcReadonlyRoot = []string{"/proc/bus", "/proc/driver", "/proc/fs", "/proc/irq", "/proc/tty"}
