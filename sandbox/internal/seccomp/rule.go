package seccomp

import "mcpen/sandbox/plan"

// row is the decision on one system call. Its rules are tried in order; the first whose
// checks all hold decides. If none does, then decides.
type row struct {
	name  string
	then  action
	why   string
	rules []rule
}

// rule decides a call by its arguments.
type rule struct {
	when  []check
	then  action
	alone bool // part of the filter only under plan.Seccomp.Alone
	// mediated rules are part of the filter only under plan.Seccomp.Mediate.
	mediated bool
}

// Kind is what becomes of a call. The zero Kind refuses.
type Kind uint8

const (
	Refused  Kind = iota // fails with the action's errno
	Allowed              // goes to the kernel
	Observed             // goes to the kernel; under plan.Seccomp.Opens the launcher sees it first
	Dialled              // goes to the kernel; under plan.Seccomp.Notify the launcher sees it first
	Traced               // goes to the kernel; under plan.Seccomp.Trace the launcher sees it first
	Written              // goes to the kernel; under plan.Seccomp.Mediate the mediator makes the call instead
)

// action is the outcome of a row or rule.
type action struct {
	kind  Kind
	errno uint16
	// quiet refusals are not reported: calls that every C library or runtime tries
	// first would drown the important reports.
	quiet bool
}

var (
	allow  = action{kind: Allowed}
	open   = action{kind: Observed}
	dial   = action{kind: Dialled}
	trace  = action{kind: Traced}
	write  = action{kind: Written}
	deny   = fail(eperm)  // dangerous: reported with EPERM
	absent = fail(enosys) // as on a kernel without it
	probed = hush(enosys) // as absent, and every program tries it
)

// fail refuses with an errno.
func fail(errno uint16) action { return action{kind: Refused, errno: errno} }

// hush refuses with an errno and reports nothing.
func hush(errno uint16) action { return action{kind: Refused, errno: errno, quiet: true} }

// op is a check's comparison. The zero op is invalid.
type op uint8

const (
	oneOf  op = iota + 1 // the masked argument is one of the values
	noneOf               // it is none of them
	anyBit               // one of the mask's bits is set
)

// check is one comparison of the low 32 bits of an argument.
type check struct {
	arg    int
	op     op
	mask   uint32
	values []uint32
}

const whole = 0xffffffff

func is(arg int, values ...uint32) check { return check{arg, oneOf, whole, values} }
func bits(arg int, mask uint32) check    { return check{arg, anyBit, mask, nil} }

func masked(arg int, mask uint32, values ...uint32) check {
	return check{arg, oneOf, mask, values}
}

func maskedNot(arg int, mask uint32, values ...uint32) check {
	return check{arg, noneOf, mask, values}
}

// when makes a rule whose checks must all hold.
func when(then action, checks ...check) rule { return rule{when: checks, then: then} }

// SECCOMP_RET_* of linux/seccomp.h.
const (
	retKill   = 0x80000000
	retErrno  = 0x00050000
	retNotify = 0x7fc00000
	retAllow  = 0x7fff0000
)

// ret is the filter's return value for an action.
func (a action) ret(p plan.Seccomp) uint32 {
	switch {
	case a.kind == Allowed, a.kind == Observed && !p.Opens, a.kind == Written && !p.Mediate,
		a.kind == Traced && !p.Trace,
		a.kind == Dialled && !p.Notify && !p.Mediate:
		return retAllow
	case a.kind == Observed, a.kind == Dialled, a.kind == Traced, a.kind == Written, p.Notify && !a.quiet:
		return retNotify
	}
	return retErrno | uint32(a.errno)
}

// in reports whether the rule is part of the plan's filter.
func (r rule) in(p plan.Seccomp) bool {
	return (!r.alone || p.Alone) && (!r.mediated || p.Mediate)
}
