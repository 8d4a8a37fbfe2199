package child

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Shrink gives back what only the start needed: the heap's free pages, and the
// program's code, of which a process that waits uses little. Code is read again
// from the file when it is used. Nothing else is touched: a mapping that is
// read-only now may hold relocations that are in no file (RELRO).
func Shrink() {
	debug.FreeOSMemory()
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to, offset uintptr
		var mode, dev, path string
		var inode uint64
		n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s %x %s %d %s", &from, &to, &mode, &offset, &dev, &inode, &path)
		if n < 7 || inode == 0 || mode != "r-xp" {
			continue
		}
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
	}
}
