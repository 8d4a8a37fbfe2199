package audit

import "testing"

// A server that writes to stderr must not control its user's terminal, and must not
// hide its output.
func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, ключ 鍵 é\t😀":   "plain text, ключ 鍵 é\t😀",
		"\x1b[2J\x1b]0;title\x07":   `\x1b[2J\x1b]0;title\x07`,
		"a\rb\nc\x00\x7f":           `a\x0db\x0ac\x00\x7f`,
		"\u009b2J":                  `\u009b2J`, // CSI as one C1 character
		"\xff\xc3(":                 `\xff\xc3(`,
		"abc\u202egpj.exe\u2066":    `abc\u202egpj.exe\u2066`,
		"a\u200bb\u200dc\ufeffd":    `a\u200bb\u200dc\ufeffd`,
		"\U000e0041\U000e0042":      `\U000e0041\U000e0042`, // tags: hidden ASCII
		"x\ufe0fy\U000e0101":        `x\ufe0fy\U000e0101`,
		"\u3164\uffa0\u115f\u034f":  `\u3164\uffa0\u115f\u034f`,
		"\u2028\u2029\u0085\u00ad":  `\u2028\u2029\u0085\u00ad`,
		"\ue000\U0010fffd\ufffd ok": "\\ue000\\U0010fffd\ufffd ok", // private use; a U+FFFD that was there
	} {
		if got := Visible(in); got != want {
			t.Errorf("Visible(%q) = %q, want %q", in, got, want)
		}
	}
}
