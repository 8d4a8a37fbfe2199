package await

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// kinds are the ways to wait until a descriptor is readable.
var kinds = map[string]func(t *testing.T, fd int) func(w *Waiter) (int, error){
	"poll": func(_ *testing.T, fd int) func(w *Waiter) (int, error) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		return func(w *Waiter) (int, error) { return w.Poll(fds) }
	},
	"epoll": func(t *testing.T, fd int) func(w *Waiter) (int, error) {
		ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(ep) })
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			t.Fatal(err)
		}
		events := make([]unix.EpollEvent, 4)
		return func(w *Waiter) (int, error) {
			n, err := w.Epoll(ep, events)
			if n > 0 && events[0].Fd != int32(fd) {
				err = errors.New("an event of another descriptor")
			}
			return n, err
		}
	},
}

// A launcher whose server is quiet must collect its garbage, and must not burn a
// processor: a Waiter that was busy lets Go stop the world, and then waits like any
// other goroutine.
func TestBusyWaiterIsInterrupted(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
			if err != nil {
				t.Fatal(err)
			}
			ring := func() { _, _ = unix.Write(bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }
			wait := kind(t, bell)
			events := make(chan bool)
			var interruptions atomic.Int32
			var over atomic.Bool
			go func() {
				defer unix.Close(bell)
				defer close(events)
				var w Waiter
				for !over.Load() {
					n, err := wait(&w)
					switch {
					case err != nil || w.busy != (n > 0):
						t.Errorf("%d events, error %v, busy %v", n, err, w.busy)
						return
					case n == 0:
						interruptions.Add(1)
						continue
					}
					var b [8]byte
					_, _ = unix.Read(bell, b[:])
					events <- true
				}
			}()
			for range 3 {
				ring()
				next(t, events)
			}
			for end := time.Now().Add(20 * time.Second); interruptions.Load() == 0; time.Sleep(time.Millisecond) {
				runtime.GC() // hangs if the waiter cannot be interrupted
				if time.Now().After(end) {
					t.Fatal("nothing interrupts a busy waiter")
				}
			}
			before := interruptions.Load()
			time.Sleep(200 * time.Millisecond)
			if n := interruptions.Load() - before; n > 5 {
				t.Errorf("an idle waiter is interrupted: %d times in 200 ms", n)
			}
			ring()
			next(t, events)
			over.Store(true)
			ring()
			for range events {
			}
		})
	}
}

func next(t *testing.T, events <-chan bool) {
	t.Helper()
	select {
	case <-events:
	case <-time.After(20 * time.Second):
		t.Fatal("no event comes")
	}
}

// A Waiter that serves all the time lets the goroutines of its processor run.
func TestBusyWaiterGivesWay(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	bell, err := unix.Eventfd(1, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(bell)
	ran := make(chan struct{})
	go close(ran)
	var w Waiter
	fds := []unix.PollFd{{Fd: int32(bell), Events: unix.POLLIN}}
	for end := time.Now().Add(20 * time.Second); ; {
		if n, err := w.Poll(fds); n > 1 || err != nil {
			t.Fatal(n, err)
		}
		select {
		case <-ran:
			return
		default:
		}
		if time.Now().After(end) {
			t.Fatal("nothing else runs")
		}
	}
}

// On a small machine the Waiters of a server and of its network must leave a processor to
// the rest of the launcher: otherwise each connection, and each line of the protocol,
// waits until Go interrupts one of them, 10 ms later.
func TestWaitersLeaveAProcessor(t *testing.T) {
	for _, procs := range []int{1, 2, 3} {
		before := runtime.GOMAXPROCS(procs)
		const waiters = 3
		var bells [waiters]int
		var all sync.WaitGroup
		var most atomic.Int32
		for i := range bells {
			var err error
			if bells[i], err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
				t.Fatal(err)
			}
			defer unix.Close(bells[i])
		}
		for i, bell := range bells {
			all.Go(func() {
				var w Waiter
				for range 200 {
					for n := 0; n == 0; {
						var err error
						if n, err = w.Poll([]unix.PollFd{{Fd: int32(bell), Events: unix.POLLIN}}); err != nil {
							t.Error(err)
							return
						}
					}
					var b [8]byte
					_, _ = unix.Read(bell, b[:])
					// The next one rings when this one waits again.
					next := bells[(i+1)%waiters]
					_, _ = unix.Write(next, []byte{1, 0, 0, 0, 0, 0, 0, 0})
					if n := keeping.Load(); n > most.Load() {
						most.Store(n)
					}
				}
			})
		}
		_, _ = unix.Write(bells[0], []byte{1, 0, 0, 0, 0, 0, 0, 0})
		all.Wait()
		runtime.GOMAXPROCS(before)
		if n := int(most.Load()); n > procs-1 {
			t.Errorf("%d Waiters keep the %d processors", n, procs)
		}
		if n := keeping.Load(); n != 0 {
			t.Errorf("%d Waiters that have ended keep a processor", n)
		}
	}
}

// An error of the call is no event, and no interruption.
func TestErrorsAreReturned(t *testing.T) {
	for name, kind := range map[string]func(*Waiter) (int, error){
		"poll":  func(w *Waiter) (int, error) { return w.Poll(make([]unix.PollFd, 1<<21)) }, // RLIMIT_NOFILE (poll(2))
		"epoll": func(w *Waiter) (int, error) { return w.Epoll(-1, make([]unix.EpollEvent, 1)) },
	} {
		for _, busy := range []bool{false, true} {
			w := Waiter{busy: busy}
			if n, err := kind(&w); n != 0 || err == nil || w.busy {
				t.Errorf("%s: %d %v, busy %v", name, n, err, w.busy)
			}
		}
	}
}
