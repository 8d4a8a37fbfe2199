package host

import (
	"os"
	"strings"

	"mcpen/sandbox/plan"
)

// mediation says whether the mediator can make calls for a server. The calls reach it
// through a listener, and it reads their arguments from the server's memory, which
// Yama's strictest setting forbids to everybody
// (Documentation/admin-guide/LSM/Yama.rst). The milder settings do not matter, as the
// mediator owns the server's user namespace.
func mediation(notify plan.Fact) plan.Fact {
	if notify.Is == plan.No {
		return plan.Fact{Is: plan.No, Why: "no listener for system calls: " + notify.Why}
	}
	scope, err := os.ReadFile(yamaScope)
	if err == nil && strings.TrimSpace(string(scope)) == "3" {
		return plan.Fact{Is: plan.No, Why: "kernel.yama.ptrace_scope is 3: no process may read another's memory"}
	}
	return notify
}

// yamaScope holds Yama's ptrace setting. A kernel without Yama has no such file.
const yamaScope = "/proc/sys/kernel/yama/ptrace_scope"
