package child

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// Shrink gives back what only the start needed: the heap's free pages, and the
// pages of the program itself, of which a process that waits uses few. They are
// read again when they are used. A mapping that cannot be told apart is left
// alone.
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
		// Read-only and of a file: nothing in it can be lost.
		if n < 7 || inode == 0 || strings.Contains(mode, "w") || !strings.HasSuffix(mode, "p") {
			continue
		}
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
	}
}
