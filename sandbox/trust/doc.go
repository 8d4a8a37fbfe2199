// Package trust keeps what a person trusted and lets nothing else start: a profile that
// is not the person's own, with everything that it extends, its lock, the decisions about
// its server's definitions, the symlinks that it names (Evidence), and what a start adds
// to its words (Use). Gate compares that with the kept Decision. Change carries a
// decision over what mcpen itself writes at the person's word.
//
// Package origin says which files are the person's own. This package asks the person only
// through the function that it is given, and starts nothing.
package trust
