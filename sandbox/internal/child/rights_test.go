package child

import (
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
	if files, err := rights(good[:len(good)/2]); err == nil || files != nil {
		t.Errorf("half a message is %v, %v", files, err)
	}
	credentials := unix.UnixCredentials(&unix.Ucred{Pid: 1})
	if files, err := rights(credentials); err != nil || len(files) != 0 {
		t.Errorf("credentials are %v, %v", files, err)
	}
}
