// Package store keeps package trees by their content hash, read-only, and finds out
// when one was changed. It stages, freezes, verifies, and collects what nobody names.
//
// What is in a tree, and whether that is what somebody wanted, it does not know: trees
// are checked as files are, for kinds, modes, names, links and sizes.
package store
