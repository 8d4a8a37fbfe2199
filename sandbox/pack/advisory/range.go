package advisory

import (
	"cmp"
	"slices"

	"mcpen/sandbox/pack"
)

// osvStep is one event of a range.
type osvStep struct {
	at       string
	affected bool
	rank     int // order among events at one version
}

// steps gives the events of a range, sorted. At one version an end comes before a
// beginning, and an end that includes the version comes last.
func (r osvRange) steps() []osvStep {
	var steps []osvStep
	for _, ev := range r.Events {
		switch {
		case ev.Introduced != "":
			steps = append(steps, osvStep{ev.Introduced, true, 1})
		case ev.Fixed != "":
			steps = append(steps, osvStep{ev.Fixed, false, 0})
		case ev.LastAffected != "":
			steps = append(steps, osvStep{ev.LastAffected, false, 2})
		case ev.Limit != "" && ev.Limit != "*":
			steps = append(steps, osvStep{ev.Limit, false, 0})
		}
	}
	return steps
}

// holds walks the events in the order of their versions, whatever their order
// in the record: the last one at or below the version decides.
func (r osvRange) holds(version string, e pack.Ecosystem) (bool, error) {
	steps := r.steps()
	var failed error
	order := func(a, b string) int {
		switch {
		case a == b:
			return 0
		case a == "0":
			return -1
		case b == "0":
			return 1
		}
		c, err := e.Compare(a, b)
		failed = cmp.Or(failed, err)
		return c
	}
	slices.SortStableFunc(steps, func(a, b osvStep) int { return cmp.Or(order(a.at, b.at), cmp.Compare(a.rank, b.rank)) })
	affected := false
	for _, s := range steps {
		if c := order(version, s.at); c > 0 || c == 0 && s.rank < 2 {
			affected = s.affected
		}
	}
	return affected, failed
}
