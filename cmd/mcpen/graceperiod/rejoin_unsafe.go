package graceperiod

// #include <stdlib.h>
// #include "rejoin.h"
import "C"

import "unsafe"

// rejoin does the constructor's work, with files of a test's own.
func rejoin(cgroups, root string, pid int) {
	a, b := C.CString(cgroups), C.CString(root)
	defer C.free(unsafe.Pointer(a))
	defer C.free(unsafe.Pointer(b))
	C.mcpen_rejoin(a, b, C.int(pid))
}
