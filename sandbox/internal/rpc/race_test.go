//go:build race

package rpc_test

// race reports whether the race detector is on; with it sync.Pool drops items on
// purpose.
const race = true
