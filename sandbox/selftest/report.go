package selftest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
)

// reportVersion is that of the report's JSON. A field that goes away or means something
// else raises it; one that is added does not.
const reportVersion = 1

// State is the verdict of a run on an attack or on a group of them.
type State string

// The states. A group is unproved where nothing of it was proved.
const (
	Held     State = "held"     // it works outside, and not inside
	NotHeld  State = "not-held" // it works inside
	Unproved State = "unproved" // it failed inside, which proves nothing here
)

// Why says why an attack is in its state.
type Why string

// The reasons why an attack is unproved, or why it works inside although every layer
// that should hold it is on.
const (
	WhyRoot    Why = "outside it needs root, and acts on the machine"
	WhyAbsent  Why = "this kernel has no such thing"
	WhyOutside Why = "it fails outside, too"
	WhyTwin    Why = "it could not be tried outside"
	WhyAnswer  Why = "it was refused with another answer than is known"
	WhyHole    Why = "the layers that should hold it are on"
)

// brief are the reasons in a few words.
var brief = map[Why]string{WhyRoot: "would need root outside", WhyAbsent: "not on this kernel", WhyOutside: "fail outside, too",
	WhyTwin: "not tried outside", WhyAnswer: "answered otherwise"}

// Report holds the findings of a run.
type Report struct {
	Version int            `json:"version"`
	Mcpen   string         `json:"mcpen"`   // its release
	Profile string         `json:"profile"` // the profile under attack, by name or file; "": the closed default
	Kernel  string         `json:"kernel"`
	User    int            `json:"user"`
	Layers  []policy.Layer `json:"layers"`
	Without []policy.Layer `json:"without,omitempty"` // the layers that the profile gives up in words
	Gaps    []string       `json:"gaps,omitempty"`    // the protections that this machine cannot enforce
	Groups  []Group        `json:"groups"`
}

// Group are the attacks on one part of the boundary.
type Group struct {
	Name    string     `json:"name"`
	About   string     `json:"about"`
	State   State      `json:"state"`
	Attacks []Attacked `json:"attacks"`
}

// Attacked is the outcome of one attack.
type Attacked struct {
	ID      string `json:"id"`
	How     string `json:"how"`
	Loss    string `json:"loss"` // the user's loss if the attack works
	State   State  `json:"state"`
	Outside string `json:"outside,omitempty"` // "works", "found nothing" or an errno; "": not tried
	Inside  string `json:"inside"`
	Layers  string `json:"layers,omitempty"` // that should hold it, of one that is not held
	Why     Why    `json:"why,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// count is the number of attacks in a state, of one group.
func (g Group) count(s State) (n int) {
	for _, a := range g.Attacks {
		if a.State == s {
			n++
		}
	}
	return n
}

// newReport returns the report of a sandbox under a plan, without a result.
func newReport(p plan.Plan) Report {
	r := Report{Version: reportVersion, Layers: p.Layers, User: os.Geteuid()}
	for _, w := range p.Without {
		r.Without = append(r.Without, w.Layer)
	}
	for _, g := range p.Gaps {
		if slices.Contains(r.Without, g.Layer) {
			continue // the profile gives the layer up
		}
		r.Gaps = append(r.Gaps, fmt.Sprintf("%s: %s", g.Want, g.Why))
	}
	return r
}

// Count is the number of attacks in a state.
func (r Report) Count(s State) (n int) {
	for _, g := range r.Groups {
		n += g.count(s)
	}
	return n
}

// WriteJSON writes the report as one document.
func (r Report) WriteJSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// WriteText writes one line a group, and more for attacks that are not held. paint
// colours the word of a state; it may be nil.
func (r Report) WriteText(out io.Writer, paint func(State, string) string) error {
	var b strings.Builder
	what := "the closed default"
	if r.Profile != "" {
		what = audit.Visible(r.Profile)
	}
	fmt.Fprintf(&b, "%s, as user %d on Linux %s\n", what, r.User, audit.Visible(r.Kernel))
	for _, l := range r.Without {
		fmt.Fprintf(&b, "without the layer %s\n", l)
	}
	for _, g := range r.Groups {
		word := fmt.Sprintf("%-8s", map[State]string{Held: "held", NotHeld: "NOT HELD", Unproved: "unproved"}[g.State])
		if paint != nil {
			word = paint(g.State, word)
		}
		fmt.Fprintf(&b, "%s  %-11s  %2d of %2d  %s\n", word, g.Name, g.count(Held), len(g.Attacks), g.line())
		b.WriteString(g.holes())
	}
	for _, gap := range r.Gaps {
		fmt.Fprintf(&b, "this machine does not hold %s\n", audit.Visible(gap))
	}
	fmt.Fprintf(&b, "%d attacks work outside and not inside", r.Count(Held))
	if n := r.Count(NotHeld); n > 0 {
		fmt.Fprintf(&b, ", %d WORK INSIDE", n)
	}
	if n := r.Count(Unproved); n > 0 {
		fmt.Fprintf(&b, ", %d cannot be proved here (--json: why)", n)
	}
	b.WriteString("\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// shown limits the attacks listed in a group among those that work inside.
const shown = 4

// holes tells of attacks that work inside.
func (g Group) holes() string {
	var b strings.Builder
	n := 0
	for _, a := range g.Attacks {
		if a.State != NotHeld {
			continue
		}
		if n++; n <= shown {
			fmt.Fprintf(&b, "          %s: %s; %s\n", a.ID, audit.Visible(a.How), a.Why)
		}
	}
	if n > shown {
		fmt.Fprintf(&b, "          and %d more\n", n-shown)
	}
	return b.String()
}

// line describes the group, or counts its attacks that are not proved.
func (g Group) line() string {
	if n := g.count(NotHeld); n > 0 {
		return fmt.Sprintf("%d WORK INSIDE:", n)
	}
	count := map[Why]int{}
	var order []Why
	for _, a := range g.Attacks {
		if a.State != Unproved {
			continue
		}
		if count[a.Why]++; count[a.Why] == 1 {
			order = append(order, a.Why)
		}
	}
	if order == nil {
		return g.About
	}
	slices.SortStableFunc(order, func(a, b Why) int { return cmp.Compare(count[b], count[a]) })
	var parts []string
	for _, w := range order {
		parts = append(parts, fmt.Sprintf("%d %s", count[w], brief[w]))
	}
	return strings.Join(parts, ", ")
}
