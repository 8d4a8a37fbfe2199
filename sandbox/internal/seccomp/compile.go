package seccomp

import (
	"fmt"
	"slices"
	"sort"

	"golang.org/x/net/bpf"

	"mcpen/sandbox/plan"
)

// Offsets in struct seccomp_data. Both architectures are little-endian: an
// argument's low half comes first.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// Compile builds the filter that the plan asks for on the architecture ("amd64"
// or "arm64", as in GOARCH). It is pure and builds either on either. A plan
// whose seccomp layer is off is an error: there is nothing to load.
func Compile(p plan.Seccomp, arch string) (Filter, error) {
	if !p.On {
		return Filter{}, fmt.Errorf("internal error: a filter for a plan whose seccomp layer is off")
	}
	index, ok := indexOf(arch)
	if !ok {
		return Filter{}, fmt.Errorf("no system call table for architecture %q", arch)
	}
	leaves, err := leavesOf(p, index)
	if err != nil {
		return Filter{}, err
	}
	prog := append(prologue(arches[index]), tree(leaves)...)
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return Filter{}, fmt.Errorf("internal error: cannot assemble the seccomp filter: %v", err)
	}
	f := Filter{arch: arch, listens: p.Notify || p.Opens, prog: raw}
	return f, f.check()
}

// prologue kills what is not the native ABI and leaves the number in A.
func prologue(a arch) []bpf.Instruction {
	prog := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: a.audit, SkipTrue: 1},
		bpf.RetConstant{Val: retKill},
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
	}
	if a.foreign != 0 {
		prog = append(prog,
			bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: a.foreign, SkipFalse: 1},
			bpf.RetConstant{Val: retKill})
	}
	return prog
}

// leaf is the code for the numbers from first up to the next leaf's.
type leaf struct {
	first uint32
	code  []bpf.Instruction
}

// leavesOf turns the table into code, ordered by number; neighbours that are
// told the same share a leaf.
func leavesOf(p plan.Seccomp, index int) ([]leaf, error) {
	byNumber := map[int]row{}
	for _, r := range table {
		if n, ok := number(r.name, index); ok {
			byNumber[n] = r
		}
	}
	rest := []bpf.Instruction{bpf.RetConstant{Val: absent.ret(p)}}
	leaves := []leaf{{0, rest}}
	add := func(n int, code []bpf.Instruction) {
		if last := len(leaves) - 1; n == int(leaves[last].first) {
			leaves[last].code = code
		} else if !slices.Equal(leaves[last].code, code) {
			leaves = append(leaves, leaf{uint32(n), code})
		}
	}
	known := make([]int, 0, len(byNumber))
	for n := range byNumber {
		known = append(known, n)
	}
	sort.Ints(known)
	next := 0
	for _, n := range known {
		if n > next {
			add(next, rest)
		}
		code, err := byNumber[n].code(p)
		if err != nil {
			return nil, err
		}
		add(n, code)
		next = n + 1
	}
	add(next, rest)
	return leaves, nil
}

// tree finds the leaf of the number in A by halving.
func tree(leaves []leaf) []bpf.Instruction {
	if len(leaves) == 1 {
		return leaves[0].code
	}
	mid := len(leaves) / 2
	left, right := tree(leaves[:mid]), tree(leaves[mid:])
	var prog []bpf.Instruction
	if at := leaves[mid].first; len(left) <= 255 {
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: at, SkipTrue: uint8(len(left))})
	} else { // a conditional jump reaches 255 instructions, a plain one all
		prog = append(prog,
			bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: at, SkipFalse: 1},
			bpf.Jump{Skip: uint32(len(left))})
	}
	return append(append(prog, left...), right...)
}

// code is the row's part of the program. It always ends in a return.
func (r row) code(p plan.Seccomp) ([]bpf.Instruction, error) {
	var prog []bpf.Instruction
	for _, rule := range r.rules {
		if !rule.in(p) {
			continue
		}
		code, err := rule.code(p)
		if err != nil {
			return nil, fmt.Errorf("internal error: the rules of %s: %v", r.name, err)
		}
		prog = append(prog, code...)
	}
	return append(prog, bpf.RetConstant{Val: r.then.ret(p)}), nil
}

// code returns the rule's action where all its checks hold and else runs on
// behind its end.
func (r rule) code(p plan.Seccomp) ([]bpf.Instruction, error) {
	prog := []bpf.Instruction{bpf.RetConstant{Val: r.then.ret(p)}}
	for _, c := range slices.Backward(r.when) {
		code, err := c.code(len(prog))
		if err != nil {
			return nil, err
		}
		prog = append(code, prog...)
	}
	return prog, nil
}

// code runs on behind its end where the check holds and else skips rest more
// instructions.
func (c check) code(rest int) ([]bpf.Instruction, error) {
	if rest+len(c.values) > 255 {
		return nil, fmt.Errorf("a rule of more than 255 instructions")
	}
	prog := []bpf.Instruction{bpf.LoadAbsolute{Off: uint32(offArgs + 8*c.arg), Size: 4}}
	if c.op == anyBit {
		return append(prog, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: c.mask, SkipFalse: uint8(rest)}), nil
	}
	if c.mask != whole {
		prog = append(prog, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: c.mask})
	}
	for i, v := range c.values {
		left := len(c.values) - 1 - i // values that are still to be compared
		jump := bpf.JumpIf{Cond: bpf.JumpEqual, Val: v}
		switch {
		case c.op == noneOf:
			jump.SkipTrue = uint8(left + rest)
		case left > 0:
			jump.SkipTrue = uint8(left)
		default:
			jump.SkipFalse = uint8(rest)
		}
		prog = append(prog, jump)
	}
	return prog, nil
}
