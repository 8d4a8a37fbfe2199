package seccomp

import (
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
	"mcpen/sandbox/plan"
)

// A damaged filter is not loaded: neither one byte too short nor one too long.
func TestFiltersAreWhole(t *testing.T) {
	f, err := For(plan.Seccomp{On: true}, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	good, err := f.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var back Filter
	if err := back.UnmarshalBinary(good); err != nil || back.Len() != f.Len() || back.Listens() || !slices.Equal(back.prog, f.prog) || back.arch != runtime.GOARCH {
		t.Errorf("%d instructions, listens %v (%v)", back.Len(), back.Listens(), err)
	}
	change := func(at int, to byte) []byte { b := slices.Clone(good); b[at] = to; return b }
	long := slices.Clone(good[:headLen])
	binary.LittleEndian.PutUint16(long[headLen-2:], maxLen+1)
	long = append(long, make([]byte, (maxLen+1)*size)...)
	most := slices.Clone(long[:headLen+maxLen*size])
	binary.LittleEndian.PutUint16(most[headLen-2:], maxLen)
	if err := new(Filter).UnmarshalBinary(most); err != nil {
		t.Errorf("the longest filter: %v", err)
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "no instruction": append(slices.Clone(good[:headLen-2]), 0, 0), "a byte less": good[:len(good)-1], "a byte more": append(slices.Clone(good), 0),
		"half a head": good[:headLen-1], "another version": change(len(magic)-1, 2), "another magic": change(0, 'x'), "listens twice": change(len(magic), 2),
		"no such machine": change(len(magic)+1, byte(len(arches))), "too long": long,
	} {
		kept := Filter{arch: "kept"}
		if err := kept.UnmarshalBinary(b); err == nil || kept.arch != "kept" {
			t.Errorf("%s is a filter: %v", name, err)
		}
	}
	for name, f := range map[string]Filter{"zero": {}, "of no machine": {arch: "vax", prog: f.prog}, "half an instruction": {arch: runtime.GOARCH, prog: f.prog[:size+1]}, "empty": {arch: runtime.GOARCH}} {
		if _, err := f.MarshalBinary(); err == nil {
			t.Errorf("%s is encoded", name)
		}
		if _, err := f.Program(); err == nil {
			t.Errorf("%s is a program", name)
		}
	}
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	foreign, err := For(plan.Seccomp{On: true}, other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := foreign.Program(); err == nil {
		t.Error("another machine's filter is a program here")
	}
	// The kernel decides: a filter that it refuses is an error.
	for name, numbers := range map[string][]uintptr{"prctl": {unix.SYS_PRCTL}} {
		unheard, err := fault.Each(numbers, unix.EACCES, func(c fault.Call) bool { return c.Args[0] == unix.PR_GET_NO_NEW_PRIVS }, func() error { return Load(f) })
		if err != nil || len(unheard) > 0 {
			t.Errorf("%s: nobody heard of %v (%v)", name, unheard, err)
		}
	}
	if err := Load(Filter{}); err == nil {
		t.Error("the zero filter is loaded")
	}
	listens, err := For(plan.Seccomp{On: true, Notify: true}, runtime.GOARCH)
	if err != nil || !listens.Listens() || Load(listens) == nil {
		t.Errorf("a filter with a listener is loaded without one (%v)", err)
	}
}

// Each of the plan's choices has a filter of its own, on both architectures.
func TestEveryChoiceHasItsFilter(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		seen := map[string]plan.Seccomp{}
		for n := range 16 {
			p := plan.Seccomp{On: true, Notify: n&1 != 0, Opens: n&2 != 0, Alone: n&4 != 0, Mediate: n&8 != 0}
			if optionOf(p) != n {
				t.Errorf("%+v is number %d, want %d", p, optionOf(p), n)
			}
			f, err := For(p, arch)
			if err != nil || f.Listens() != p.Listens() {
				t.Errorf("%+v: %v", p, err)
				continue
			}
			if other, again := seen[string(f.prog)]; again && other.Alone != p.Alone {
				t.Errorf("%+v has the filter of %+v", p, other)
			}
			seen[string(f.prog)] = p
		}
		if len(seen) < 8 {
			t.Errorf("%s: only %d filters", arch, len(seen))
		}
	}
	for _, c := range []struct {
		p    plan.Seccomp
		arch string
	}{{plan.Seccomp{}, "amd64"}, {plan.Seccomp{Notify: true}, "amd64"}, {plan.Seccomp{On: true}, "riscv64"}, {plan.Seccomp{On: true}, ""}} {
		if f, err := For(c.p, c.arch); err == nil || f.Len() != 0 {
			t.Errorf("%+v on %q: %d instructions", c.p, c.arch, f.Len())
		}
	}
}

// A filter of another architecture, and one that needs a listener, must not be loaded
// elsewhere: the kernel would accept both.
func TestFiltersAreLoadedWhereTheyBelong(t *testing.T) {
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	for want, c := range map[string]struct {
		p    plan.Seccomp
		arch string
	}{"a seccomp filter for " + other: {plan.Seccomp{On: true}, other}, "a seccomp filter with a listener loaded without one": {plan.Seccomp{On: true, Notify: true}, runtime.GOARCH}, "without no-new-privileges": {plan.Seccomp{On: true}, runtime.GOARCH}} {
		f, err := For(c.p, c.arch)
		if err != nil {
			t.Fatal(err)
		}
		if err := Load(f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v of %s: %v, want %s", c.p, c.arch, err, want)
		}
	}
}
