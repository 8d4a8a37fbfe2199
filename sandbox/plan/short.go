package plan

import "strings"

// shorts are the protected elements by what FAT and NTFS make of them as a second
// name, without its number.
type shorts map[shortName]string

// shortName is a name in eight characters and three: what stands before "~" and
// behind the last dot.
type shortName struct{ base, ending string }

// maxShort is the length of "ABCDEF~1.GHI".
const maxShort = 12

// add takes a folded element that has a short name: one that is no short name itself.
func (s shorts) add(element string) {
	base, ending := split(strings.TrimLeft(element, "."))
	base = strings.NewReplacer(".", "", " ", "").Replace(base)
	if base == "" || strings.Contains(element, "*") || !strings.HasPrefix(element, ".") && len(base) <= 8 && len(ending) <= 3 {
		return
	}
	s[shortName{base[:min(6, len(base))], ending[:min(3, len(ending))]}] = element
	s[shortName{base[:min(2, len(base))] + "####", ending[:min(3, len(ending))]}] = element // the fifth of its kind, with a checksum
}

// long is the protected element that a folded element is a short name of, or the
// element itself. A file system with such names (VFAT, NTFS by any of its drivers)
// finds .vscode by VSCODE~1, too, and the kernel tells the name as it was asked for.
// Nobody uses such a name where there are none.
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
