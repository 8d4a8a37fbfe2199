package sandbox

import (
	"fmt"
	"testing"

	"mcpen/sandbox/plan"
)

// A server that the kernel killed says nothing: mcpen names the limit, and a line that
// gives more room.
func TestLimitsThatWereMet(t *testing.T) {
	limits := []plan.Limit{{Name: plan.LimitMemory, Value: 512 << 20}, {Name: plan.LimitProcesses, Value: 64}}
	all := map[plan.LimitName]bool{plan.LimitMemory: true, plan.LimitProcesses: true}
	for _, c := range []struct {
		met  map[plan.LimitName]bool
		exit Exit
		want string
	}{
		{nil, Exit{Signal: 9}, "[]"},
		{all, Exit{Signal: 9}, `[{memory over 512MiB killed: memory over 512MiB [limits] memory = "1GiB"} {processes over 64 it was refused another process: processes over 64 [limits] processes = 128}]`},
		{map[plan.LimitName]bool{plan.LimitMemory: true}, Exit{Code: 1}, `[{memory over 512MiB a process of its was killed: memory over 512MiB [limits] memory = "1GiB"}]`},
	} {
		if got := fmt.Sprint(exceededOf(limits, c.met, c.exit)); got != c.want {
			t.Errorf("%v, %+v:\ngot  %s\nwant %s", c.met, c.exit, got, c.want)
		}
	}
}
