// Package clients reads the files in which MCP clients keep the servers that they
// start, and changes them by splicing bytes: a command and its arguments, and nothing
// else of a file that is the person's own.
//
// A change is checked before it is written: the file is parsed again, differs in that
// entry's command alone, and undoing the change gives the same bytes back.
package clients
