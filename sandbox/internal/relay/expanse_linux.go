package relay

import (
	"os"

	"golang.org/x/sys/unix"
)

// expanse is room for one very long line: addresses for the longest that there may
// be, of which the system backs with memory what is written to. So it grows without
// a copy, and what was used of it is given back without waiting for a collector.
// A nil expanse is empty.
type expanse struct{ mem []byte }

// newExpanse takes addresses; nil where the system has none left, or counts them as
// if they were memory (vm.overcommit_memory=2).
func newExpanse(size int) *expanse {
	page := os.Getpagesize()
	mem, err := unix.Mmap(-1, 0, (size+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	// A huge page is memory for two megabytes that nobody wrote to.
	_ = unix.Madvise(mem, unix.MADV_NOHUGEPAGE) // a kernel without them has none
	return &expanse{mem}
}

// all is the whole of it, as long as the longest line and one byte, or longer.
func (e *expanse) all() []byte {
	if e == nil {
		return nil
	}
	return e.mem
}

// giveBack returns the memory of the whole pages behind an offset, which read as zeros
// afterwards.
func (e *expanse) giveBack(from int) {
	page := os.Getpagesize()
	if from = (from + page - 1) / page * page; e != nil && from < len(e.mem) {
		_ = unix.Madvise(e.mem[from:], unix.MADV_DONTNEED) // it is used again all the same
	}
}

// close returns the addresses.
func (e *expanse) close() {
	if e != nil && e.mem != nil {
		_ = unix.Munmap(e.mem) // nobody has any use for it
		e.mem = nil
	}
}
