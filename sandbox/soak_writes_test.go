//go:build soak

package sandbox_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// How long a mediated workspace is soaked, and from which seed on, where the
// environment does not say so (as 5m, 12345).
const (
	soakWritesTime = "MCPEN_SOAK_WRITES"
	soakWritesSeed = "MCPEN_SOAK_SEED"
	soakWritesFor  = 10 * time.Minute
)

// A server's changes end as the kernel's own would, errno by errno, and nothing
// protected changes in a storm of two threads inside and one outside, for as long as
// there is time.
func TestSoakWrites(t *testing.T) {
	last, seed := soakWritesFor, rand.Uint64()>>32
	if text := os.Getenv(soakWritesTime); text != "" {
		var err error
		if last, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv(soakWritesSeed); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 32); err != nil {
			t.Fatal(err)
		}
	}
	s := everybody(t)
	t.Logf("from seed %d for %v", seed, last)
	rounds := 0
	for began := time.Now(); time.Since(began) < last && !t.Failed(); rounds++ {
		mutated(t, s, int(seed), 4000)
		stormed(t, s, seed, 2500)
		seed++
	}
	t.Logf("%d rounds", rounds)
}
