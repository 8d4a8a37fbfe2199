package sandbox

import (
	"fmt"
	"maps"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/container"
	"mcpen/sandbox/plan"
)

// weigh finds out which limits the server met, while their groups are there, and says
// so: a server that the kernel killed says nothing itself.
func (b *Box) weigh() {
	over := container.Over(b.cgroups)
	maps.Copy(over, b.met)
	for _, l := range b.plan.Limits {
		if !over[l.Name] {
			continue
		}
		text := fmt.Sprintf("%s over %s", l.Name, plan.FormatLimit(l.Name, l.Value))
		b.over = append(b.over, text)
		happened := "a process of its was killed: "
		switch {
		case l.Name == plan.LimitProcesses:
			happened = "it was refused another process: "
		case b.exit.Signal == unix.SIGKILL:
			happened = "killed: "
		}
		b.say(b.plan.Name + ": " + happened + text)
		b.say(fmt.Sprintf("hint: [limits] %s = %s", l.Name, roomier(l)))
	}
}

// roomier is twice a limit, as a profile writes it.
func roomier(l plan.Limit) string {
	if l.Name == plan.LimitMemory {
		return `"` + plan.FormatLimit(l.Name, 2*l.Value) + `"`
	}
	return plan.FormatLimit(l.Name, 2*l.Value)
}
