package writes

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// masked makes a file or directory under the calling thread's umask. It cannot apply
// the umask to the mode itself: the kernel ignores the umask if the directory has a
// default ACL (umask(2)).
func (c *call) masked(make func() error) error {
	mask, err := umaskOf(c.r.TID)
	if err != nil {
		return unix.ESRCH // the thread is gone
	}
	unix.Umask(mask)
	return make()
}

// umaskOf reads a thread's umask (proc_pid_status(5), Linux 4.7).
func umaskOf(tid int) (int, error) {
	f, err := unix.Open("/proc/"+strconv.Itoa(tid)+"/status", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(f)
	var buf [256]byte // it is in the second line, after a name of at most 64 bytes
	n, err := unix.Read(f, buf[:])
	if err != nil {
		return 0, err
	}
	_, rest, ok := bytes.Cut(buf[:n], []byte("\nUmask:\t"))
	word, _, more := bytes.Cut(rest, []byte("\n"))
	if !ok || !more {
		return 0, os.ErrNotExist
	}
	mask, err := strconv.ParseUint(string(word), 8, 32)
	return int(mask), err
}

// giveUp ends the opening of a FIFO whose other end never comes, once the calling
// thread is gone: it opens both ends itself.
func (c *call) giveUp(fd int, done <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			if c.r.Waits() {
				continue
			}
			both, err := unix.Open(fdPath(fd), unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err == nil {
				<-done
				unix.Close(both)
			}
			return
		}
	}
}
