package seccomp

// cube is the set of 32-bit values that are value under mask.
type cube struct{ mask, value uint32 }

func (c cube) meets(o cube) bool { return (c.value^o.value)&c.mask&o.mask == 0 }

func (c cube) inside(o cube) bool { return o.mask&^c.mask == 0 && c.meets(o) }

// count is how many sets the check distinguishes; cube is one of them.
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

// given says whether the check is decided for all values of the part, and how.
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
