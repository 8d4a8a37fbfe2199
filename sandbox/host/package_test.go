package host

import (
	"os"
	"testing"
)

// Servers start at once for a person who installs the Debian package on Ubuntu 24.04:
// the package holds the profile that doctor would print for its program.
func TestPackageCarriesTheProfile(t *testing.T) {
	carried, err := os.ReadFile("../../scripts/deb/apparmor")
	if err != nil {
		t.Fatal(err)
	}
	if want := AppArmorProfile("/usr/bin/mcpen"); string(carried) != want {
		t.Errorf("scripts/deb/apparmor is\n%s\nand doctor prints\n%s", carried, want)
	}
}
