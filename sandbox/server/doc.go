// Package server decides the meaning of a server's name and prepares its start: the
// chosen profile, package or command (Choice), its trust, its secrets, and at the end the
// plan (Prepared). Package locked has the installed packages, and trust the decisions.
//
// It lies below the commands, because a program that starts servers of its own needs
// the same steps in the same order and must not skip one: a start without trust would
// be one way in. It lies above package sandbox and sandbox/launch, whose orders it
// fills in, and nothing below the commands knows it. It reads no argument and no
// variable of the process: a Caller carries the environment, writes messages to the
// person, and asks questions. It prints no protocol, and reads no command line.
package server
