// Package pack turns a reference to a registry package into a program that can
// be started without the registry: it resolves a version, has npm, pip or uv
// install it into a staging directory, checks what came out, freezes it into a
// store by its content hash, and writes down what was chosen in a lock that a
// person can review.
//
// The package runs no program itself. Every external tool is a Job that is
// handed to a Run function, so that the caller can put it into a sandbox whose
// only network is one loopback port: there a Proxy answers, which adds the
// user's credentials, pins the registry, and looks at every archive before it
// lets the tool have it. The job sees no token and none of the user's files.
//
// A lock comes from other people, so what it says counts only where something else
// says it, too: names and versions are those of the archives, ages are those of
// the registry, addresses are the registry's own, and archives are their hashes.
//
// What it does not do: it does not judge what a package's code will do when it
// runs, and it checks no signatures or provenance statements. PyPI packages are built
// from source, and npm lifecycle scripts run, only for packages that the caller names,
// without network.
package pack
