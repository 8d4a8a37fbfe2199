package listeners

import (
	"testing"

	"mcpen/sandbox/internal/listeners/nettest"
)

// BenchmarkListen measures the cost of the network at the start of a sandbox.
func BenchmarkListen(b *testing.B) {
	nettest.Bench(b, func() {
		n := network(b, "203.0.113.5:8080")
		for name, behind := range map[string]apart{"apart": listenBehind, "shared": noWire} {
			b.Run(name, func(b *testing.B) {
				for range b.N {
					b.StopTimer()
					w := nettest.NewSandbox(b)
					var hs []Handle
					var err error
					b.StartTimer()
					w.Inside(func() { hs, err = listen(n, behind) })
					b.StopTimer()
					must(b, err)
					Close(hs)
					b.StartTimer()
				}
			})
		}
	})
}
