package seccomp

import (
	"fmt"
	"slices"
	"testing"

	"mcpen/sandbox/plan"
)

// young is one call with its expected results: the filter's decision without a mediator
// and, after a comma, the decision with one if that differs.
type young struct {
	name         string
	nrs          [2]int // amd64, arm64; -1: it has none
	amd64, arm64 string
}

// younger are the calls that Linux has added since 5.17, the last version whose names
// libseccomp 2.5.4 knows: their numbers from the headers of Linux 7.2 (asm/unistd_64.h
// of x86 and of arm64), and the decision on both architectures. A call without a name
// in libseccomp cannot be compiled for the other architecture. It is absent there
// (ENOSYS), and every caller has a fallback.
var younger = []young{
	{"uretprobe", [2]int{335, -1}, "ENOSYS", ""},
	{"uprobe", [2]int{336, -1}, "ENOSYS", ""},
	{"cachestat", [2]int{451, 451}, "allowed", "allowed"},
	{"fchmodat2", [2]int{452, 452}, "allowed, made by the mediator", "allowed, made by the mediator"},
	{"map_shadow_stack", [2]int{453, 453}, "allowed", "allowed"},
	{"futex_wake", [2]int{454, 454}, "allowed", "allowed"},
	{"futex_wait", [2]int{455, 455}, "allowed", "allowed"},
	{"futex_requeue", [2]int{456, 456}, "allowed", "allowed"},
	{"statmount", [2]int{457, 457}, "ENOSYS", "ENOSYS"},
	{"listmount", [2]int{458, 458}, "ENOSYS", "ENOSYS"},
	{"lsm_get_self_attr", [2]int{459, 459}, "ENOSYS", "ENOSYS"},
	{"lsm_set_self_attr", [2]int{460, 460}, "EPERM", "ENOSYS"},
	{"lsm_list_modules", [2]int{461, 461}, "ENOSYS", "ENOSYS"},
	{"mseal", [2]int{462, 462}, "allowed", "ENOSYS"},
	{"setxattrat", [2]int{463, 463}, "allowed, ENOSYS", "ENOSYS"},
	{"getxattrat", [2]int{464, 464}, "allowed", "ENOSYS"},
	{"listxattrat", [2]int{465, 465}, "allowed", "ENOSYS"},
	{"removexattrat", [2]int{466, 466}, "allowed, ENOSYS", "ENOSYS"},
	{"open_tree_attr", [2]int{467, 467}, "EPERM", "ENOSYS"},
	{"file_getattr", [2]int{468, 468}, "ENOSYS", "ENOSYS"},
	{"file_setattr", [2]int{469, 469}, "ENOSYS", "ENOSYS"},
	{"listns", [2]int{470, 470}, "ENOSYS", "ENOSYS"},
	{"rseq_slice_yield", [2]int{471, 471}, "ENOSYS", "ENOSYS"},
}

// A new kernel's call is decided by name, and not by the number's place in an old list.
func TestYoungCallsAreDecided(t *testing.T) {
	for _, c := range younger {
		for i, want := range []string{c.amd64, c.arm64} {
			nr, ok := number(c.name, i)
			if ok != (c.nrs[i] >= 0) || ok && nr != c.nrs[i] {
				t.Errorf("%s of %s is %d, the headers say %d", c.name, arches[i].name, nr, c.nrs[i])
				continue
			}
			if got := ""; ok {
				if got = fate(t, i, nr); got != want {
					t.Errorf("%s of %s: %s, want %s", c.name, arches[i].name, got, want)
				}
			}
		}
	}
	for _, pair := range numbers {
		recent := slices.Max(pair.numbers[:]) > 450 || pair.numbers[0] == 335 || pair.numbers[0] == 336
		if recent && !slices.ContainsFunc(younger, func(c young) bool { return c.name == pair.name }) {
			t.Errorf("%s is younger than the names of libseccomp 2.5.4 and has no row here", pair.name)
		}
	}
	for nr := 472; nr < 600; nr++ {
		for i := range arches {
			if got := fate(t, i, nr); got != "ENOSYS" {
				t.Errorf("call %d of %s, which no kernel has: %s", nr, arches[i].name, got)
			}
		}
	}
}

// fate is the carried filter's decision on a call whose arguments are zeros.
func fate(t *testing.T, index, nr int) string {
	t.Helper()
	plain, mediated := verdict(t, index, nr, plan.Seccomp{On: true}), verdict(t, index, nr, plan.Seccomp{On: true, Mediate: true})
	if plain == mediated {
		return plain
	}
	return plain + ", " + mediated
}

func verdict(t *testing.T, index, nr int, p plan.Seccomp) string {
	t.Helper()
	f, err := For(p, arches[index].name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMachine(f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.run(data{nr: uint32(nr), arch: arches[index].audit})
	if err != nil {
		t.Fatal(err)
	}
	switch got {
	case retAllow:
		return "allowed"
	case retNotify:
		return "made by the mediator"
	case retErrno | enosys:
		return "ENOSYS"
	case retErrno | eperm:
		return "EPERM"
	}
	return fmt.Sprintf("%#x", got)
}
