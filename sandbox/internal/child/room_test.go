package child

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/internal/fault"
)

// Many sandboxes that start at once have more descriptors in flight than a user may
// have. Their listeners must all arrive.
func TestSendWaitsForRoom(t *testing.T) {
	near, file, err := NewControl()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far := &Control{file}
	defer far.Close()
	full, tries := 3, 0
	sent := error(nil)
	err = fault.Watch([]uintptr{unix.SYS_SENDMSG}, func(fault.Call) fault.Answer {
		if tries++; tries <= full {
			return fault.Fail(unix.ETOOMANYREFS)
		}
		return fault.Answer{}
	}, func() { sent = near.Send(Message{Kind: Listeners, Files: []*os.File{file}}) })
	if err != nil || sent != nil || tries != full+1 {
		t.Fatalf("%v, %v, in %d tries", err, sent, tries)
	}
	m, err := far.Receive()
	if err != nil || len(m.Files) != 1 {
		t.Fatalf("%v: %d files", err, len(m.Files))
	}
	closeAll(m.Files)
	// Any other error is reported at once.
	tries = 0
	err = fault.Watch([]uintptr{unix.SYS_SENDMSG}, func(fault.Call) fault.Answer {
		tries++
		return fault.Fail(unix.ENOBUFS)
	}, func() { sent = near.Send(Message{Kind: Listeners, Files: []*os.File{file}}) })
	if err != nil || sent == nil || tries != 1 {
		t.Errorf("%v, %v, in %d tries", err, sent, tries)
	}
}
