// Package user describes the person or program that asks for a server (Person: their
// environment, and where messages to them go) and where this user's things are (Dirs).
// Below the commands it is the only way to the environment: nothing else reads a variable
// of the process.
package user
