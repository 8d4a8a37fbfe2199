package main

import "testing"

// Otherwise SECURITY.md would name a machine that was not tried, or half a heading.
func TestRestricted(t *testing.T) {
	const log = `    # Machines that users have.
    # The twin: outside it works. (0.2s)
    > status 0 mcpen doctor
    # No Landlock, or none that
    # was switched on. (0.173s)
    [stdout]
    # or in devcontainer.json, then rebuild (once):
    "runArgs": []
    # The weaker tier, by name: files
    # are held. (0.1s)
    # No Landlock, or none that
    # was switched on. (0.300s)
`
	const want = "On each of these a server was held in full or not started, and `mcpen doctor` said the same:\n\n- No Landlock, or none that was switched on.\n"
	if got := restricted(log); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
