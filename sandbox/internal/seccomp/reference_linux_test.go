package seccomp

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	libseccomp "github.com/seccomp/libseccomp-golang"

	"mcpen/sandbox/plan"
)

// The proof: libseccomp's program, run by a BPF machine that knows nothing of this
// package, must decide as a naive reading of the table does, for every number,
// architecture, option and argument that could matter.

// expect reads the table as a person would: find the row, try its rules. It shares
// nothing with the compiler but the table itself.
func expect(p plan.Seccomp, index int, d data) uint32 {
	if d.arch != arches[index].audit {
		return 0x80000000
	}
	if arches[index].name == "amd64" && d.nr >= 0x40000000 && d.nr != 0xffffffff { // -1: a tracer skips the call
		return 0x80000000
	}
	for _, r := range byNumber()[index][d.nr] {
		if arches[index].name != runtime.GOARCH && !named(r.name) {
			break // libseccomp can express it only on the machine's own architecture
		}
		for _, rule := range r.rules {
			if rule.alone && !p.Alone || rule.mediated && !p.Mediate {
				continue
			}
			all := true
			for _, c := range rule.when {
				all = all && holds(c, d)
			}
			if all {
				return outcome(p, rule.then)
			}
		}
		return outcome(p, r.then)
	}
	return outcome(p, action{kind: Refused, errno: 38})
}

// byNumber holds the rows of each architecture, found the slow way.
var byNumber = sync.OnceValue(func() (rows [2]map[uint32][]row) {
	for index := range arches {
		rows[index] = map[uint32][]row{}
		for _, r := range table() {
			for _, p := range numbers {
				if p.name == r.name && p.numbers[index] >= 0 {
					rows[index][uint32(p.numbers[index])] = []row{r}
				}
			}
		}
	}
	return rows
})

// named reports whether the installed libseccomp knows the call's name.
func named(name string) bool { return known()[name] }

// known holds the names of the table that the installed libseccomp knows. It asks once
// for each name, not for each compared call.
var known = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for _, r := range table() {
		_, err := libseccomp.GetSyscallFromName(r.name)
		all[r.name] = err == nil
	}
	return all
})

func holds(c check, d data) bool {
	got := uint32(d.args[c.arg]) & c.mask
	if c.op == anyBit {
		return got != 0
	}
	found := false
	for _, v := range c.values {
		found = found || v == got
	}
	switch c.op {
	case oneOf:
		return found
	case noneOf:
		return !found
	}
	panic("an op that is none")
}

func outcome(p plan.Seccomp, a action) uint32 {
	if a.kind == Allowed {
		return 0x7fff0000
	}
	if a.kind == Written {
		if p.Mediate {
			return 0x7fc00000
		}
		return 0x7fff0000
	}
	if a.kind == Traced {
		if p.Trace {
			return 0x7fc00000
		}
		return 0x7fff0000
	}
	if a.kind == Dialled {
		if p.Notify || p.Mediate {
			return 0x7fc00000
		}
		return 0x7fff0000
	}
	if a.kind == Observed {
		if p.Opens {
			return 0x7fc00000
		}
		return 0x7fff0000
	}
	if p.Notify && !a.quiet {
		return 0x7fc00000
	}
	return 0x00050000 + uint32(a.errno)
}

// options are all plans whose layer is on.
func options() []plan.Seccomp {
	var all []plan.Seccomp
	for i := range 16 {
		all = append(all, plan.Seccomp{On: true, Notify: i&1 != 0, Opens: i&2 != 0, Alone: i&4 != 0, Mediate: i&8 != 0})
	}
	return append(all, plan.Seccomp{On: true, Notify: true, Opens: true, Trace: true})
}

// eachFilter runs the test for both architectures and every option.
func eachFilter(t *testing.T, test func(t *testing.T, p plan.Seccomp, index int, m machine)) {
	for index, a := range arches {
		for _, p := range options() {
			t.Run(fmt.Sprintf("%s notify=%t opens=%t alone=%t mediate=%t trace=%t", a.name, p.Notify, p.Opens, p.Alone, p.Mediate, p.Trace), func(t *testing.T) {
				t.Parallel()
				f, err := For(p, a.name)
				if err != nil {
					t.Fatal(err)
				}
				m, err := newMachine(f)
				if err != nil {
					t.Fatal(err)
				}
				test(t, p, index, m)
			})
		}
	}
}

// compare runs hundreds of thousands of times: no t.Helper, which walks the stack.
func compare(t *testing.T, p plan.Seccomp, index int, m machine, d data) {
	got, err := m.run(d)
	if err != nil {
		t.Fatal(err)
	}
	want := expect(p, index, d)
	if got != want {
		t.Fatalf("call %d of %#x with %#x: the filter says %#x, the table %#x", d.nr, d.arch, d.args, got, want)
	}
	if got, ok := answer(p, index, d); ok && got != want {
		t.Fatalf("call %d with %#x: Decide says %#x, the table %#x", d.nr, d.args, got, want)
	}
}

// answer is Decide's answer, as a filter's return value, to a call of this machine.
func answer(p plan.Seccomp, index int, d data) (uint32, bool) {
	if arches[index].name != runtime.GOARCH || expect(p, index, d)&0x80000000 != 0 {
		return 0, false
	}
	then, _ := decide(p, int32(d.nr), d.args)
	return then.ret(p), true
}

func maxNumber(index int) uint32 {
	most := 0
	for _, pair := range numbers {
		most = max(most, pair.numbers[index])
	}
	return uint32(most)
}

func TestFilterSaysWhatTheTableSaysForEveryNumberAndABI(t *testing.T) {
	abis := []uint32{0xc000003e, 0x40000003, 0xc00000b7, 0x40000028, 0, 0xffffffff} // amd64, i386, arm64, arm, none
	eachFilter(t, func(t *testing.T, p plan.Seccomp, index int, m machine) {
		for _, abi := range abis {
			for nr := range maxNumber(index) + 51 {
				compare(t, p, index, m, data{nr: nr, arch: abi})
				compare(t, p, index, m, data{nr: nr | 0x40000000, arch: abi}) // x32
				compare(t, p, index, m, data{nr: nr | 0x80000000, arch: abi})
			}
			for _, nr := range []uint32{0x3fffffff, 0x40000000, 0x7fffffff, 0x80000000, 0xffffffff} {
				compare(t, p, index, m, data{nr: nr, arch: abi})
			}
		}
	})
}

// interesting are the values around which a check's result could change.
func (c check) interesting() []uint64 {
	seen := map[uint64]bool{0: true, 1: true, 0x7fffffff: true, 0x80000000: true, 0xffffffff: true}
	put := func(v uint32) {
		for _, near := range []uint32{v - 1, v, v + 1, v &^ c.mask, v | ^c.mask, v ^ 0x80000000} {
			seen[uint64(near)] = true
		}
	}
	for _, v := range c.values {
		put(v)
	}
	for bit := range 32 {
		seen[1<<bit] = true
		seen[uint64(c.mask&(1<<bit))] = true
	}
	put(c.mask)
	var all []uint64
	for v := range seen {
		all = append(all, v, v|1<<32, v|0xffffffff<<32, v|1<<63)
	}
	return all
}

func TestFilterSaysWhatTheTableSaysAtEveryBoundaryOfAnArgument(t *testing.T) {
	eachFilter(t, func(t *testing.T, p plan.Seccomp, index int, m machine) {
		for _, r := range table() {
			nr, ok := number(r.name, index)
			if !ok {
				continue
			}
			for _, rule := range r.rules {
				// Start from arguments for which the whole rule holds, then change one
				// at a time.
				base := data{nr: uint32(nr), arch: arches[index].audit}
				for _, c := range rule.when {
					base.args[c.arg] = c.satisfied()
				}
				for _, c := range rule.when {
					if !holds(c, base) {
						t.Fatalf("%s: the test's own arguments do not satisfy the rule", r.name)
					}
					for _, v := range c.interesting() {
						d := base
						d.args[c.arg] = v
						compare(t, p, index, m, d)
					}
				}
			}
		}
	})
}

// satisfied is an argument for which the check holds.
func (c check) satisfied() uint64 {
	switch c.op {
	case oneOf:
		return uint64(c.values[0])
	case anyBit:
		return uint64(c.mask)
	}
	for v := range uint32(1 << 16) {
		if holds(c, data{args: [6]uint64{uint64(v & c.mask), uint64(v & c.mask), uint64(v & c.mask), uint64(v & c.mask)}}) {
			return uint64(v & c.mask)
		}
	}
	return uint64(c.mask) // for masks whose bits are all high
}

func TestFilterSaysWhatTheTableSaysForEverySocket(t *testing.T) {
	high := []uint64{0, 1 << 32, 0xffffffff << 32}
	protocols := []uint64{0, 1, 6, 17, 58, 132, 256, 262}
	flags := []uint64{0, 0x800, 0x80800, 0x1000}
	eachFilter(t, func(t *testing.T, p plan.Seccomp, index int, m machine) {
		for _, name := range []string{"socket", "socketpair"} {
			nr, _ := number(name, index)
			for family := range uint64(50) {
				for kind := range uint64(16) {
					for _, flag := range flags {
						for _, protocol := range protocols {
							h := high[(family+kind+protocol)%3]
							d := data{nr: uint32(nr), arch: arches[index].audit}
							d.args = [6]uint64{family | h, kind | flag, protocol}
							compare(t, p, index, m, d)
							d.args = [6]uint64{family, kind | flag | h, protocol | h}
							compare(t, p, index, m, d)
						}
					}
				}
			}
		}
	})
}

func TestFilterSaysWhatTheTableSaysForRandomArguments(t *testing.T) {
	eachFilter(t, func(t *testing.T, p plan.Seccomp, index int, m machine) {
		r := rand.New(rand.NewPCG(1, 2)) // the same on every run
		for _, row := range table() {
			nr, ok := number(row.name, index)
			if !ok {
				continue
			}
			for range 50 {
				d := data{nr: uint32(nr), arch: arches[index].audit}
				for i := range d.args {
					d.args[i] = r.Uint64() >> r.IntN(64)
				}
				compare(t, p, index, m, d)
			}
		}
	})
}
