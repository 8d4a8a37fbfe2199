// Package archive looks at an npm tarball or a wheel before a tool may unpack it, and
// refuses what leads out of the package, what two readers would read differently, and
// what is more than the limits allow. It unpacks nothing.
package archive
