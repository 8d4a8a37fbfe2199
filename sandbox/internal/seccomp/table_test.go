package seccomp

import (
	"slices"
	"strings"
	"testing"
)

func TestEveryRowHasAReason(t *testing.T) {
	for _, r := range table() {
		if strings.TrimSpace(r.why) == "" {
			t.Errorf("%s has no reason", r.name)
		}
		if strings.ContainsAny(r.why, "\n\t") {
			t.Errorf("%s: a reason of more than one line", r.name)
		}
	}
}

func TestNoCallIsDecidedTwice(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range table() {
		if seen[r.name] {
			t.Errorf("%s has two rows", r.name)
		}
		seen[r.name] = true
	}
	for i, a := range arches {
		byNumber := map[int]string{}
		for _, pair := range numbers {
			n := pair.numbers[i]
			if other, ok := byNumber[n]; ok && n >= 0 {
				t.Errorf("%s: %s and %s are both %d", a.name, pair.name, other, n)
			}
			byNumber[n] = pair.name
		}
	}
}

// A new call in golang.org/x/sys needs a decision.
func TestEveryKnownCallIsDecided(t *testing.T) {
	rows := map[string]bool{}
	for _, r := range table() {
		rows[r.name] = true
		if !slices.ContainsFunc(numbers[:], func(p pair) bool { return p.name == r.name }) {
			t.Errorf("%s is in the table and is no system call", r.name)
		}
	}
	for _, p := range numbers {
		if !rows[p.name] {
			t.Errorf("%s has no row", p.name)
		}
	}
}

// A refusal with errno 0 would be a success without effect.
func TestEveryRefusalHasAnErrno(t *testing.T) {
	whole := func(a action) bool {
		return a.kind == Refused && a.errno > 0 && a.errno < 4096 ||
			a.kind != Refused && a.errno == 0 && !a.quiet
	}
	for _, r := range table() {
		if !whole(r.then) {
			t.Errorf("%s: action %+v", r.name, r.then)
		}
		for _, rule := range r.rules {
			if !whole(rule.then) {
				t.Errorf("%s: action %+v of a rule", r.name, rule.then)
			}
		}
	}
}

func TestEveryRuleCanHold(t *testing.T) {
	for _, r := range table() {
		for _, rule := range r.rules {
			if len(rule.when) == 0 && !rule.alone && !rule.mediated {
				t.Errorf("%s: a rule without a check hides those behind it", r.name)
			}
			for _, c := range rule.when {
				if c.arg < 0 || c.arg > 5 || c.op < oneOf || c.op > anyBit {
					t.Errorf("%s: check %+v", r.name, c)
				}
				if (c.op == anyBit) != (len(c.values) == 0) {
					t.Errorf("%s: check %+v", r.name, c)
				}
				for _, v := range c.values {
					if v&^c.mask != 0 {
						t.Errorf("%s: value %#x outside its mask %#x never matches", r.name, v, c.mask)
					}
				}
			}
		}
	}
}
