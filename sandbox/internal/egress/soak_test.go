//go:build soak

package egress

import "testing"

// As TestChurn, for longer and with more at once.
func TestSoak(t *testing.T) { churn(t, 50_000, 64) }
