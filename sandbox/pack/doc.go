// Package pack holds what is said about registry packages, as values: the reference by
// which a person or a profile asks for one, the lock that a person reviews and how two
// of them differ, the names and versions of npm and PyPI with the rules of each, and the
// limits of what a package may bring.
//
// A lock comes from other people, so what it says counts only where something else
// says it, too: names and versions are those of the archives, ages are those of
// the registry, addresses are the registry's own, and archives are their hashes.
//
// The package asks no registry (registry), keeps nothing on disk (store) and starts no
// tool (install).
package pack
