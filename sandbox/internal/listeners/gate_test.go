package listeners

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A filter that the kernel does not take is an error: a gate without one would let every
// opening packet through undecided.
func TestAFilterIsAttachedOrAnError(t *testing.T) {
	if err := attach(-1, []bpf.Instruction{bpf.LoadAbsolute{Size: 3}}); err == nil || !strings.Contains(err.Error(), "internal error: cannot assemble a filter") {
		t.Errorf("%v", err)
	}
	if err := attach(-1, closed); !errors.Is(err, unix.EBADF) {
		t.Errorf("%v", err)
	}
}
