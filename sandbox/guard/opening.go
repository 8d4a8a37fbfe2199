package guard

import (
	"mcpen/sandbox/definition"
	"mcpen/sandbox/internal/rpc"
)

// opened decides about the answer to initialize or server/discover: the server's name
// and its instructions to the model.
func (g *Guard) opened(v *Ruling, r *request, result []byte) ([]edit, error) {
	var f [5][]byte
	if err := rpc.Fields(result, []string{"instructions", "serverInfo", "_meta", "capabilities", "ttlMs"}, f[:]); err != nil {
		return nil, err
	}
	identity := f[1]
	if r.Method == methodInitialize {
		g.legacy = true
		g.logging = rpc.Get(f[3], "logging") != nil
	} else {
		identity = rpc.Get(f[2], metaPrefix+"serverInfo")
	}
	var edits []edit
	waits := false
	if f[0] != nil && string(f[0]) != "null" {
		why, held := g.opening(v, r, definition.KindInstructions, f[0])
		if why != "" {
			edits = append(edits, edit{rpc.Offset(result, f[0]), len(f[0]), []byte(`""`)})
		}
		waits = waits || held
	}
	if identity != nil {
		why, held := g.opening(v, r, definition.KindIdentity, identity)
		if why != "" {
			edits = append(edits, edit{rpc.Offset(result, identity), len(identity), g.identity()})
		}
		waits = waits || held
	}
	if waits && f[4] != nil {
		edits = append(edits, edit{rpc.Offset(result, f[4]), len(f[4]), []byte("0")})
	}
	sortEdits(edits)
	for _, kind := range []definition.Kind{definition.KindInstructions, definition.KindIdentity} { // if one is missing, it is new later
		g.begin(kind)
		g.sight(kind).open = false
	}
	return edits, nil
}

// opening judges the instructions or the identity, and says why the guard keeps them
// from the client, or "".
func (g *Guard) opening(v *Ruling, r *request, kind definition.Kind, raw []byte) (why string, waits bool) {
	e := &entry{}
	switch {
	case kind == definition.KindInstructions && !rpc.IsString(raw):
		e.broken = "they are not a string"
	case kind == definition.KindIdentity && !rpc.IsObject(raw):
		e.broken = "it is not an object"
	default:
		var form []byte
		if g.compares() {
			var err error
			if _, form, err = definition.Parse(kind, raw); err != nil {
				e.broken = err.Error()
				break
			}
		}
		g.sight(kind)
		j := assessed{entry: e}
		j.define(&assessor{g: g, kind: kind, findings: g.scanPage(kind, nil).Reader(), varying: definition.NewVarying(g.cfg.Given, g.cfg.Now())}, raw, form)
		g.keep(kind, j)
	}
	if !g.put(g.list(kind), "", e) {
		e.broken = errTooMuch.Error()
	}
	p := &page{names: []string{""}, entries: []*entry{e}}
	g.report(v, r, kind, g.list(kind), p)
	return g.hides(e), g.waits(e)
}

// identity replaces a name that may not be used: the one that may, or
// else the profile's own.
func (g *Guard) identity() []byte {
	if known := g.against(definition.Key{Kind: definition.KindIdentity, Name: ""}); len(known) > 0 {
		if canonical, err := known[0].Canonical(); err == nil {
			return canonical
		}
	}
	b := append([]byte(`{"name":`), rpc.AppendString(nil, g.cfg.Server)...)
	return append(b, `,"version":"0"}`...)
}
