package launch

import (
	"os"
	"path/filepath"

	"github.com/godbus/dbus/v5"
)

// UseBus has the one who asks systemd for a scope take the bus in that folder: the
// bus that the machine was probed by. Left alone, libcontainer prefers what
// DBUS_SESSION_BUS_ADDRESS says, which may be the bus of another session or of none
// any more, and a start fails on a machine that can hold limits. It must be called
// before anything is started; "" and a folder without a bus change nothing.
func UseBus(dir string) {
	if dir == "" {
		return
	}
	socket := filepath.Join(dir, "bus")
	if _, err := os.Stat(socket); err != nil {
		return
	}
	os.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+dbus.EscapeBusAddressValue(socket))
}
