package launch

import (
	"os"
	"path/filepath"

	"github.com/godbus/dbus/v5"
)

// UseBus makes libcontainer ask for a scope on the bus in that folder, the bus that the
// probe used. Otherwise libcontainer prefers DBUS_SESSION_BUS_ADDRESS, which may name
// the bus of another session or a closed one: a start would then fail on a machine that
// supports limits. Call it before the first start. "" and a folder without a bus change
// nothing.
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
