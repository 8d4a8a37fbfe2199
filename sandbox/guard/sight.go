package guard

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"mcpen/sandbox/policy"
)

// sight is the first sight of a kind of definitions, for what the server is given
// in this run: what is listed then is in use without a review, what changes or
// comes later is not. It ends with the first whole list, or when a second list
// begins; where this run ends before, a later one does not go on with it.
type sight struct {
	open  bool
	begun bool // something was seen in it
}

// maxSights bounds the first sights of one server: one for each of what it is
// given.
const maxSights = 256

// sight is that of a kind.
func (g *Guard) sight(kind Kind) *sight {
	s := g.sights[kind]
	if s == nil {
		s = &sight{open: len(g.pins.Over) < maxSights && !slices.Contains(g.pins.Over, g.sightOf(kind))}
		g.sights[kind] = s
	}
	return s
}

// sightOf names the first sight of a kind: another value of a parameter may bring
// other tools, and another workspace other resources.
func (g *Guard) sightOf(kind Kind) string {
	h := sha256.New()
	for _, v := range g.cfg.Given {
		if v.Declared() || kind == KindResource && v.Name == "workspace" {
			h.Write([]byte(v.Name))
			for _, text := range v.Values {
				h.Write([]byte("\x00" + text))
			}
			h.Write([]byte("\n"))
		}
	}
	return string(kind) + " " + hex.EncodeToString(h.Sum(nil)[:8])
}

// begin notes that something of a kind was seen.
func (g *Guard) begin(kind Kind) {
	if s := g.sight(kind); s.open && !s.begun {
		s.begun = true
		g.saw()
	}
}

// saw tells that there is something new in Pins.
func (g *Guard) saw() {
	if g.cfg.Saw != nil && g.compares() {
		g.cfg.Saw()
	}
}

// sighting is a definition that the server gave in this run and nobody decided
// about.
type sighting struct {
	hash string
	form []byte // canonical
	at   time.Time
}

// seenKey is what a sighting is kept by: of one name there may be one that was seen
// first and one that waits.
type seenKey struct {
	nameKey
	state State
}

// definition is the sighting for a reader.
func (s sighting) definition(k seenKey, given []policy.Given) Definition {
	d := definition(k.kind, k.name, s.hash, s.form)
	d.State, d.At, d.Given = k.state, s.at.UTC().Format(time.RFC3339), held(s.form, given)
	return d
}
