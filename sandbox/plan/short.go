package plan

import "strings"

// shorts maps the short name that FAT and NTFS give a protected element to that
// element. The key leaves out the number.
type shorts map[shortName]string

// shortName is an 8.3 name: base is the part before "~", ending the part after the last
// dot.
type shortName struct{ base, ending string }

// maxShort is the length of "ABCDEF~1.GHI".
const maxShort = 12

// add enters a folded element. It skips an element that fits into 8.3, since that has
// no other name.
func (s shorts) add(element string) {
	base, ending := split(strings.TrimLeft(element, "."))
	base = strings.NewReplacer(".", "", " ", "").Replace(base)
	if base == "" || strings.Contains(element, "*") || !strings.HasPrefix(element, ".") && len(base) <= 8 && len(ending) <= 3 {
		return
	}
	s[shortName{base[:min(6, len(base))], ending[:min(3, len(ending))]}] = element
	s[shortName{base[:min(2, len(base))] + "####", ending[:min(3, len(ending))]}] = element // the fifth of its kind, with a checksum
}

// long returns the protected element with this short name, or else the element itself.
// VFAT and NTFS open .vscode as VSCODE~1, too, and the kernel reports the name that the
// caller used. Other file systems have no short names, and hardly anybody gives a file
// such a name.
func (s shorts) long(element string) string {
	if len(element) > maxShort || !strings.Contains(element, "~") {
		return element
	}
	base, ending := split(element)
	base, number, _ := strings.Cut(base, "~")
	if number == "" || strings.Trim(number, "0123456789") != "" {
		return element
	}
	if long, ok := s[shortName{base, ending}]; ok {
		return long
	}
	if len(base) > 4 && strings.Trim(base[len(base)-4:], "0123456789abcdef") == "" {
		if long, ok := s[shortName{base[:len(base)-4] + "####", ending}]; ok {
			return long
		}
	}
	return element
}

// split cuts a name at its last dot.
func split(name string) (base, ending string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return name, ""
}
