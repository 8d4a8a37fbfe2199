// Package install turns a reference to a registry package into a program that starts
// without the registry: it has npm, pip or uv install a version into a staging
// directory, checks the result, has the store freeze it, and writes the choice down in
// a lock.
//
// The package runs no program itself. It hands every external tool as a Job to a Run
// function, so that the caller can put the tool into a sandbox whose only network is
// one loopback port, where a mirror.Mirror answers. The job sees no token and none of
// the user's files.
//
// It does not judge the behaviour of a package's code at run time, and it checks no
// signatures or provenance statements. Only for packages that the caller names does it
// build PyPI packages from source and run npm lifecycle scripts, without network.
// Package registry decides which version is the right one.
package install
