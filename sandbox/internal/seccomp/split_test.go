package seccomp

import (
	"slices"

	"mcpen/sandbox/plan"
)

// A libseccomp rule holds at most one comparison of an argument, and its manual
// promises no order for overlapping rules of one call. So the table's ordered rules are
// split here into cases that exclude each other: in whatever order libseccomp tests
// them, at most one holds.

func (c cube) and(o cube) cube { return cube{c.mask | o.mask, c.value | o.value} }

// without returns the part of c outside of o, in pieces that exclude each other.
func (c cube) without(o cube) []cube {
	var parts []cube
	rest := c // the part not cut off yet
	for bit := uint32(1 << 31); bit != 0; bit >>= 1 {
		if o.mask&^rest.mask&bit != 0 {
			parts = append(parts, cube{rest.mask | bit, rest.value | ^o.value&bit})
			rest = cube{rest.mask | bit, rest.value | o.value&bit}
		}
	}
	return parts
}

// term is a case's condition on one argument.
type term struct {
	arg int
	cube
}

// cases calls add with the cases of the row: the terms that must all hold, at most one
// an argument and the arguments ascending, and the resulting action.
func (r row) cases(p plan.Seccomp, add func([]term, action) error) error {
	if len(r.rules) == 0 {
		return add(nil, r.then)
	}
	rules := slices.DeleteFunc(slices.Clone(r.rules), func(rule rule) bool { return !rule.in(p) })
	return split(settled(append(rules, rule{then: r.then})), nil, add)
}

// split handles the rules that remain open after the terms so far; the last rule always
// holds. It decides one argument completely before the next: libseccomp walks a tree of
// comparisons and never goes back up in it.
func split(rules []rule, terms []term, add func([]term, action) error) error {
	if len(rules) == 1 {
		return add(terms, rules[0].then)
	}
	arg := 6
	for _, r := range rules {
		for _, c := range r.when {
			arg = min(arg, c.arg)
		}
	}
	for _, b := range merged(branches(rules, arg, cube{})) {
		if err := split(b.open, append(slices.Clip(terms), term{arg, b.part}), add); err != nil {
			return err
		}
	}
	return nil
}

// branch is a part of an argument's values and the rules that remain open for it.
type branch struct {
	part cube
	open []rule
}

// branches cuts the part until no rule depends on the argument any more.
func branches(rules []rule, arg int, part cube) []branch {
	for _, r := range rules {
		for _, c := range r.when {
			for i := range c.count() {
				by := c.cube(i)
				if c.arg != arg || !part.meets(by) || part.inside(by) {
					continue
				}
				var all []branch
				for _, part := range append(part.without(by), part.and(by)) {
					all = append(all, branches(given(rules, arg, part), arg, part)...)
				}
				return all
			}
		}
	}
	return []branch{{part, rules}}
}

// merged joins branches that differ in one bit and have the same open rules.
func merged(all []branch) []branch {
	for i := 0; i < len(all); i++ {
		for j := i + 1; j < len(all); j++ {
			a, b := all[i], all[j]
			differ := a.part.value ^ b.part.value
			if a.part.mask != b.part.mask || differ&(differ-1) != 0 || !slices.EqualFunc(a.open, b.open, rule.equal) {
				continue
			}
			all[i].part = cube{a.part.mask &^ differ, a.part.value &^ differ}
			all = slices.Delete(all, j, j+1)
			i, j = -1, len(all) // a joined branch may join again
		}
	}
	return all
}

func (r rule) equal(o rule) bool {
	return r.then == o.then && slices.EqualFunc(r.when, o.when, func(c, d check) bool {
		return c.arg == d.arg && c.op == d.op && c.mask == d.mask && slices.Equal(c.values, d.values)
	})
}

// given returns the rules that remain once the argument lies in the part.
func given(rules []rule, arg int, part cube) []rule {
	open := make([]rule, 0, len(rules))
	for _, r := range rules {
		left, possible := r, true
		for i := 0; i < len(left.when) && possible; i++ {
			if left.when[i].arg != arg {
				continue
			}
			if holds, decided := left.when[i].given(part); decided {
				left.when = slices.Concat(left.when[:i], left.when[i+1:])
				possible = holds
				i--
			}
		}
		if possible {
			open = append(open, left)
		}
	}
	return settled(open)
}

// settled removes the rules that are never reached, or whose action results without
// them.
func settled(rules []rule) []rule {
	last := slices.IndexFunc(rules, func(r rule) bool { return len(r.when) == 0 })
	for last > 0 && rules[last-1].then == rules[last].then {
		rules = slices.Delete(rules, last-1, last)
		last--
	}
	return rules[:last+1]
}
