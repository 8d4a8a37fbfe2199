//go:build race

package rpc_test

// race is whether the race detector is on; with it sync.Pool forgets on purpose.
const race = true
