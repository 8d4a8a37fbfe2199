// Package archive examines an npm tarball or a wheel before a tool may unpack it. It
// refuses entries that lead out of the package, archives that two readers would read
// differently, and those beyond the limits. It unpacks nothing.
package archive
