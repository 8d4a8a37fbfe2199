package child

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ShrinkAfter is the time after which the start of a process and of its server is over;
// until then the server needs the processor more.
const ShrinkAfter = 2 * time.Second

// Shrink re-enables garbage collection, and frees memory that only the start needed:
// the heap's free pages, and the program's code and constants, of which a waiting
// process uses little. The kernel reads those from the file again when needed. So
// Shrink only touches mappings without a page that differs from the file: a mapping
// that is read-only now may hold relocations that exist nowhere else (RELRO).
func Shrink() {
	debug.SetGCPercent(100)
	debug.FreeOSMemory()
	f, err := os.Open("/proc/self/smaps") // proc_pid_smaps(5)
	if err != nil {
		return
	}
	defer f.Close()
	var from, to uintptr
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		var a, b, offset uintptr
		var mode, dev, path string
		var inode uint64
		if n, _ := fmt.Sscanf(line, "%x-%x %s %x %s %d %s", &a, &b, &mode, &offset, &dev, &inode, &path); n >= 6 {
			from, to = 0, 0
			if n == 7 && inode != 0 && strings.HasPrefix(mode, "r-") && strings.HasSuffix(mode, "p") {
				from, to = a, b
			}
			continue
		}
		var kib int
		if n, _ := fmt.Sscanf(line, "Anonymous: %d kB", &kib); n == 1 && kib == 0 && to > from {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}
