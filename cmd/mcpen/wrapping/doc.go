// Package wrapping puts the servers of clients' files into their pens: what it proposes for
// each (Proposal), what it shows and asks, and how it is carried out (Run), secrets that
// move into the keyring included. Target holds the files of one command, and what was left
// alone.
//
// Package clients knows the files and changes their bytes; package server knows what a
// command means. It reads no command line.
package wrapping
