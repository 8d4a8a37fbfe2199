// Package await waits for descriptors in a goroutine of its own, without Go's poller, at
// the cost of the system call.
//
// A goroutine in a system call keeps its processor (P) until Go's monitor takes it away.
// After that, the monitor looks every 20 µs for a while; in a virtual machine, each look
// costs as much as a quarter of a connection. So a busy Waiter waits as if it computed.
// Go interrupts it by a signal to stop the world, and 10 ms after the last event. Then
// it waits in the usual way until the next one. So do the Waiters that would leave no
// processor to the rest of the program: with one processor, all of them.
package await

import (
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Waiter waits for the events of one goroutine. The zero Waiter is ready for use.
type Waiter struct {
	busy bool      // an event came since the last interruption
	turn time.Time // when the goroutine last let others run
	most int32     // the number of Waiters that may keep a processor, as of turn
}

// keeping is the number of Waiters that keep a processor while they wait.
var keeping atomic.Int32

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
		w.turn, w.most = now, int32(runtime.GOMAXPROCS(0)-1)
	}
	do := unix.Syscall6
	keeps := w.busy && interrupts && w.keep()
	if keeps {
		do = unix.RawSyscall6
	}
	n, _, errno := do(number, a, b, c, d, 0, 0)
	if keeps {
		keeping.Add(-1)
	}
	w.busy = errno == 0
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

// keep reports whether w may keep its processor. If so, the caller must lower keeping
// after the wait.
func (w *Waiter) keep() bool {
	for n := keeping.Load(); n < w.most; n = keeping.Load() {
		if keeping.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}
