// Package await waits for descriptors in a goroutine of its own, without Go's poller, at
// the cost of the system call.
//
// A goroutine in a system call keeps its processor (P) until Go's monitor takes it away.
// After that, the monitor looks every 20 µs for a while; in a virtual machine, each look
// costs as much as a quarter of a connection. So a busy Waiter waits as if it computed.
// Go interrupts it by a signal to stop the world, and 10 ms after the last event. Then
// it waits in the usual way until the next one.
package await

import (
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Waiter waits for the events of one goroutine. The zero Waiter is ready for use.
type Waiter struct {
	busy bool      // an event came since the last interruption
	turn time.Time // when the goroutine last let others run
}

// slice is half of the time after which the monitor interrupts a goroutine. Then it also
// takes the processor away from a system call that does not wait.
const slice = 5 * time.Millisecond

// interrupts reports whether Go interrupts what computes.
var interrupts = !strings.Contains(os.Getenv("GODEBUG"), "asyncpreemptoff")

// call makes a system call that waits, and that a signal interrupts although Go's
// handlers have SA_RESTART (signal(7)); it then returns 0. The arguments after d are 0.
//
//go:uintptrescapes
func (w *Waiter) call(number, a, b, c, d uintptr) (int, error) {
	if now := time.Now(); w.busy && now.Sub(w.turn) > slice {
		runtime.Gosched()
		w.turn = now
	}
	do := unix.Syscall6
	if w.busy && interrupts {
		do = unix.RawSyscall6
	}
	n, _, errno := do(number, a, b, c, d, 0, 0)
	w.busy = errno == 0
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, errno
}
