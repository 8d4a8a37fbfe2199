package seccomp

import "mcpen/sandbox/plan"

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
