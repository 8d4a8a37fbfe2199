package writes

import (
	"runtime"
	"unsafe"
)

// pinned keeps memory in its place and returns where that is, as a thread's registers
// would have it.
func pinned(p *runtime.Pinner, b []byte) uint64 {
	p.Pin(unsafe.SliceData(b))
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
}
