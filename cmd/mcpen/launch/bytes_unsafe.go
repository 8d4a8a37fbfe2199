package launch

import "unsafe"

// bytesOf is the memory of a string. It must not be written to: that of an
// embedded file is read-only, and a copy of it would be megabytes.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
