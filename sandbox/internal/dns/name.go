package dns

import "strings"

// maxName is the longest name in characters, without the trailing dot (RFC
// 1035, section 2.3.4).
const maxName = 253

// Canonical returns the form in which names are compared: lower case, without the
// trailing dot. It returns "" for an invalid host name: labels consist only of letters,
// digits, hyphens and underscores, so that no later reader can read the name
// differently. Names in other scripts come as punycode (RFC 5891); raw UTF-8 is
// refused.
func Canonical(s string) string {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > maxName {
		return ""
	}
	length := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '.':
			if length == 0 {
				return ""
			}
			length = 0
			continue
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return ""
		}
		if length++; length > 63 {
			return ""
		}
	}
	if length == 0 {
		return ""
	}
	return strings.ToLower(s)
}

// IsLocalhost reports whether name always means the loopback (RFC 6761,
// section 6.3).
func IsLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}
