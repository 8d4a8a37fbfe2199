package seccomp

import (
	"runtime"
	"sync"
	"syscall"

	"mcpen/sandbox/plan"
)

// Decision is what the plan's filter does with one call.
type Decision struct {
	Kind  Kind
	Errno syscall.Errno // of a refused call
	Name  string        // of the call; "" if the table has none for its number
}

// Decide decides a call of this machine's architecture as the plan's filter does, for
// whoever answers the filter's notifications.
func Decide(p plan.Seccomp, nr int32, args [6]uint64) Decision {
	then, name := decide(p, nr, args)
	return Decision{then.kind, syscall.Errno(then.errno), name}
}

func decide(p plan.Seccomp, nr int32, args [6]uint64) (then action, name string) {
	r, ok := native()[nr]
	if !ok {
		return absent, ""
	}
	then = r.decide(p, args)
	if then.ret(p) == retAllow {
		then = allow
	}
	return then, r.name
}

// native is the table keyed by the numbers of this machine.
var native = sync.OnceValue(func() map[int32]row {
	index, _ := indexOf(runtime.GOARCH)
	rows := make(map[int32]row, len(numbers))
	for _, r := range table() {
		if n, ok := number(r.name, index); ok {
			rows[int32(n)] = r
		}
	}
	return rows
})

// decide is the row's action for a call with the arguments. The tests prove that
// libseccomp's program decides the same; decide does so for one notification at a time.
func (r row) decide(p plan.Seccomp, args [6]uint64) action {
	for _, rule := range r.rules {
		if rule.in(p) && rule.holds(args) {
			return rule.then
		}
	}
	return r.then
}

func (r rule) holds(args [6]uint64) bool {
	for _, c := range r.when {
		if holds, _ := c.given(cube{whole, uint32(args[c.arg])}); !holds {
			return false
		}
	}
	return true
}
