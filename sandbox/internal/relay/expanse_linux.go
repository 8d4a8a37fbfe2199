package relay

import (
	"os"

	"golang.org/x/sys/unix"
)

// expanse is a buffer for one very long line: address space for the longest possible
// line, of which the system backs only the written part with memory. So it grows
// without a copy, and its used part is freed without waiting for a collector. A nil
// expanse is empty.
type expanse struct{ mem []byte }

// newExpanse reserves address space. It returns nil if the system has none left, or
// counts it as memory (vm.overcommit_memory=2).
func newExpanse(size int) *expanse {
	page := os.Getpagesize()
	mem, err := unix.Mmap(-1, 0, (size+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	// A huge page would back two megabytes that nobody wrote to.
	_ = unix.Madvise(mem, unix.MADV_NOHUGEPAGE) // a kernel without huge pages refuses
	return &expanse{mem}
}

// all is the whole buffer: at least as long as the longest line and one byte.
func (e *expanse) all() []byte {
	if e == nil {
		return nil
	}
	return e.mem
}

// giveBack frees the memory of the whole pages after an offset, which then read as
// zeros.
func (e *expanse) giveBack(from int) {
	page := os.Getpagesize()
	if from = (from + page - 1) / page * page; e != nil && from < len(e.mem) {
		_ = unix.Madvise(e.mem[from:], unix.MADV_DONTNEED) // on failure the memory is simply reused
	}
}

// close releases the address space.
func (e *expanse) close() {
	if e != nil && e.mem != nil {
		_ = unix.Munmap(e.mem) // nothing uses it any more
		e.mem = nil
	}
}
