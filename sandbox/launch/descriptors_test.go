package launch

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// On an old kernel the message names the required version, not a system call.
func TestKernelBelowTheFloorIsNamed(t *testing.T) {
	for err, want := range map[error]string{unix.EINVAL: "Linux 5.13 or newer", unix.ENOSYS: "Linux 5.13 or newer", unix.EMFILE: "cannot close inherited descriptors"} {
		got := hidden(err)
		var e *Error
		old := errors.As(got, &e)
		if got == nil || !strings.Contains(got.Error(), want) || old != (err != unix.EMFILE) || old && (e.Code != ExitSandbox || e.Hint != "mcpen doctor") {
			t.Errorf("%v is told as %v", err, got)
		}
	}
	if err := HideDescriptors(); err != nil {
		t.Error(err)
	}
}
