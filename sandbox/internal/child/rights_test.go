package child

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// An invalid list of descriptors gives an error or no descriptor, and never a wrong
// one.
func TestRightsThatAreNone(t *testing.T) {
	if files, err := rights(nil); err != nil || files != nil {
		t.Errorf("nothing is %v, %v", files, err)
	}
	good := unix.UnixRights(0)
	binary.NativeEndian.PutUint64(good, 1000) // its claimed length
	if files, err := rights(good); err == nil || files != nil {
		t.Errorf("a message longer than it is: %v, %v", files, err)
	}
	credentials := unix.UnixCredentials(&unix.Ucred{Pid: 1})
	if files, err := rights(credentials); err != nil || len(files) != 0 {
		t.Errorf("credentials are %v, %v", files, err)
	}
}
