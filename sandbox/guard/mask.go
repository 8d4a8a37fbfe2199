package guard

import (
	"bytes"
	"slices"
	"strings"

	"mcpen/sandbox/plan"
)

// minSecret is the length below which a secret is not looked for: it would be
// found everywhere.
const minSecret = 6

const maskText = "[secret]"

// masker replaces secrets.
type masker struct {
	secrets []string // longest first
	odd     bool     // one has characters that JSON writes in several ways
}

func newMasker(secrets []plan.Opaque) *masker {
	m := &masker{}
	for _, s := range secrets {
		// A secret from a file often ends in a newline that the server trims.
		text := strings.TrimSpace(string(s))
		if len(text) < minSecret || slices.Contains(m.secrets, text) {
			continue
		}
		m.secrets = append(m.secrets, text)
		m.odd = m.odd || strings.IndexFunc(text, func(r rune) bool {
			return r < 0x20 || r > 0x7e || strings.ContainsRune("\"\\/<>&'", r)
		}) >= 0
	}
	slices.SortFunc(m.secrets, func(a, b string) int { return len(b) - len(a) })
	return m
}

func (m *masker) in(text []byte) bool {
	for _, s := range m.secrets {
		if bytes.Contains(text, []byte(s)) {
			return true
		}
	}
	return false
}

func (m *masker) replace(text string) (string, bool) {
	found := false
	for _, s := range m.secrets {
		if strings.Contains(text, s) {
			text = strings.ReplaceAll(text, s, maskText)
			found = true
		}
	}
	return text, found
}

// line masks the secrets in the strings of a line that View accepted, but for those in
// keep. It returns nil if there are none. A number that is a secret stays: no
// replacement would read as a number on the other side.
func (m *masker) line(line, keep []byte) []byte {
	if len(m.secrets) == 0 {
		return nil
	}
	escaped := m.odd && bytes.IndexByte(line, '\\') >= 0 || bytes.Contains(line, []byte(`\u`))
	plain := m.in(line)
	if !escaped && !plain {
		return nil
	}
	return rewrite(line, keep, !plain, func(_ bool, text string) (string, bool) { return m.replace(text) })
}
