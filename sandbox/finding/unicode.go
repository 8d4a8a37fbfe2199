package finding

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// PlainHidden reports whether a hidden character has an honest use at its position:
// joiners and selectors within emoji, joiners within scripts that need them, direction
// marks beside right-to-left text, a byte order mark at the start, a carriage return
// before a newline.
func PlainHidden(text string, at int, r rune) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:at])
	after, _ := utf8.DecodeRuneInString(text[at+utf8.RuneLen(r):])
	switch r {
	case '\r':
		return true
	case 0x00ad: // soft hyphen
		return unicode.IsLetter(before) && unicode.IsLetter(after)
	case 0xfeff:
		return at == 0
	case 0x200d: // zero width joiner
		return pictograph(before) && pictograph(after) || joins(before) || joins(after)
	case 0x200c: // zero width non-joiner
		return joins(before) && joins(after)
	case 0xfe0e, 0xfe0f: // text or emoji form of the character before
		return pictograph(before) || before == '#' || before == '*' || before-'0' < 10 && before >= '0'
	case 0x200e, 0x200f, 0x061c: // direction marks
		return rightToLeft(before) || rightToLeft(after)
	}
	return false
}

// pictograph reports whether a character is a picture. At an end of the text the rune
// is U+FFFD, which Unicode classifies as a symbol; it does not count.
func pictograph(r rune) bool {
	if r == utf8.RuneError {
		return false
	}
	return r >= 0x2190 && unicode.In(r, unicode.So, unicode.Sm, unicode.Sk, unicode.Variation_Selector) || r == 0xa9 || r == 0xae ||
		r == 0x203c || r == 0x2049 || r >= 0x1f000 && r < 0x1fb00 || r == 0x3030 || r == 0x303d
}

// joins reports whether a script joins its letters, so that joiners have a meaning in
// it.
func joins(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Devanagari, unicode.Bengali, unicode.Gujarati,
		unicode.Gurmukhi, unicode.Kannada, unicode.Malayalam, unicode.Oriya, unicode.Sinhala, unicode.Tamil, unicode.Telugu, unicode.Khmer)
}

func rightToLeft(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Hebrew, unicode.Syriac, unicode.Thaana)
}

// Plain replaces letters of other scripts by the ASCII letters they resemble. It covers
// a part of the confusables of UTS 39: characters that look like an ASCII letter or
// digit in the fonts of terminals and editors.
func Plain(r rune) rune {
	if r < 0x80 {
		return r
	}
	if p, ok := LookAlikes()[r]; ok {
		return p
	}
	switch {
	case r >= 0xff01 && r <= 0xff5e: // full width
		return r - 0xff01 + '!'
	case r >= 0x1d400 && r <= 0x1d6a3: // mathematical letters, 13 alphabets of 52
		if n := (r - 0x1d400) % 52; n < 26 {
			return 'A' + n
		} else {
			return 'a' + n - 26
		}
	case r >= 0x1d7ce && r <= 0x1d7ff: // mathematical digits
		return '0' + (r-0x1d7ce)%10
	case r >= 0x24b6 && r <= 0x24cf: // circled
		return 'A' + r - 0x24b6
	case r >= 0x24d0 && r <= 0x24e9:
		return 'a' + r - 0x24d0
	case r >= 0x1f130 && r <= 0x1f149: // squared
		return 'A' + r - 0x1f130
	}
	return r
}

// LookAlikes returns the characters that look like a Latin letter or a digit, each with
// that letter or digit. It returns the same map each time; do not change it.
var LookAlikes = sync.OnceValue(func() map[rune]rune {
	return map[rune]rune{
		// Cyrillic.
		'а': 'a', 'в': 'b', 'с': 'c', 'ԁ': 'd', 'е': 'e', 'һ': 'h', 'і': 'i', 'ј': 'j', 'к': 'k', 'ӏ': 'l', 'м': 'm', 'о': 'o', 'р': 'p',
		'ԛ': 'q', 'г': 'r', 'ѕ': 's', 'т': 't', 'ѵ': 'v', 'ԝ': 'w', 'х': 'x', 'у': 'y',
		'А': 'A', 'В': 'B', 'С': 'C', 'Е': 'E', 'Ԍ': 'G', 'Н': 'H', 'І': 'I', 'Ј': 'J', 'К': 'K', 'М': 'M', 'О': 'O', 'Р': 'P', 'Ѕ': 'S',
		'Т': 'T', 'Ѵ': 'V', 'Ԝ': 'W', 'Х': 'X', 'У': 'Y', 'З': '3', 'б': '6',
		// Greek.
		'α': 'a', 'ε': 'e', 'ι': 'i', 'κ': 'k', 'ν': 'v', 'ο': 'o', 'ρ': 'p', 'τ': 't', 'υ': 'u', 'χ': 'x', 'γ': 'y',
		'Α': 'A', 'Β': 'B', 'Ε': 'E', 'Ζ': 'Z', 'Η': 'H', 'Ι': 'I', 'Κ': 'K', 'Μ': 'M', 'Ν': 'N', 'Ο': 'O', 'Ρ': 'P', 'Τ': 'T', 'Υ': 'Y', 'Χ': 'X',
		// Armenian, other kinds of Latin, symbols that look like letters.
		'օ': 'o', 'ո': 'n', 'ս': 'u', 'հ': 'h', 'ց': 'g', 'ı': 'i', 'ɑ': 'a', 'ɡ': 'g', 'ɩ': 'i', 'ʟ': 'L', 'ᴏ': 'o', 'ᴜ': 'u', 'ᴠ': 'v', 'ᴡ': 'w', 'ᴢ': 'z',
		'ſ': 's', 'ƚ': 'l', 'ℓ': 'l', 'ℎ': 'h', 'ℯ': 'e', 'ℊ': 'g', 'ℴ': 'o', 'K': 'K', 'Å': 'A', 'ⅰ': 'i', 'ⅼ': 'l', 'ⅽ': 'c', 'ⅾ': 'd', 'ⅿ': 'm',
	}
})

// Mixed reports whether a word mixes Latin letters with look-alikes from another
// script.
func Mixed(word string) bool {
	latin, alike := false, false
	for _, r := range word {
		switch {
		case unicode.Is(unicode.Latin, r):
			latin = true
		case LookAlikes()[r] != 0 && unicode.In(r, unicode.Cyrillic, unicode.Greek, unicode.Armenian):
			alike = true
		}
	}
	return latin && alike
}
