package guard

import (
	"bytes"
	"strings"
)

// Reload takes new pins, as after a review, and returns what must be sent to the
// client so that it asks again. Open conversations keep the instructions that
// they began with. An error says that the pins were tampered with; the old ones
// stay in force then.
func (g *Guard) Reload(p Pins) ([][]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.visible()
	old := g.pins
	if len(p.Definitions)+len(p.Over) == 0 { // everything was forgotten
		clear(g.seen)
		clear(g.sights)
	}
	if err := g.setPins(p); err != nil {
		if again := g.setPins(old); again != nil {
			return nil, again
		}
		return nil, err
	}
	for kind, l := range g.lists {
		l.forget()
		for name, e := range l.entries {
			if e.hash != "" && e.broken == "" {
				g.stand(e, kind, name, nil, nil)
			}
		}
	}
	after := g.visible()
	var lines [][]byte
	for _, c := range []struct {
		method string
		kinds  []Kind
	}{
		{"notifications/tools/list_changed", []Kind{KindTool}},
		{"notifications/prompts/list_changed", []Kind{KindPrompt}},
		{"notifications/resources/list_changed", []Kind{KindResource, KindTemplate}},
	} {
		for _, k := range c.kinds {
			if before[k] != after[k] {
				lines = append(lines, g.listChanged(c.method, k)...)
				break
			}
		}
	}
	return lines, nil
}

// visible tells, for each kind, which definitions the client may see.
func (g *Guard) visible() map[Kind]string {
	out := map[Kind]string{}
	for kind, l := range g.lists {
		var b strings.Builder
		for _, name := range sortedKeys(l.entries) {
			if g.hides(l.entries[name]) == "" {
				b.WriteString(name)
				b.WriteByte(0)
			}
		}
		out[kind] = b.String()
	}
	return out
}

// listChanged is a notification for a legacy client, or one for each
// subscription of a modern one.
func (g *Guard) listChanged(method string, kind Kind) [][]byte {
	var lines [][]byte
	if g.legacy {
		lines = append(lines, []byte(`{"jsonrpc":"2.0","method":"`+method+`"}`))
	}
	for _, r := range g.flight.listens() {
		if r.listen.wants(kind) {
			b := []byte(`{"jsonrpc":"2.0","method":"` + method + `","params":{"_meta":{"` + metaPrefix + `subscriptionId":`)
			lines = append(lines, append(append(b, bytes.Clone(r.id)...), `}}}`...))
		}
	}
	return lines
}
