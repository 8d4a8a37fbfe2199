// Package seccomp holds the system calls that a server may make: one table with a
// reason on every line, the rules from which libseccomp makes a filter, and the calls
// that load the filter. Package notify answers the calls that a filter notifies.
//
// The table is data ([plan.Seccomp] selects from it). Its rules are ordered, and
// libseccomp's are not: the compiler splits them into cases that exclude each other. A
// case consists of masked comparisons, at most one an argument. libseccomp before 2.6.1
// merges some 64-bit comparisons wrongly (GHSA-4q85-33p6-j5g6), so the tests compare
// its program with the table for every number, argument and option.
//
// A call that is not in the table fails with ENOSYS, so that a program falls back as on
// an older kernel. Calls known to be dangerous fail with EPERM. A call of another ABI
// (i386, x32) kills the process: its numbers mean other calls.
//
// The filter compares only the low 32 bits of an argument, because the kernel reads
// only those of an int: a filter that compares 64 bits allows a caller who sets bit 32
// (CVE-2019-10063). Every argument in the table is an int, an unsigned int, a mode, or
// one whose high bits make the kernel refuse the call. Filters cannot follow pointers,
// so nothing in memory is checked. Calls that hide the decisive argument behind a
// pointer (clone3, openat2, io_uring) are absent.
package seccomp

import (
	"slices"
	"strings"
)

//go:generate go run mknumbers.go

// Linux's error numbers, the same on both architectures. They are literals so that the
// compiler builds on any system.
const (
	eperm           = 1
	enosys          = 38
	enoprotoopt     = 92
	eprotonosupport = 93
	esocktnosupport = 94
	eopnotsupp      = 95
	eafnosupport    = 97
)

// arches are the architectures in the order of the pairs in numbers.
var arches = []arch{
	{name: "amd64", audit: 0xc000003e, foreign: 0x40000000}, // the bit that marks x32
	{name: "arm64", audit: 0xc00000b7},
}

// arch is the filter's knowledge of an architecture.
type arch struct {
	name    string
	audit   uint32 // AUDIT_ARCH_*
	foreign uint32 // numbers from here on belong to another ABI; 0: none do
}

// pair is a call's number on each of the arches; -1 where it has none.
type pair struct {
	name    string
	numbers [2]int
}

// number returns the call's number on the architecture with the index.
func number(name string, index int) (int, bool) {
	i, ok := slices.BinarySearchFunc(numbers[:], name, func(p pair, name string) int { return strings.Compare(p.name, name) })
	if !ok || numbers[i].numbers[index] < 0 {
		return 0, false
	}
	return numbers[i].numbers[index], true
}

func indexOf(name string) (int, bool) {
	for i, a := range arches {
		if a.name == name {
			return i, true
		}
	}
	return 0, false
}
