package child

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// execve is execve(2) and nothing else. The standard library's also puts the
// limit on open files back to what it was when this process started, which
// would undo the plan's.
func execve(path string, argv, envv []string) error {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return &os.PathError{Op: "execve", Path: path, Err: err}
	}
	a, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return &os.PathError{Op: "execve", Path: path, Err: err}
	}
	e, err := syscall.SlicePtrFromStrings(envv)
	if err != nil {
		return &os.PathError{Op: "execve", Path: path, Err: err}
	}
	_, _, errno := syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&e[0])))
	return &os.PathError{Op: "execve", Path: path, Err: errno}
}
