package host

import (
	"os"
	"testing"
)

// Who installs the Debian package on Ubuntu 24.04 has servers start at once: the
// profile that it carries is the one that doctor would print for its program.
func TestPackageCarriesTheProfile(t *testing.T) {
	carried, err := os.ReadFile("../../scripts/deb/apparmor")
	if err != nil {
		t.Fatal(err)
	}
	if want := AppArmorProfile("/usr/bin/mcpen"); string(carried) != want {
		t.Errorf("scripts/deb/apparmor is\n%s\nand doctor prints\n%s", carried, want)
	}
}
