// Package locked has the packages of one person under their locks (Packages): it opens
// the installed tree that a lock names, fetches it where it is missing, and resolves,
// installs and locks a package that has no lock yet. An install runs in a sandbox of its
// own (job.go). Standing keeps what was found out about a lock: withdrawn, malicious.
//
// Packages pack and pack/install know how a lock is read and a tree is made, and neither
// the person nor their files; package catalog knows where a profile's lock is. This package
// joins both, and starts no server.
package locked
