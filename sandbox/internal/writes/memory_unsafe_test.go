package writes

import (
	"runtime"
	"unsafe"
)

// pinned pins memory and returns its address, as a thread's registers would contain it.
func pinned(p *runtime.Pinner, b []byte) uint64 {
	p.Pin(unsafe.SliceData(b))
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
}
