package guard

import (
	"bytes"
	"strings"

	"mcpen/sandbox/definition"
	"mcpen/sandbox/finding"
)

// Reload takes new pins, as after a review, and returns the messages that make the
// client ask again. Open conversations keep the instructions that they began with. An
// error means that somebody tampered with the pins; the old ones stay in force then.
func (g *Guard) Reload(p definition.Pins) ([][]byte, error) {
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
		kinds  []definition.Kind
	}{
		{"notifications/tools/list_changed", []definition.Kind{definition.KindTool}},
		{"notifications/prompts/list_changed", []definition.Kind{definition.KindPrompt}},
		{"notifications/resources/list_changed", []definition.Kind{definition.KindResource, definition.KindTemplate}},
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
func (g *Guard) visible() map[definition.Kind]string {
	out := map[definition.Kind]string{}
	for kind, l := range g.lists {
		var b strings.Builder
		for _, name := range finding.SortedKeys(l.entries) {
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
func (g *Guard) listChanged(method string, kind definition.Kind) [][]byte {
	var lines [][]byte
	if g.legacy {
		lines = append(lines, []byte(`{"jsonrpc":"2.0","method":"`+method+`"}`))
	}
	for _, r := range g.flight.Subscriptions() {
		if r.listen.wants(kind) {
			b := []byte(`{"jsonrpc":"2.0","method":"` + method + `","params":{"_meta":{"` + metaPrefix + `subscriptionId":`)
			lines = append(lines, append(append(b, bytes.Clone(r.ID)...), `}}}`...))
		}
	}
	return lines
}
