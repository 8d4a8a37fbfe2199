// Package program follows a command to the file that the kernel executes, and lists the
// needs of that file: shims of version managers, shebangs, interpreters and their
// operands, the roots of runtimes and packages, ELF interpreters and neighbours.
//
// It reads files and runs nothing. It reads no environment variables; FindEnv carries
// those that it needs. Its functions are safe for concurrent use. Package host probes the
// machine's layers.
package program
