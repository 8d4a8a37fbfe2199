package seccomp

import (
	"slices"
	"testing"

	"mcpen/sandbox/plan"
)

func TestFilterArrivesAsItWasCompiled(t *testing.T) {
	for _, a := range arches {
		for _, p := range options() {
			f, err := For(p, a.name)
			if err != nil {
				t.Fatal(err)
			}
			b, err := f.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			var got Filter
			if err := got.UnmarshalBinary(b); err != nil {
				t.Fatal(err)
			}
			if got.arch != f.arch || got.Listens() != p.Listens() || !slices.Equal(got.prog, f.prog) {
				t.Errorf("%s %+v: another filter came out", a.name, p)
			}
		}
	}
}

// A child that received half a filter must not run with it.
func TestDamagedFilterIsRefused(t *testing.T) {
	f, err := For(plan.Seccomp{On: true}, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := f.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if (&Filter{}).UnmarshalBinary(whole[:cut]) == nil {
			t.Fatalf("the first %d of %d bytes were taken for a filter", cut, len(whole))
		}
	}
	if (&Filter{}).UnmarshalBinary(append(slices.Clone(whole), 0)) == nil {
		t.Error("a byte too many was taken for a filter")
	}
	for i := range len(magic) + 4 {
		bad := slices.Clone(whole)
		bad[i] ^= 0xff
		if (&Filter{}).UnmarshalBinary(bad) == nil {
			t.Errorf("byte %d damaged was taken for a filter", i)
		}
	}
	if _, err := (Filter{}).MarshalBinary(); err == nil {
		t.Error("the zero filter was encoded")
	}
}

func TestForRefusesWhatItDoesNotHave(t *testing.T) {
	if _, err := For(plan.Seccomp{}, "amd64"); err == nil {
		t.Error("a filter was found for a plan without one")
	}
	for _, arch := range []string{"", "386", "riscv64"} {
		if _, err := For(plan.Seccomp{On: true}, arch); err == nil {
			t.Errorf("a filter was found for %q", arch)
		}
	}
}

func BenchmarkFor(b *testing.B) {
	for b.Loop() {
		if _, err := For(plan.Seccomp{On: true, Notify: true}, "amd64"); err != nil {
			b.Fatal(err)
		}
	}
}
