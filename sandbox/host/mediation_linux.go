package host

import (
	"os"
	"strings"

	"mcpen/sandbox/plan"
)

// mediation says whether calls can be made for a server: they come by a listener,
// and their arguments are read from its memory, which Yama's strictest setting lets
// nobody do (Documentation/admin-guide/LSM/Yama.rst). The mediator is the owner of
// the server's user namespace; the milder settings do not concern it.
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

// yamaScope is where Yama says whom it lets trace whom; a kernel without it has no
// such file.
const yamaScope = "/proc/sys/kernel/yama/ptrace_scope"
