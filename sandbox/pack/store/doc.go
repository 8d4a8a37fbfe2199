// Package store keeps package trees by their content hash, read-only, and finds out
// whether one was changed. It stages, freezes and verifies them, and collects trees
// that nobody names.
//
// It does not know the content of a tree or whether somebody wanted it: it checks trees
// as files, for kinds, modes, names, links and sizes.
package store
