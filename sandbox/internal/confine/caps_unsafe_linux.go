package confine

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// override is CAP_DAC_OVERRIDE, the only capability that root's launcher keeps: the
// folders of control groups have mode 0555, and nobody else may write to them. Landlock
// limits it to these files.
const override = 1 << unix.CAP_DAC_OVERRIDE

// dropCapabilities drops all others on every thread. An unprivileged process has none
// to drop.
func dropCapabilities() error {
	hdr := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	have := &[2]unix.CapUserData{}
	if err := unix.Capget(hdr, &have[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	if *have == ([2]unix.CapUserData{}) {
		return nil
	}
	kept := &[2]unix.CapUserData{{Effective: have[0].Effective & override, Permitted: have[0].Permitted & override}}
	var pin runtime.Pinner
	pin.Pin(hdr)
	pin.Pin(kept)
	defer pin.Unpin()
	if _, _, errno := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(hdr)), uintptr(unsafe.Pointer(kept)), 0); errno != 0 {
		return os.NewSyscallError("capset", errno)
	}
	return nil
}
