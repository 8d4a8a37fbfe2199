//go:build soak

package egress

import "testing"

// TestSoak is TestChurn for longer and with more connections at once.
func TestSoak(t *testing.T) { churn(t, 50_000, 64) }
