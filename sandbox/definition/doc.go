// Package definition holds what a server says of itself, its tools, prompts and
// resources, as a person approves it: definitions in canonical form, the pins of those
// that were seen and decided about, the difference between two for a reader, and what may
// differ between two starts without being a change. It is values alone: package guard
// decides by them while a server speaks, sandbox/launch keeps them in files, and package
// finding looks for words in them that are meant for a model.
package definition
