package guard

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/policy"
)

// sight is the first sight of a kind of definitions, for the values that the server
// gets in this run. Definitions that are listed then are in use without a review; those
// that change or come later are not. It ends with the first whole list, or when a second list
// begins; where this run ends before, a later one does not go on with it.
type sight struct {
	open  bool
	begun bool // something was seen in it
}

// maxSights bounds the first sights of one server: one for each set of values that it
// gets.
const maxSights = 256

// sight is that of a kind.
func (g *Guard) sight(kind definition.Kind) *sight {
	s := g.sights[kind]
	if s == nil {
		s = &sight{open: len(g.pins.Over) < maxSights && !slices.Contains(g.pins.Over, g.sightOf(kind))}
		g.sights[kind] = s
	}
	return s
}

// sightOf names the first sight of a kind: another value of a parameter may bring
// other tools, and another workspace other resources.
func (g *Guard) sightOf(kind definition.Kind) string {
	h := sha256.New()
	for _, v := range g.cfg.Given {
		if v.Declared() || kind == definition.KindResource && v.Name == "workspace" {
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
func (g *Guard) begin(kind definition.Kind) {
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

// sighting is a definition of this run without a decision.
type sighting struct {
	hash string
	form []byte // canonical
	at   time.Time
}

// seenKey is the key of a sighting: of one name there may be one that was seen first
// and one that waits.
type seenKey struct {
	definition.Key
	state definition.State
}

// definition is the sighting for a reader.
func (s sighting) definition(k seenKey, given []policy.Given) definition.Definition {
	return definition.Sighted(k.Key, k.state, s.hash, s.form, given, s.at)
}

// sighted reports whether a definition of a name was seen in this run, first or
// later.
func (g *Guard) sighted(n definition.Key, state definition.State) bool {
	_, ok := g.seen[seenKey{n, state}]
	return ok
}

// state is that of a definition in the pins, or else in this run.
func (g *Guard) state(n definition.Key, hash string) definition.State {
	if s := g.decided[definition.Exact{Key: n, Hash: hash}]; s != "" {
		return s
	}
	for _, s := range []definition.State{definition.Seen, definition.Waiting} {
		if g.seen[seenKey{n, s}].hash == hash {
			return s
		}
	}
	return ""
}

// knows reports whether there is a definition of a name to compare others with: one
// that was approved, or seen first.
func (g *Guard) knows(n definition.Key) bool {
	return len(g.trusted[n]) > 0 || g.pinning != policy.PinEnforce && g.sighted(n, definition.Seen)
}

// against returns the definitions of a name for comparison with others, an approved one
// first.
func (g *Guard) against(n definition.Key) []definition.Definition {
	all := g.trusted[n]
	k := seenKey{n, definition.Seen}
	if s, ok := g.seen[k]; ok && g.pinning != policy.PinEnforce {
		all = append(slices.Clip(all), s.definition(k, g.cfg.Given))
	}
	return all
}

// hasTurned reports whether the server was seen to define a name in a way that may
// not be used.
func (g *Guard) hasTurned(n definition.Key) bool {
	return g.turned[n] || g.sighted(n, definition.Waiting)
}
