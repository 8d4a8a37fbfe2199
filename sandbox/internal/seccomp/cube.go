package seccomp

// cube is the set of 32-bit values that are value under mask.
type cube struct{ mask, value uint32 }

func (c cube) meets(o cube) bool { return (c.value^o.value)&c.mask&o.mask == 0 }

func (c cube) inside(o cube) bool { return o.mask&^c.mask == 0 && c.meets(o) }

// count is the number of sets that the check distinguishes; cube returns one of them.
func (c check) count() int {
	if c.op == anyBit {
		return 1
	}
	return len(c.values)
}

func (c check) cube(i int) cube {
	if c.op == anyBit {
		return cube{c.mask, 0}
	}
	return cube{c.mask, c.values[i]}
}

// given reports whether the check has the same result for all values of the part, and
// the result.
func (c check) given(part cube) (holds, decided bool) {
	decided = true
	for i := range c.count() {
		by := c.cube(i)
		if part.inside(by) {
			return c.op == oneOf, true
		}
		if part.meets(by) {
			decided = false
		}
	}
	return c.op != oneOf, decided
}
