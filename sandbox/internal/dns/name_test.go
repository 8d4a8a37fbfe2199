package dns

import (
	"strings"
	"testing"
)

func TestCanonicalNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	for in, want := range map[string]string{
		"api.example.com": "api.example.com", "API.Example.COM": "api.example.com", "api.example.com.": "api.example.com",
		"_dmarc.example.com": "_dmarc.example.com", "xn--bcher-kva.example": "xn--bcher-kva.example", "a": "a",
		long + ".com": long + ".com", "203.0.113.5": "203.0.113.5",

		"": "", ".": "", "..": "", "a..b": "", ".a": "", "a.com..": "", "bücher.example": "", "a b": "", "a/b": "", "a@b": "", "a%00b": "",
		"a\x00.com": "", "a\\.com": "", "*.com": "", "a:443": "", long + "a.com": "", strings.Repeat("a.", 127) + "aa": "", "[::1]": "",
	} {
		if got := Canonical(in); got != want {
			t.Errorf("canonical(%q) = %q, want %q", in, got, want)
		}
	}
}

// A name of the greatest length is valid, one with a byte more is not.
func TestTheLongestName(t *testing.T) {
	label := strings.Repeat("a", 62) + "."
	longest := strings.Repeat(label, 4) + "b"
	for name, good := range map[string]bool{longest: true, longest + ".": true, longest + "b": false, strings.Repeat("a", 63): true, strings.Repeat("a", 64): false, "a..b": false, ".": false, "a.": true} {
		if (Canonical(name) != "") != good {
			t.Errorf("%d characters: %v", len(name), !good)
		}
	}
}
