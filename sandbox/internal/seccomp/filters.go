package seccomp

import (
	_ "embed" // the filters
	"encoding/binary"
	"fmt"
	"strings"

	"mcpen/sandbox/plan"
)

//go:generate go test -run TestFiltersAreLibseccomps -update

// libseccomp compiles the filters when the table changes, not when a server starts: the
// loaded filter is byte for byte the one that the tests have proved, and not the result
// of another version of the library on the user's machine (GHSA-4q85-33p6-j5g6). There
// is one for each of the plan's choices, in the order of optionOf, encoded by
// MarshalBinary.
var (
	//go:embed filters/amd64.bpf
	amd64Filters string
	//go:embed filters/arm64.bpf
	arm64Filters string
	//go:embed filters/made-by
	madeBy string
)

// MadeBy names the compiler of the filters.
func MadeBy() string { return strings.TrimSpace(madeBy) }

// optionOf is the index of the plan's filter among those of its architecture.
func optionOf(p plan.Seccomp) int {
	if p.Trace {
		return 16 // with Notify and Opens, and nothing else
	}
	n := 0
	for i, on := range []bool{p.Notify, p.Opens, p.Alone, p.Mediate} {
		if on {
			n |= 1 << i
		}
	}
	return n
}

// For returns the plan's filter for the architecture ("amd64" or "arm64", as in
// GOARCH). A plan whose seccomp layer is off is an error, since there is nothing to
// load.
//
// libseccomp accepts a number without a name only for the architecture on which it
// runs. So the filter of the other architecture treats calls younger than the library
// as if they were not in the table.
func For(p plan.Seccomp, arch string) (Filter, error) {
	if !p.On {
		return Filter{}, fmt.Errorf("internal error: a filter for a plan whose seccomp layer is off")
	}
	if p.Trace && (!p.Notify || !p.Opens || p.Alone || p.Mediate) {
		return Filter{}, fmt.Errorf("internal error: no filter traces with %+v", p)
	}
	rest, ok := map[string]string{"amd64": amd64Filters, "arm64": arm64Filters}[arch]
	if !ok {
		return Filter{}, fmt.Errorf("no system call table for architecture %q", arch)
	}
	for range optionOf(p) {
		n, err := encodedLen(rest)
		if err != nil {
			return Filter{}, err
		}
		rest = rest[n:]
	}
	n, err := encodedLen(rest)
	if err != nil {
		return Filter{}, err
	}
	var f Filter
	if err := f.UnmarshalBinary([]byte(rest[:n])); err != nil {
		return Filter{}, err
	}
	if f.arch != arch || f.listens != p.Listens() {
		return Filter{}, fmt.Errorf("internal error: the seccomp filter is another plan's")
	}
	return f, nil
}

// encodedLen is the length of the first of several encoded filters.
func encodedLen(b string) (int, error) {
	if len(b) < headLen {
		return 0, fmt.Errorf("internal error: no seccomp filter")
	}
	n := headLen + size*int(binary.LittleEndian.Uint16([]byte(b[headLen-2:headLen])))
	if n > len(b) {
		return 0, fmt.Errorf("internal error: a damaged seccomp filter")
	}
	return n, nil
}
