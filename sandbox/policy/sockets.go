package policy

func (r *resolver) sockets(l list[socketRule]) []Socket {
	var out []Socket
	seen := make(map[string]bool)
	for _, s := range l.items {
		for _, w := range r.list([]word{s.word}, inText) {
			p, ok := r.path(w)
			if !ok || seen[p.Path] {
				continue
			}
			seen[p.Path] = true
			if p.Optional {
				r.add(w.at, w.key, "", `%s: a socket cannot be optional`, quote(w.text))
				continue
			}
			if err := r.refuseOwn(p.Path, "connect to"); err != nil {
				r.fault(w.at, w.key, err)
				continue
			}
			if why, isHost := HostSocket(p.Path); isHost && s.override.v == "" && !r.bounds {
				r.add(w.at, w.key, "{ path = "+quote(p.Path)+", override = "+quote(Override)+" }",
					"cannot give the socket %s: %s", quote(p.Path), why)
				continue
			}
			out = append(out, Socket{Path: p.Path, Override: s.override.v, At: w.at})
		}
	}
	return out
}
