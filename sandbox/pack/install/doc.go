// Package install turns a reference to a registry package into a program that can
// be started without the registry: it has npm, pip or uv install a version into a
// staging directory, checks what came out, has the store freeze it, and writes down
// what was chosen in a lock.
//
// The package runs no program itself. Every external tool is a Job that is
// handed to a Run function, so that the caller can put it into a sandbox whose
// only network is one loopback port, where a mirror.Mirror answers. The job sees no
// token and none of the user's files.
//
// What it does not do: it does not judge what a package's code will do when it
// runs, and it checks no signatures or provenance statements. PyPI packages are built
// from source, and npm lifecycle scripts run, only for packages that the caller names,
// without network. Which version is the right one, registry decides.
package install
