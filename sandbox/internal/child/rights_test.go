package child

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// What is no list of descriptors is an error or nothing, and never somebody else's
// descriptor.
func TestRightsThatAreNone(t *testing.T) {
	if files, err := rights(nil); err != nil || files != nil {
		t.Errorf("nothing is %v, %v", files, err)
	}
	good := unix.UnixRights(0)
	binary.NativeEndian.PutUint64(good, 1000) // its length, as it says
	if files, err := rights(good); err == nil || files != nil {
		t.Errorf("a message longer than it is: %v, %v", files, err)
	}
	credentials := unix.UnixCredentials(&unix.Ucred{Pid: 1})
	if files, err := rights(credentials); err != nil || len(files) != 0 {
		t.Errorf("credentials are %v, %v", files, err)
	}
}
