package registry

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"mcpen/sandbox/pack"
)

// Release is one version of a package as its registry describes it. Everything in it is
// the registry's word, and unchecked.
type Release struct {
	Ref       pack.Ref // with an exact Version
	Tag       string   // npm: the requested dist-tag, other than latest
	Registry  string
	Published time.Time // zero where the registry gives no date
	Publisher string    // npm: who uploaded this version; PyPI: the author field
	License   string
	// Preferred: the registry's own choice, by its tag.
	Preferred bool
	// Deprecated is npm's deprecation notice or PyPI's reason for a yank; "" for
	// neither.
	Deprecated string
	Scripts    []string // npm lifecycle scripts that an ordinary install would run
	// Dependencies counts an npm package's own requirements, not the tree.
	Dependencies int
	Size         int64 // bytes, unpacked for npm, of the wheel for PyPI; 0: unknown
	// Newest is the newest version of all, if that is not Ref.Version, and NewestAt its
	// date: it is too young, or was not requested.
	Newest   string
	NewestAt time.Time
	// Notes are sentences for a person: why not the newest, a name that looks
	// like another's.
	Notes []string

	// Page is the page from which the version was chosen.
	Page Page
}

// Page is a registry's description of a package: a packument, or a project and its
// address.
type Page struct {
	Name    string
	NPM     Packument
	Project Project
	At      *url.URL
}

// Compare is positive if the release is above a lock's version, by the order of
// versions: dates may be those of a mirror's copying.
func (r Release) Compare(l pack.Lock) int {
	if r.Ref.Version == l.Version {
		return 0
	}
	c, err := r.Ref.Ecosystem.Compare(r.Ref.Version, l.Version)
	if err != nil {
		return 0
	}
	return c
}

// candidate is one version among which choose picks.
type candidate struct {
	version   string
	published time.Time
	newer     func(than string) bool
	pre       bool
	gone      bool // yanked or deprecated
	// needs is the requirement that this machine lacks; "" if the version fits.
	needs string
}

// newestFirst orders candidates by their versions.
func newestFirst(a, b candidate) int {
	switch {
	case a.newer(b.version):
		return -1
	case b.newer(a.version):
		return 1
	}
	return 0
}

// needsOf says that an interpreter does not fit.
func needsOf(what, wanted string, fits func(string) bool) string {
	if fits(wanted) {
		return ""
	}
	return what + " " + wanted
}

// TooYoungError says that a version requested by number is younger than the minimum
// age.
type TooYoungError struct {
	Ref       pack.Ref
	Published time.Time
	MinAge    time.Duration
	OldEnough string // the newest version that is; "" for none
}

func (e *TooYoungError) Error() string {
	s := fmt.Sprintf("%s was published on %s and is younger than %s", e.Ref, e.Published.UTC().Format("2006-01-02 15:04 UTC"), Days(e.MinAge))
	if e.OldEnough == "" {
		return s + "; no version is older"
	}
	return s + "; the newest version that is old enough is " + e.OldEnough
}

// Days writes an age as people say it.
func Days(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}

// within keeps the candidates that a reference has in its range.
func within(all []candidate, ref pack.Ref) ([]candidate, error) {
	if ref.Range == "" || len(all) == 0 {
		return all, nil
	}
	in := slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return !ref.Allows(c.version) })
	if len(in) == 0 {
		slices.SortStableFunc(all, newestFirst)
		return nil, pack.Missing("cannot resolve %s: the registry has no version in that range; the newest is %s", ref, newestOf(all, func(candidate) bool { return true }))
	}
	return in, nil
}

// choice is the result of choose.
type choice struct {
	version  string
	newest   string // the newest of all
	fallback bool   // version is not the preferred one
}

// choose picks a version. want is a version requested by number or by tag; prefer is
// the registry's default. A version of unknown date counts as too young: its age cannot
// be checked.
func choose(all []candidate, ref pack.Ref, want, prefer string, minAge time.Duration, now time.Time) (choice, error) {
	if len(all) == 0 {
		return choice{}, pack.Missing("cannot resolve %s: the registry lists no version that can be installed", ref)
	}
	slices.SortStableFunc(all, newestFirst)
	old := func(c candidate) bool {
		return minAge <= 0 || !c.published.IsZero() && now.Sub(c.published) >= minAge
	}
	got := choice{newest: newestOf(all, func(candidate) bool { return true })}
	if !slices.ContainsFunc(all, func(c candidate) bool { return c.version == prefer }) {
		prefer = ""
	}
	enough := newestOf(all, old)
	if want == "" && prefer != "" {
		// The registry's preferred version wins over a newer one, if it is old enough:
		// a maintainer who moved a tag back did so for a reason.
		for _, c := range all {
			if c.version == prefer && old(c) && c.needs == "" && !c.gone {
				got.version = prefer
				return got, nil
			}
		}
		// If the preferred version is too young, a version above it is a maintainer's
		// next one.
		below := newestOf(all, func(c candidate) bool { return old(c) && !c.newer(prefer) })
		if young := slices.ContainsFunc(all, func(c candidate) bool { return c.version == prefer && !old(c) }); young && below != "" {
			enough = below
		}
	}
	if want == "" {
		if enough == "" {
			return choice{}, noneOldEnough(all, ref, minAge)
		}
		got.version, got.fallback = enough, true
		if prefer != "" {
			got.newest = prefer
		}
		return got, nil
	}
	for _, c := range all {
		if c.version != want {
			continue
		}
		if !old(c) {
			if c.published.IsZero() {
				return choice{}, fmt.Errorf("cannot tell the age of %s: the registry gives no date; set install.min-age to 0 to do without", ref)
			}
			asked := ref
			asked.Version, asked.Tag = want, ""
			return choice{}, &TooYoungError{Ref: asked, Published: c.published, MinAge: minAge, OldEnough: enough}
		}
		got.version = want
		return got, nil
	}
	return choice{}, pack.Missing("cannot resolve %s: the registry has no such version; the newest is %s", ref, got.newest)
}

// newestOf is the first of the sorted candidates that fits: a release that was
// not withdrawn, or else a withdrawn one, or else a pre-release.
func newestOf(all []candidate, fits func(candidate) bool) string {
	for _, pass := range []func(candidate) bool{
		func(c candidate) bool { return !c.pre && !c.gone && c.needs == "" },
		func(c candidate) bool { return !c.pre && c.needs == "" },
		func(c candidate) bool { return !c.pre && !c.gone },
		func(c candidate) bool { return !c.pre },
		func(c candidate) bool { return c.needs == "" },
		func(candidate) bool { return true },
	} {
		for _, c := range all {
			if pass(c) && fits(c) {
				return c.version
			}
		}
	}
	return ""
}

func noneOldEnough(all []candidate, ref pack.Ref, minAge time.Duration) error {
	for _, c := range all {
		if !c.published.IsZero() {
			return pack.Refuse("cannot resolve %s: no version is older than %s", ref, Days(minAge))
		}
	}
	return pack.Refuse("cannot tell the age of %s: the registry gives no dates; set install.min-age to 0 to do without", ref)
}

// explain fills in the findings of choose.
func (r *Release) explain(c choice, all []candidate, minAge time.Duration) {
	if c.newest == c.version {
		return
	}
	for _, x := range all {
		if x.version != c.newest {
			continue
		}
		r.Newest, r.NewestAt = x.version, x.published
		why := "is younger than " + Days(minAge)
		switch {
		case !c.fallback:
			continue
		case x.needs != "":
			why = "needs " + x.needs
		case x.gone:
			why = "was withdrawn or deprecated"
		}
		r.Notes = append(r.Notes, fmt.Sprintf("%s is chosen, not %s, which %s", c.version, c.newest, why))
	}
}
