package launch

import (
	"os"
	"path/filepath"
	"testing"
)

// A person whose editor was started from an older session still gets limits.
func TestUseBus(t *testing.T) {
	const variable = "DBUS_SESSION_BUS_ADDRESS"
	t.Setenv(variable, "unix:path=/nowhere")
	dir := filepath.Join(t.TempDir(), "a b")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, none := range []string{"", dir} {
		if UseBus(none); os.Getenv(variable) != "unix:path=/nowhere" {
			t.Errorf("%q has no bus, and took the address away", none)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bus"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if UseBus(dir); os.Getenv(variable) != "unix:path="+filepath.Dir(dir)+"/a%20b/bus" {
		t.Errorf("the bus is %q", os.Getenv(variable))
	}
}
