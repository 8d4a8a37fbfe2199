// Package mirror is the registry as an install job sees it: one loopback port, behind
// which the user's registry is asked with the user's credentials. It withholds what is
// too young, points every address at itself, and looks at each archive before a tool
// gets it.
//
// It chooses no version and starts no tool; a wheel that has to be built is made by
// whoever started the mirror.
package mirror
