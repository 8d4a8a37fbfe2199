// Package server decides what a server is and prepares its start: where the person's
// files are (Dirs), which profile, package or command was chosen (Choice), whether it
// is trusted, the installed package under its lock, and at the end the plan (Prepared).
//
// It lies below the commands, because a program that starts servers of its own needs
// the same steps in the same order, and none of them may be left out: a start that
// skipped trust would be one way in. It lies above package sandbox and sandbox/launch,
// whose orders it fills in, and nothing below the commands knows it. It reads no
// argument and no variable of the process: a Caller carries the environment, says what
// the person is told, and asks them. It prints no protocol, and reads no command line.
package server
