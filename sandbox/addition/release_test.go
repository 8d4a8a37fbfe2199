package addition

import "testing"

// A person reads how much was installed, and not a row of digits.
func TestAboutIsForAPerson(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 1023: "1023 bytes", 1536: "1.5 KiB", 17426401: "16.6 MiB", 3 << 30: "3.0 GiB"} {
		if got := about(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
