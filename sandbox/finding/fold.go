package finding

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"mcpen/sandbox/definition"
)

// folded is a text normalized for comparison: lower case, without hidden characters,
// look-alikes replaced by the letters they resemble, one space between words.
type folded struct {
	Text   string
	at     []int32 // for each byte, its position in the original; nil until needed
	spaced string  // the letters that were spaced apart, as written
}

// Fold normalizes a text for comparison. If the letters of a run are spaced apart, it
// joins them first.
func Fold(text string) folded {
	var n folded
	if from, to := spacedRun(text); to > from {
		n.spaced = text[from:to]
		// Only once: letters two spaces apart stay apart.
		n.Text = foldRunes(closeUp(text), nil)
		return n
	}
	if ascii(text) {
		n.Text = foldASCII(text)
	} else {
		n.Text = foldRunes(text, nil)
	}
	return n
}

// foldASCII is foldRunes for an ASCII text.
func foldASCII(text string) string {
	var out strings.Builder
	out.Grow(len(text))
	space := true
	for i := range len(text) {
		c := text[i]
		switch {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			if !space {
				out.WriteByte(' ')
			}
			space = true
			continue
		case c < 0x20:
			continue
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		}
		space = false
		out.WriteByte(c)
	}
	return out.String()
}

// foldRunes folds any text. If from is not nil, it receives for each byte the position
// in text that it comes from.
func foldRunes(text string, from *[]int32) string {
	var out strings.Builder
	out.Grow(len(text))
	came := func(at, bytes int) {
		for range bytes {
			*from = append(*from, int32(at))
		}
	}
	space := true
	for i, r := range text {
		if r >= utf8.RuneSelf || r < 0x20 {
			if r != '\n' && r != '\t' && r != '\r' && definition.Hidden(r) {
				continue
			}
			switch r {
			case '‘', '’', 'ʼ', '′':
				r = '\''
			case '“', '”':
				r = '"'
			case '‐', '‑', '–', '—':
				r = '-'
			default:
				r = Plain(r)
			}
		}
		if unicode.IsSpace(r) {
			if !space {
				out.WriteByte(' ')
				if from != nil {
					came(i, 1)
				}
			}
			space = true
			continue
		}
		space = false
		size, _ := out.WriteRune(unicode.ToLower(r))
		if from != nil {
			came(i, size)
		}
	}
	return out.String()
}

// maxOriginal is the length, in bytes, of the longest text for which a finding quotes
// the original instead of the folded text. The map of positions takes four times the
// text's memory.
const maxOriginal = 256 << 10

// words returns the words of the original for a match in the folded text.
func (n *folded) words(original string, from, to int) string {
	if from >= to || n.spaced != "" || len(original) > maxOriginal {
		return n.Text[from:to]
	}
	if n.at == nil {
		n.at = make([]int32, 0, len(original))
		foldRunes(original, &n.at)
	}
	last := int(n.at[to-1])
	_, size := utf8.DecodeRuneInString(original[last:])
	return original[n.at[from] : last+size]
}

// minSpaced is the shortest run of single letters that is not a list of letters.
const minSpaced = 6

// spacedRun finds single letters one space apart: "S Y S T E M".
func spacedRun(text string) (from, to int) {
	run, start := 0, 0
	for i := 0; i < len(text); i++ {
		alone := isLetter(text[i]) && (i == 0 || text[i-1] == ' ') && (i+1 == len(text) || text[i+1] == ' ')
		if !alone {
			if text[i] != ' ' {
				run = 0
			}
			continue
		}
		if run == 0 {
			start = i
		}
		if run++; run >= minSpaced {
			from, to = start, i+1
		}
	}
	return from, to
}

// closeUp joins single letters that are one space apart.
func closeUp(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == ' ' && i >= 1 && i+1 < len(text) && isLetter(text[i-1]) && isLetter(text[i+1]) &&
			(i == 1 || text[i-2] == ' ') && (i+2 == len(text) || text[i+2] == ' ') {
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
