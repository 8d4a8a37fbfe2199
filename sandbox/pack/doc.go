// Package pack holds statements about registry packages, as values: the reference by
// which a person or a profile asks for one, the lock that a person reviews, the
// difference of two locks, the names and versions of npm and PyPI with the rules of
// each, and the limits of a package's contents.
//
// A lock comes from other people, so its statements count only if another source
// confirms them: names and versions are those of the archives, ages are those of the
// registry, addresses are the registry's own, and archives are their hashes.
//
// The package asks no registry (registry), keeps nothing on disk (store) and starts no
// tool (install).
package pack
