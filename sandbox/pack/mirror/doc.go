// Package mirror is the registry as an install job sees it: one loopback port, behind
// which the mirror asks the user's registry with the user's credentials. It withholds
// versions that are too young, points every address at itself, and examines each
// archive before a tool gets it.
//
// It chooses no version and starts no tool; if a wheel has to be built, the owner of
// the mirror builds it.
package mirror
