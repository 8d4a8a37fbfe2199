package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/plan"
)

// exceeded is a limit that the server met, in words: a server that the kernel killed
// says nothing itself.
type exceeded struct {
	limit string // as the log names it
	text  string // for the person
	hint  string // a line of a profile with more room
}

// exceededOf are the plan's limits that were met by a server that ended so.
func exceededOf(limits []plan.Limit, met map[plan.LimitName]bool, exit Exit) (all []exceeded) {
	for _, l := range limits {
		if !met[l.Name] {
			continue
		}
		x := exceeded{limit: fmt.Sprintf("%s over %s", l.Name, plan.FormatLimit(l.Name, l.Value)), hint: fmt.Sprintf("[limits] %s = %s", l.Name, roomier(l))}
		happened := "a process of its was killed: "
		switch {
		case l.Name == plan.LimitProcesses:
			happened = "it was refused another process: "
		case exit.Signal == unix.SIGKILL:
			happened = "killed: "
		}
		x.text = happened + x.limit
		all = append(all, x)
	}
	return all
}

// roomier is twice a limit, as a profile writes it.
func roomier(l plan.Limit) string {
	if l.Name == plan.LimitMemory {
		return `"` + plan.FormatLimit(l.Name, 2*l.Value) + `"`
	}
	return plan.FormatLimit(l.Name, 2*l.Value)
}
