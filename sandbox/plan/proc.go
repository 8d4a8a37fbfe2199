package plan

// ProcMasked are the places of /proc that are hidden: what they tell is of the
// whole machine, or they are devices in all but name. Those that a kernel does
// not have are skipped.
var ProcMasked = []string{
	"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/kallsyms",
	"/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
	"/proc/timer_list", "/proc/timer_stats", "/proc/vmallocinfo", "/proc/sysrq-trigger",
}

// ProcReadonly are the places of /proc that stay readable. A server that runs
// as the namespace's owner could otherwise set its network's sysctls.
var ProcReadonly = []string{"/proc/bus", "/proc/driver", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/tty"}
